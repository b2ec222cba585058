"""What the desk itself has to tell: digests and escalations. They lie in the outbox as alerts do, under their own ids.

So whatever keeps an alert from being lost or doubled keeps these from it too. A notice about nobody has the entity
"channel:NAME" and goes there; its `time` is when it is due.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from alerting.alert import Alert
from alerting.mute import Mute
from alerting.plain import plain
from alerting.route import Route, Step
from alerting.route_time import shown
from audit.context_schema import DAY
from audit.event import rfc3339
from audit.finding import SEVERITIES, Finding, Version, stable_id

MEMBERS = 500
"""Alerts one digest names at most; the next one of the same time takes the others."""
LINES = 20
"""Lines a digest shows; alerts of one title share a line."""
_NAMES = 5


def is_notice(alert: Alert) -> bool:
    """Whether it is a digest or an escalation."""
    return alert.entity.startswith("channel:")


def is_escalation(alert: Alert) -> bool:
    """Whether it says that nobody acknowledged an alert (whose id is its key)."""
    return is_notice(alert) and alert.id.startswith("escalation:")


def place(notice: Alert) -> str:
    """The channel or user a notice goes to."""
    return notice.entity.removeprefix("channel:")


def digest_id(channel: str, due: int, part: int = 0) -> str:
    """The id of the digest of a channel that is due then."""
    return f"digest:{stable_id(channel, due, part)}"


def digest(old: Alert | None, id: str, channel: str, due: int, alerts: Sequence[Alert]) -> Alert:
    """The digest with these alerts in it too."""
    members = {finding.id: finding for finding in (old.findings if old else ())}
    members |= {alert.id: _member(alert) for alert in alerts}
    findings = tuple(sorted(members.values(), key=lambda one: (-SEVERITIES.index(one.severity), one.time, one.id)))
    many = f"{len(findings)} alerts" if len(findings) > 1 else "1 alert"
    late = sum(finding.time < due - DAY for finding in findings)
    older = f" {late} of them had happened more than a day before." if late else ""
    return Alert(
        id=id,
        time=due,
        severity=findings[0].severity,
        risk=findings[0].risk,
        principal="",
        entity=f"channel:{channel}",
        title=f"Digest: {many}",
        summary=f"{many} that did not need a message each. `auditwatch alerts list` names all of them.{older}",
        findings=findings,
        event_ids=(),
        reasons=tuple(_lines(findings)),
        attack=(),
        version=alerts[0].version,
        key="digest",
        count=len(findings),
        revision=old.revision + 1 if old else 1,
    )


def holds(notice: Alert | None, alert: Alert) -> bool:
    """Whether a digest names an alert."""
    return notice is not None and any(finding.id == alert.id for finding in notice.findings)


def escalations(alert: Alert, route: Route, now: int, round: int = 0) -> Iterator[Alert]:
    """What is to be said, and when, if nobody acknowledges an alert shown `now`: one notice a step of its route."""
    for step in route.escalate:
        if SEVERITIES.index(alert.severity) >= SEVERITIES.index(step.severity):
            why = f"Nobody has acknowledged it for {shown(step.after)}."
            yield _about(alert, step.to, now + step.after, why, _step_id(alert, step, round))


def raised(alert: Alert, channel: str, now: int) -> Alert:
    """Tells another channel of an alert that became so grave that it is that channel's."""
    why = f"It became {alert.severity} after it was shown in another channel."
    return _about(alert, channel, now, why, f"escalation:{stable_id(alert.id, 'raised', alert.severity, channel)}")


def mute_ended(mute: Mute, channel: str) -> Alert:
    """Says once that a mute works no longer."""
    return Alert(
        id=f"mute:{stable_id(mute.name, mute.owner, mute.reason, mute.expires)}",
        time=mute.expires,
        severity="low",
        risk=0,
        principal="",
        entity=f"channel:{channel}",
        title=f"A mute has ended: {plain(mute.name, 80)}",
        summary="What it kept silent alerts again. Take it out of the routes file, or renew it there.",
        findings=(),
        event_ids=(),
        reasons=(f"{plain(mute.owner, 80)} muted it until {rfc3339(mute.expires)}: {plain(mute.reason, 200)}",),
        attack=(),
        version=Version(),
        key="mute",
    )


def _step_id(alert: Alert, step: Step, round: int) -> str:
    return f"escalation:{stable_id(alert.id, step.after, step.to, *([round] if round else []))}"


def _about(alert: Alert, channel: str, due: int, why: str, id: str) -> Alert:
    return msgspec.structs.replace(
        alert,
        id=id,
        time=due,
        entity=f"channel:{channel}",
        title=f"Not acknowledged: {alert.title}",
        reasons=(why, *alert.reasons[: LINES - 1]),
        findings=(),
        event_ids=(),
        key=alert.id,
        revision=1,
    )


def _member(alert: Alert) -> Finding:
    """An alert as a digest keeps it."""
    return Finding(
        id=alert.id,
        time=alert.time,
        kind="rule",
        detection="alert",
        title=plain(alert.title, 120),
        severity=alert.severity,
        risk=alert.risk,
        principal=plain(alert.principal or alert.entity, 80),
        entity=plain(alert.entity, 80),
        event_ids=(),
    )


def _lines(findings: Iterable[Finding]) -> Iterator[str]:
    groups: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.title].append(finding)
    for number, ((severity, title), members) in enumerate(groups.items()):
        if number == LINES - 1 and len(groups) > LINES:
            rest = sum(map(len, list(groups.values())[number:]))
            yield f"and {rest} more, as grave as {severity} or less"
            return
        yield (
            f"{severity}: {title}, {len(members)} times ({_names(members)})"
            if len(members) > 1
            else (f"{severity}: {title} ({members[0].principal}, alert {members[0].id})")
        )


def _names(members: Iterable[Finding]) -> str:
    names = [name for name, _ in Counter(finding.principal for finding in members).most_common()]
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
