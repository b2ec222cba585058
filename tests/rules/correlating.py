"""Correlations made by hand, matches for them, and what they must say: worked out from all matches at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise, product
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from statistics import median
from typing import Any

from audit.event import MICROSECONDS
from audit.finding import Finding, Version
from rules.correlation import SCALE, Correlation, Entry, Match
from rules.correlation_expression import clauses
from rules.correlation_windows import Windows

SECOND = MICROSECONDS
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_772_438_400 * SECOND  # 2026-03-02T08:00:00Z: a border of hours and of episodes
LATENESS = 5 * MINUTE
V = Version(rules="r")
COMPARE = {"gte": ge, "gt": gt, "lte": le, "lt": lt, "eq": eq, "neq": ne}


def correlation(**fields: Any) -> Correlation:
    given: dict[str, Any] = {
        "id": "c1",
        "name": "spray",
        "title": "Many failures",
        "severity": "high",
        "risk": 60,
        "attack": ("T1110",),
        "author": "somebody",
        "path": Path("c.yml"),
        "status": "",
        "description": "",
        "falsepositives": (),
        "runbook": (),
        "tests": (),
        "rule_ids": ("r1",),
        "group_by": ("auditwatch.source_ip",),
        "timespan": 10 * MINUTE,
        "kind": "event_count",
        "timing": "prompt",
        "bounds": (("gte", 3),),
        "need": 3,
        "lateness": LATENESS,
        "sources": frozenset({"okta"}),
        "stamp": "s",
    }
    return Correlation(**{**given, **fields})


def counting(need: int, **fields: Any) -> Correlation:
    return correlation(**{"need": need, "bounds": (("gte", need),), **fields})


def distinct(need: int = 3, **fields: Any) -> Correlation:
    return counting(need, kind="value_count", fields=("auditwatch.actor.name",), **fields)


def measuring(kind: str, op: str, number: int, **fields: Any) -> Correlation:
    timing = "settled" if kind != "value_sum" else "prompt" if op in ("gte", "gt") else "complete"
    least = number * SCALE + (op == "gt")
    given = {"bounds": ((op, number * SCALE),), "need": least, "timing": timing, "fields": ("bytes",)}
    return correlation(kind=kind, **{**given, **fields})


def bounded(*bounds: tuple[str, int], **fields: Any) -> Correlation:
    return correlation(**{"timing": "complete", "bounds": bounds, "need": 1, **fields})


def temporal(rules: int, condition: str = "", ordered: bool = False, **fields: Any) -> Correlation:
    names = tuple("abcdefghijkl"[:rules])
    ways = tuple(one.placed(names) for one in clauses(condition)) if condition else ()
    given = {
        "kind": "temporal_ordered" if ordered else "temporal",
        "rule_ids": names,
        "clauses": ways,
        "need": rules,
        "bounds": () if ways else (("gte", rules),),
        "timing": "forward" if any(one.missing for one in ways) else "prompt",
    }
    return correlation(**{**given, **fields})


def absent(of: Correlation, within: int) -> Correlation:
    fields = {name: getattr(of, name) for name in Correlation.__slots__}
    return Correlation(**{**fields, "absent": len(of.rule_ids), "absent_name": "healed", "within": within})


def entry(at: float, identity: str = "", rule: int = 0, value: Any = "", principal: str = "alice") -> Entry:
    """A match `at` minutes after START."""
    return Entry(START + round(at * MINUTE), "okta", identity or f"e{at:g}", rule, principal, value)


def matched(entry: Entry, name: str = "c1", group: str = "1.2.3.4") -> Match:
    return Match(name, group, f"ip:{group}", entry)


def told(rule: Correlation, entries: Iterable[Entry], windows: Windows | None = None) -> list[Finding]:
    """Everything that is said of the entries, told after each."""
    windows = Windows("ip:1.2.3.4") if windows is None else windows
    said: list[Finding] = []
    for one in entries:
        windows.take(matched(one), {rule.id: rule}.get)
        said += windows.tell(V, {rule.id: rule}.get)
    return said


def ended(rule: Correlation, windows: Windows, until: int = 1 << 62) -> list[Finding]:
    """What is said when time has come to `until`."""
    find = {rule.id: rule}.get
    said = windows.tell(V, find)
    while (due := windows.due()) is not None and due <= until:
        windows.tick(lambda _: until, find)
        said += windows.tell(V, find, lambda _: until)
    return said


def last(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.id: finding for finding in findings}


def expected(rule: Correlation, entries: Sequence[Entry]) -> dict[tuple[int, int], set[str]]:
    """What must be said: (bin, first time) -> event ids."""
    counted = sorted((one for one in entries if one.rule != rule.absent), key=lambda one: one.time)
    bins: dict[int, set[int]] = {}
    for time in _fired(rule, counted, [one.time for one in entries if one.rule == rule.absent]):
        bins.setdefault(time // rule.bin, set()).add(time)
    return {
        (index, min(times)): {
            one.event_id
            for one in counted
            if any(time - rule.within - rule.timespan < one.time <= time - rule.within for time in times)
        }
        for index, times in bins.items()
    }


def summed_up(rule: Correlation, findings: Iterable[Finding]) -> dict[tuple[int, int], set[str]]:
    """Findings in the form of `expected`."""
    return {(one.time // rule.bin, one.time): set(one.event_ids) for one in findings}


def _fired(rule: Correlation, entries: Sequence[Entry], absents: Sequence[int]) -> set[int]:
    times = sorted({one.time for one in entries})

    def within(low: int, high: int) -> list[Entry]:
        return [one for one in entries if low < one.time <= high]

    if rule.timing == "complete":
        fired: set[int] = set()
        start = None
        for time in times:
            if start is None or time >= start + rule.timespan:
                start = time
                if _holds(rule, within(start - 1, start + rule.timespan - 1)):
                    fired.add(start + rule.timespan - 1)
        return fired
    if rule.timing == "forward":
        ends = [time + rule.timespan - 1 for time in times]
        return {end for end, time in zip(ends, times, strict=True) if _follows(rule, within(time - 1, end))}
    reached = {time for time in times if _holds(rule, within(time - rule.timespan, time))}
    if rule.absent < 0:
        return reached
    return {time + rule.within for time in reached if not any(time < one <= time + rule.within for one in absents)}


def _follows(rule: Correlation, entries: Sequence[Entry]) -> bool:
    there = {one.rule for one in entries}
    begin = {one.rule for one in entries if one.time == entries[0].time}
    return any(
        set(one.present) <= there
        and not set(one.missing) & there
        and begin & set(one.present)
        and (rule.kind == "temporal" or _in_order(one.present, entries))
        for one in rule.clauses
    )


def _in_order(rules: Sequence[int], entries: Sequence[Entry]) -> bool:
    columns = [[one.time for one in entries if one.rule == rule] for rule in rules]
    return any(all(early < late for early, late in pairwise(times)) for times in product(*columns))


def _holds(rule: Correlation, entries: Sequence[Entry]) -> bool:
    if not entries:
        return False
    present = {one.rule for one in entries}
    if rule.clauses:
        sequences = [one.present for one in rule.clauses if present.issuperset(one.present)]
        return any(rule.kind == "temporal" or _in_order(one, entries) for one in sequences)
    if rule.kind == "temporal_ordered":
        return _in_order(range(len(rule.rule_ids)), entries)
    measure: Callable[[], Any] = {
        "event_count": lambda: len(entries),
        "value_count": lambda: len({one.value for one in entries}),
        "temporal": lambda: len(present),
        "value_sum": lambda: sum(max(0, one.value) for one in entries),
        "value_avg": lambda: Fraction(sum(one.value for one in entries), len(entries)),
        "value_median": lambda: median([Fraction(one.value) for one in entries]),
        "value_percentile": lambda: _percentile([one.value for one in entries], rule.percentile),
    }[rule.kind]
    return all(COMPARE[op](measure(), number) for op, number in rule.bounds)


def _percentile(values: list[int], percent: int) -> Fraction:
    ordered = sorted(values)
    position = Fraction((len(ordered) - 1) * percent, 100)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
