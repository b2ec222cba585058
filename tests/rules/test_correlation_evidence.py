from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from audit.brief import EventBrief, ends, named
from rules.correlation import BETWEEN, Entry
from rules.correlation_evidence import MOST_EVENT_IDS, MOST_VALUES, Evidence, seen_of


def entries(count: int) -> list[Entry]:
    return [Entry(1000 + at, "okta", f"e{at:05}", 0, f"p{at % 100:03}", f"v{at:05}") for at in range(count)]


def test_it_counts_events_once_and_knows_when_they_were() -> None:
    evidence = Evidence()
    evidence.add([Entry(5, "okta", "b", 0, "p", "v"), Entry(7, "okta", "a", 1, "q", "w")], True)
    evidence.add([Entry(7, "okta", "a", 2, "q", "w")], True)
    assert (evidence.count, evidence.earliest, evidence.latest) == (2, 5, 7)
    assert evidence.basis().event_ids == ("b", "a")
    assert (evidence.principals.keys(), evidence.values.keys()) == ({"p", "q"}, {"v", "w"})


def test_it_is_bounded_and_the_same_in_any_order() -> None:
    many = entries(5000)
    found = []
    for seed in range(5):
        evidence, random = Evidence(), Random(seed)
        parts = [many[at : at + 50] for at in range(0, 5000, 50)]
        random.shuffle(parts)
        for part in parts:
            evidence.add(part, True)
        evidence.trim()
        found.append(evidence)
    assert all(one.basis().event_ids == found[0].basis().event_ids for one in found)
    assert len(found[0].events) == MOST_EVENT_IDS
    assert len(found[0].values) == MOST_VALUES
    assert {(one.count, one.earliest, one.latest) for one in found} == {(5000, 1000, 5999)}


def test_copies_grow_by_themselves() -> None:
    evidence = Evidence()
    evidence.add(entries(1), True)
    copy = evidence.copy()
    copy.add(entries(3), True)
    assert (evidence.count, copy.count) == (1, 3)
    assert len(evidence.values) == 1


def test_joining_counts_what_is_new() -> None:
    outer, inner = Evidence(), Evidence()
    outer.add(entries(2), False)
    inner.add(entries(5), True)
    outer.join(inner)
    outer.join(Evidence())
    assert (outer.count, len(outer.events), outer.latest) == (5, 5, 1004)
    assert not outer.values


def test_of_a_nested_finding_the_last_entry_stands_for_all() -> None:
    evidence = Evidence()
    window = f"c1/i{BETWEEN}g"
    evidence.add([Entry(at, window, "f1", 0, "") for at in (1, 2)], False)
    evidence.add([Entry(3, window, "f2", 0, ""), Entry(4, "okta", "e", 1, "p")], False)
    assert [(one.event_id, one.time) for one in evidence.nested] == [("f1", 2), ("f2", 3)]
    assert (evidence.count, evidence.basis().event_ids) == (1, ("e",))


def test_it_survives_packing() -> None:
    evidence = Evidence()
    evidence.add(entries(3), True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(evidence), type=Evidence) == evidence


def seen(at: int, name: int, rule: int) -> Entry:
    return Entry(at, "okta", f"e{at}{name}", rule, "p", "", EventBrief(0, "", action=f"a{name}"))


moments = st.lists(st.builds(seen, st.integers(1, 25), st.integers(0, 2), st.integers(0, 1)), max_size=80)


@given(moments, st.integers(0, 80))
def test_the_first_and_the_last_events_in_brief_are_found_from_both_ends(entries: list[Entry], cut: int) -> None:
    """Also where several rules match one event, several events are at one time, and some have left the window."""
    entries.sort(key=lambda entry: entry.time)
    whole = ends(named(one.seen, one.time, one.event_id, "okta") for one in entries if one.seen)
    assert ends(seen_of(entries)) == whole
    spilled = Evidence()
    spilled.add(entries[:cut], values=False)
    assert ends((*spilled.seen, *seen_of(entries[cut:]))) == whole


def test_without_briefs_there_are_none() -> None:
    assert list(seen_of([Entry(1, "okta", "e", 0, "p")])) == []
