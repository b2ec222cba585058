"""The end of a snooze: a timer that lies in the outbox as alerts do, so that it outlives restarts and rings once."""

from __future__ import annotations

from alerting.alert import Alert
from alerting.case import Case, Step, take
from alerting.notice import is_notice
from alerting.notifier import Receipt
from alerting.store import AlertStore
from audit.finding import Version, stable_id

WAKER = "auditwatch"
"""Who ends a snooze."""


def timer(case: Case, until: int) -> Alert:
    """Rings at `until` (microseconds). It goes to nobody; `key` is the alert whose case it wakes."""
    return Alert(
        id=f"snooze:{stable_id(case.alert_id, until)}",
        time=until,
        severity="low",
        risk=0,
        principal="",
        entity="channel:snooze",
        title="End of a snooze",
        summary="",
        findings=(),
        event_ids=(),
        reasons=(),
        attack=(),
        version=Version(),
        key=case.alert_id,
    )


def is_timer(alert: Alert) -> bool:
    """Whether it is one of these."""
    return is_notice(alert) and alert.id.startswith("snooze:")


async def ring(store: AlertStore, alert: Alert, now: int) -> None:
    """Wakes the case, unless somebody has gone on with it or snoozed it anew; then forgets the timer."""
    while (case := await store.case(alert.key)) is not None and case.snoozed_until == alert.time:
        after = take(case, Step("wake", WAKER, now))
        if not isinstance(after, Case) or await store.save_case(after):
            break
    await store.receipt(alert.id, Receipt(alert.revision, alert.severity, "", "rung", now))
