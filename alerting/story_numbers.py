"""The two boxes of an alert in type of even width: usual against now, and the events it rests on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from alerting.alert import Alert
from alerting.plain import plain
from audit.brief import EventBrief, Measure
from audit.event import MICROSECONDS

BARS, BAR = 3, 14
"""Numbers shown as bars, and the length of the longest bar: a phone shows some 36 characters a line."""
EARLIEST, LATEST = 3, 2
"""Kinds of events shown, from the first ones and from the last."""
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LONG = 80


def bars(measures: Sequence[Measure]) -> list[str]:
    """Usual against now, three lines a number; of several those that are farthest from their usual."""
    ordered = sorted(measures, key=lambda one: (-one.now / (max(one.usual, 0.0) + 1.0), one.what))
    return [line for one in ordered[:BARS] for line in _bar(one)]


def _bar(one: Measure) -> Iterator[str]:
    longest = max(one.now, one.usual, 1e-9)
    yield plain(one.what, 60)
    for label, value in (("usual", one.usual), ("now", one.now)):
        yield f"{label:>6} {_blocks(value / longest)} {_number(value)}"


def _blocks(share: float) -> str:
    eighths = max(1, round(min(max(share, 0.0), 1.0) * BAR * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _number(value: float) -> str:
    return f"{value:.0f}" if 10 <= value < 1e9 else f"{value:g}"


def events(alert: Alert) -> tuple[str, list[str]]:
    """What all events have in common, and the first and the last of them, two lines each: what is alike is told once,
    and the others are counted.
    """
    known = alert.evidence
    dated = len({one.time // MICROSECONDS // 86_400 for one in known}) > 1
    common = [one for one in _places(known[0]) if all(one in _places(other) for other in known)] if known else []
    hide = {*common, alert.principal}
    alike = _alike(known)
    first, last = alike[:EARLIEST], alike[EARLIEST:][-LATEST:]
    rest = max(len(alert.event_ids), len(known)) - sum(map(len, first + last))
    lines = [line for group in first for line in _event(group, dated, hide)]
    lines += [f"… and {rest} more" if last else f"and {rest} more"] if rest > 0 and known else []
    lines += [line for group in last for line in _event(group, dated, hide)]
    return " · ".join(plain(one, _LONG) for one in common), lines


def _places(one: EventBrief) -> list[str]:
    """Where it happened and where it came from."""
    return [part for part in (one.source, f"{one.address} {one.country}".strip()) if part]


def _alike(evidence: Sequence[EventBrief]) -> list[list[EventBrief]]:
    """Events that differ in nothing but time and id, together, in order of their first."""
    groups: dict[tuple[str, ...], list[EventBrief]] = {}
    for one in evidence:
        key = (one.source, one.action, one.outcome, one.actor, one.target, one.resource, one.address, one.country)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _event(group: Sequence[EventBrief], dated: bool, hide: Collection[str]) -> Iterator[str]:
    one = group[0]
    clock = _clock(one.time, dated) + (f"-{_clock(group[-1].time, dated)}" if len(group) > 1 else "")
    times = f" {len(group)}x" if len(group) > 1 else ""
    outcome = f" · {plain(one.outcome, 20)}" if one.outcome not in ("", "unknown") else ""
    yield f"{clock}{times} {plain(one.action, 60) or '-'}{outcome}"
    parts = (one.actor, f"to {one.target}" if one.target else "", one.resource, *_places(one))
    if about := " · ".join(plain(part, _LONG) for part in parts if part and part not in hide):
        yield f"  {about}"


def _clock(time: int, dated: bool) -> str:
    try:
        stamp = datetime.fromtimestamp(time // MICROSECONDS, UTC)
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"{stamp.day} {stamp:%b %H:%M:%S}" if dated else f"{stamp:%H:%M:%S}"
