"""Correlations of correlations: what one found is a match of another."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from audit.brief import EventBrief
from audit.finding import Finding
from rules.correlation import BETWEEN, Correlation, Match, Parent, family
from rules.correlation_windows import Windows
from tests.rules.correlating import (
    HOUR,
    MINUTE,
    START,
    V,
    counting,
    entry,
    last,
    temporal,
)


def nested(kind: str = "temporal_ordered", **fields: Any) -> Correlation:
    """`c1`: many failures (by address and agent) and something else after them, by address."""
    many = counting(
        3,
        id="c1/many",
        group_by=("agent", "ip"),
        silent=True,
        parent=Parent("c1", 0, (1,)),
    )
    given = {"kind": kind, "need": 2 if kind != "event_count" else fields.get("need", 2), "timespan": HOUR}
    given |= {"rule_ids": ("many", "done"), "nested": (many,), "group_by": ("ip",), "distinct": kind == "event_count"}
    return temporal(2, **{**given, **fields})


def fed(rule: Correlation, matches: Sequence[Match], windows: Windows | None = None) -> list[Finding]:
    find = family(rule).get
    windows = Windows("ip:x") if windows is None else windows
    said = []
    for one in matches:
        windows.take(one, find)
        said += windows.tell(V, find)
    return said


def inner(at: float, agent: str = "curl", principal: str = "p") -> Match:
    return Match("c1/many", f"{agent}{BETWEEN}x", "ip:x", entry(at, principal=principal))


def done(at: float) -> Match:
    return Match("c1", "x", "ip:x", entry(at, f"d{at:g}", rule=1, principal="p"))


def test_a_correlation_counts_what_another_one_found() -> None:
    rule = nested()
    assert fed(rule, [inner(0), inner(1), done(2)]) == []
    (found,) = fed(rule, [inner(0), inner(1), inner(2), done(3)])
    assert found.detection == "c1"
    assert found.time == START + 3 * MINUTE
    assert found.event_ids == ("e0", "e1", "e2", "d3")
    assert found.principal == "p"
    assert found.reasons[0].startswith("4 matching events for ip x, from 2026-03-02T08:00:00.000Z")
    assert fed(rule, [inner(0), inner(1), inner(2, agent="wget"), done(3)]) == []
    assert fed(rule, [done(0), inner(1), inner(2), inner(3)]) == []


def test_events_in_brief_of_what_it_counts_are_told_too() -> None:
    matches = [inner(0), inner(1), inner(2), done(3)]
    kept = [msgspec.structs.replace(one.entry, seen=EventBrief(0, "", action="login")) for one in matches]
    (found,) = fed(nested(), [msgspec.structs.replace(one, entry=at) for one, at in zip(matches, kept, strict=True)])
    assert [one.id for one in found.evidence] == list(found.event_ids)
    assert {(one.source, one.action) for one in found.evidence} == {(matches[0].entry.source, "login")}


def test_evidence_that_comes_late_below_is_told_above() -> None:
    found = fed(nested(), [inner(0), inner(1), inner(2), done(3), inner(1.5)])
    assert found[-1].event_ids == ("e0", "e1", "e1.5", "e2", "d3")
    assert len({one.id for one in found}) == 1


def test_a_correlation_of_findings_counts_findings() -> None:
    rule = nested("event_count")
    one = [inner(at / 10) for at in range(20)]
    assert fed(rule, one) == []
    (found, *_) = fed(rule, [*one, *(inner(at, agent="wget") for at in (3, 4, 5))])
    assert len(found.event_ids) == 23


def test_nested_correlations_survive_restarts_and_reordering() -> None:
    rule = nested()
    find = family(rule).get
    matches = [*(inner(at / 3, principal="ab"[at % 2]) for at in range(12)), done(3.5), done(2.1), inner(40)]
    wanted = last(fed(rule, sorted(matches, key=lambda one: one.entry.time)))
    assert wanted
    for seed in range(40):
        random = Random(seed)
        shuffled = sorted(matches, key=lambda one: one.entry.time + random.randrange(5 * MINUTE))
        windows, said = Windows("ip:x"), []
        for match in shuffled:
            windows.take(match, find)
            if random.random() < 0.3:
                said += windows.tell(V, find)
                packed = msgspec.msgpack.encode(windows.pack())
                windows = Windows("ip:x", msgspec.msgpack.decode(packed, type=dict[str, msgspec.Raw]))
        said += windows.tell(V, find)
        assert last(said) == wanted


# bounds
