"""What is told of an alert, as lines in one order, whoever shows it: Slack, a terminal, a file.

Text of the log in them is one printable line each (alerting/plain.py). In *marked* lines it stands between backticks,
and no other backtick is there, so that whoever shows the line knows which part to trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from alerting.advice import addresses, so_what
from alerting.alert import EXPLAINED, Alert
from alerting.ask import Ask
from alerting.attack import named
from alerting.case import Case, left_by
from alerting.plain import plain
from audit.event import MICROSECONDS
from audit.finding import Finding

DETECTIONS, REASONS = 5, 4
"""Detections whose reasons are shown, and reasons of each."""
_NAME, _TEXT = 80, 300
_DAY, _MINUTE = 86_400 * MICROSECONDS, 60 * MICROSECONDS
_TIME = re.compile(r"\b\d{4}-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,6})?Z")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_KINDS = {"user": "account", "ip": "address", "session": "session", "resource": "resource", "source": "source"}
_RESOLUTIONS = {
    "true_positive": "a true positive",
    "false_positive": "a false positive",
    "benign": "harmless",
    EXPLAINED: "explained by declared paper",
}


def marked(text: str, limit: int = _NAME) -> str:
    """Log text in a marked line."""
    return f"`{plain(text, limit).replace('`', chr(39)) or '-'}`"


def moment(time: int) -> str:
    """A time (microseconds) as people read it, "31 Jan 12:00 UTC"."""
    try:
        stamp = datetime.fromtimestamp(time // MICROSECONDS, UTC)
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return f"{stamp.day} {stamp:%b %H:%M} UTC"


def span(first: int, last: int) -> str:
    """From when to when, "31 Jan 12:00 to 12:08 UTC"."""
    if first // _MINUTE == last // _MINUTE:
        return moment(first)
    end = moment(last)
    if first // _DAY == last // _DAY:
        end = " ".join(end.split()[2:])
    return f"{moment(first).removesuffix(' UTC')} to {end}"


def facts(alert: Alert, case: Case | None) -> Iterator[tuple[str, str]]:
    """Who, from where, when, how grave, how it stands: labels of ours and marked lines."""
    yield "Who", _who(alert)
    yield "So what", so_what(alert)
    times = [finding.time for finding in alert.findings] + [one.time for one in alert.evidence] or [alert.time]
    known = f", {_counted(len(alert.event_ids), 'event')}" if alert.event_ids else ""
    yield "When", span(min(times), max(times)) + known
    yield "Risk", f"{alert.risk} of 100, {_counted(alert.count, 'finding')}"
    yield "State", state(alert, case)
    if case and case.ask:
        yield "Asked", asked(case.ask)


def _who(alert: Alert) -> str:
    """The person and the addresses; where something else was found by, that as well."""
    kind, _, name = alert.entity.partition(":")
    people = [marked(alert.principal)] if alert.principal else []
    if kind not in ("user", "channel") or not people:
        people.append(f"{_KINDS.get(kind, 'the')} {marked(name or alert.entity)}")
    where = addresses(alert)
    return ", ".join(people) + (f" from {marked(where, 200)}" if where and name not in where else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def state(alert: Alert, case: Case | None) -> str:
    """How it stands and who left it so, a marked line: "acknowledged by `dana`, 31 Jan 12:05 UTC"."""
    status, resolution = (case.status, case.resolution) if case else (alert.status, alert.resolution)
    said = "open, nobody has it yet" if status == "open" else str(status)
    if status == "resolved" and resolution:
        said = f"resolved as {_RESOLUTIONS.get(resolution) or marked(resolution)}"
    if case is None:
        return said
    if case.snoozed_until:
        said = f"snoozed until {moment(case.snoozed_until)}"
    actor, at, note = left_by(case)
    if actor:
        said += f" by {marked(actor)}, {moment(at)}"
    if case.assignee and case.assignee != actor and status != "resolved":
        said += f", with {marked(case.assignee)}"
    return said + (f": {marked(note, _TEXT)}" if note else "")


def asked(ask: Ask) -> str:
    """Who is asked whether it is known, and what came of it, a marked line."""
    names = ", then ".join(marked(one.person) for one in ask.people)
    if ask.open:
        return f"{names}, since {moment(ask.at)}; no answer yet"
    if ask.end == "nobody":
        return f"{names}; no answer until {moment(ask.said_at)}"
    return f"{marked(ask.said_by)} said {'no' if ask.end == 'no' else 'yes'}, {moment(ask.said_at)}"


def why(alert: Alert) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Heads and what is under them: the gravest detection's reasons (its title is the alert's), then each other
    detection with its own; then the reasons that no detection gives.
    """
    shown, hidden = alert.findings[:DETECTIONS], alert.findings[DETECTIONS:]
    for finding in shown:
        lines = tuple(_reasons(finding))
        if finding is shown[0] and finding.title == alert.title and lines:
            yield from ((line, ()) for line in lines)
        else:
            yield f"{plain(finding.title, 120)} ({finding.severity}, risk {finding.risk})", lines
    if hidden:
        yield f"and {_counted(len(hidden), 'more detection')}", ()
    given = {reason for finding in alert.findings for reason in finding.reasons}
    papers = {finding.explained for finding in alert.findings if finding.explained}
    others = [one for one in alert.reasons if one not in given and not any(paper in one for paper in papers)]
    yield from ((plain(reason, _TEXT), ()) for reason in others[:REASONS])
    if len(others) > REASONS:
        yield f"and {_counted(len(others) - REASONS, 'more reason')}", ()


def _reasons(finding: Finding) -> Iterator[str]:
    """Of a rule: its description, and on one line what it looked for and found. Around it what declared paper says."""
    if finding.explained:
        yield f"✔ explained: {plain(finding.explained, _TEXT)}"
    reasons = finding.reasons
    if finding.kind in ("rule", "access") and len(reasons) > 2:
        reasons = (reasons[0], " · ".join(plain(one, 100) for one in reasons[1 : 2 * REASONS]))
    for reason in reasons[:REASONS]:
        yield _TIME.sub(_short_time, plain(reason, _TEXT))
    if len(reasons) > REASONS:
        yield f"and {_counted(len(reasons) - REASONS, 'more reason')}"
    for doubt in finding.doubts[:REASONS]:
        yield f"✘ not explained: {plain(doubt, _TEXT)}"


def _short_time(found: re.Match[str]) -> str:
    month = _MONTHS[int(found[1]) - 1] if 1 <= int(found[1]) <= 12 else found[1]
    return f"{int(found[2])} {month} {found[3]}"


def fine_print(alert: Alert) -> Iterator[str]:
    """Authors, ATT&CK by name, the alert's id, and what it was made under."""
    authors = dict.fromkeys(plain(finding.author, _NAME) for finding in alert.findings if finding.author)
    if authors:
        yield f"rules by {', '.join(authors)}"  # their licence asks for it
    if alert.attack:
        yield f"ATT&CK {' · '.join(named(alert.attack))}"
    version = msgspec.structs.asdict(alert.version)
    made = ", ".join(f"{part} {plain(hashed[:12], 12) or '-'}" for part, hashed in version.items())
    yield f"alert {plain(alert.id, 200)} revision {alert.revision} · {made}"


def outline(told: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Heads with a bullet, what is under them indented."""
    for head, under in told:
        yield f"• {head}"
        yield from (f"   {line}" for line in under)
