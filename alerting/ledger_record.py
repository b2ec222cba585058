"""What writes decisions down as they pass: an outbox (what came in, what was told, each step of a case), and clicks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from alerting.alert import EXPLAINED, Alert
from alerting.case import Case
from alerting.interaction import Answer, Click, Handler
from alerting.ledger import NO_LEDGER, Decision, Kind, Ledger
from alerting.notice import is_notice
from alerting.notifier import Receipt
from alerting.store import AlertStore, Entry, Failure
from audit.event import rfc3339
from audit.finding import SEVERITIES

MOST_DETECTIONS = 8
_HOW: dict[str, Kind] = {
    "explained": "explained",
    "muted": "muted",
    "digest": "gathered",
    "withdrawn": "withdrawn",
    "attached": "sent",
}


def recorded(store: AlertStore, ledger: Ledger, by: str, clock: Callable[[], int]) -> AlertStore:
    """The store, with each decision that passes through it written to the ledger as `by`'s at `clock()`."""
    return store if ledger is NO_LEDGER else cast(AlertStore, _Recorded(store, ledger, by, clock))


class _Recorded:
    """What it does not write down goes to the store as it is.

    An alert and a receipt are written before the store takes them: repeated after a crash, they are known by their id.
    A step of a case is written once the store took it, for it may lose to another's.
    """

    def __init__(self, store: AlertStore, ledger: Ledger, by: str, clock: Callable[[], int]) -> None:
        self._store = store
        self._ledger = ledger
        self._by = by
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, alert: Alert) -> bool:
        """See AlertStore."""
        if not is_notice(alert):
            before = await self._store.get(alert.id)
            if kind := came(alert, before):
                once = f"revision {alert.revision}"
                await self._ledger.write(Decision(kind, alert.id, self._clock(), self._by, told_of(alert), once))
        return await self._store.put(alert)

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        """See AlertStore."""
        kind = "sent" if receipt.posted else _HOW.get(receipt.message_id.partition(":")[0], "withheld")
        where = {"channel": receipt.channel} if receipt.posted else {}
        details = {"revision": str(receipt.revision), "severity": receipt.severity, **where, "as": receipt.message_id}
        if receipt.case_version:
            details["case"] = str(receipt.case_version)
        once = f"{receipt.revision} {receipt.case_version} {receipt.channel} {receipt.message_id}"
        await self._ledger.write(Decision(kind, alert_id, receipt.at or self._clock(), self._by, details, once))
        await self._store.receipt(alert_id, receipt)

    async def failed(self, alert_id: str, revision: int, failure: Failure) -> None:
        """See AlertStore."""
        if failure.refused:
            details = {"revision": str(revision), "why": failure.error}
            once = f"{revision} {failure.error}"
            await self._ledger.write(Decision("refused", alert_id, self._clock(), self._by, details, once))
        await self._store.failed(alert_id, revision, failure)

    async def save_case(self, case: Case) -> bool:
        """See AlertStore."""
        saved = await self._store.save_case(case)
        if saved:
            once = f"version {case.version}"
            await self._ledger.write(Decision("case", case.alert_id, case.at, case.actor, step_of(case), once))
        return saved


def witnessed(handlers: Mapping[str, Handler], ledger: Ledger) -> Mapping[str, Handler]:
    """The handlers of clicks, with each click and what came of it written to the ledger."""
    return {name: _witnessed(handler, ledger) for name, handler in handlers.items()}


def _witnessed(handler: Handler, ledger: Ledger) -> Handler:
    async def handle(click: Click) -> Answer:
        answer = await handler(click)
        details = _said({"action": click.action, "seen": str(click.version), "answer": answer.text})
        by = click.person or click.user
        await ledger.write(Decision("clicked", click.alert_id, click.at, by, details, click.id))
        return answer

    return handle


def came(alert: Alert, before: Entry | None) -> Kind | None:
    """What an alert that comes in is; None where it says nothing new.

    Of an alert that grows, the revisions that double it or make it graver are written down: thousands of repeats are
    a dozen records.
    """
    if before is None:
        return "explained" if alert.resolution == EXPLAINED else "raised"
    graver = SEVERITIES.index(alert.severity) > SEVERITIES.index(before.alert.severity)
    grown = alert.revision.bit_length() > before.alert.revision.bit_length()
    closed = alert.status != before.alert.status
    return "merged" if alert.revision > before.alert.revision and (graver or grown or closed) else None


def told_of(alert: Alert) -> dict[str, str]:
    """What the ledger says of an alert."""
    detections = [finding.detection for finding in alert.findings]
    more = len(detections) - MOST_DETECTIONS
    version = alert.version
    details = {
        "revision": str(alert.revision),
        "count": str(alert.count),
        "severity": alert.severity,
        "risk": str(alert.risk),
        "entity": alert.entity,
        "title": alert.title,
        "time": rfc3339(alert.time),
        "detections": ", ".join(detections[:MOST_DETECTIONS]) + (f" and {more} more" if more > 0 else ""),
        "resolution": alert.resolution or "",
        "rules": version.rules,
        "models": version.models,
        "context": version.context,
    }
    return _said(details)


def step_of(case: Case) -> dict[str, str]:
    """What the ledger says of a case's last step, and of where the case stands after it."""
    details = {
        "action": case.steps[-1].action if case.steps else "",
        "status": case.status,
        "resolution": case.resolution or "",
        "assignee": case.assignee,
        "until": rfc3339(case.snoozed_until) if case.snoozed_until else "",
        "note": case.note,
        "version": str(case.version),
    }
    return _said(details)


def _said(details: dict[str, str]) -> dict[str, str]:
    """Those that say something."""
    return {name: value for name, value in details.items() if value}
