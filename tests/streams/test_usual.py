from __future__ import annotations

import pytest
from msgspec.structs import replace

from audit.event import MICROSECONDS, AuditEvent, Resource
from detectors.baseline import CAPACITY, SIZE
from detectors.features import observe
from detectors.terms import KINDS
from streams.principal import Principal, event_code
from streams.usual import TOP, names_in, since_of, usual_of
from tests.laws.test_learning import USUAL, strange, weeks


def taught(events: list[AuditEvent]) -> Principal:
    state = Principal.unpack(None, None)
    for event in events:
        state.meet(observe(event))
        state.learn(observe(event))
    return state


def visits(counts: dict[str, int]) -> list[AuditEvent]:
    """A resource so many times each, a minute apart."""
    names = [name for name, count in counts.items() for _ in range(count)]
    return [
        replace(USUAL, id=f"v{at}", time=USUAL.time + at * 60 * MICROSECONDS, resource=Resource("bucket", name))
        for at, name in enumerate(names)
    ]


def test_shares_add_up_and_the_most_frequent_comes_first() -> None:
    events = visits({"a": 6, "b": 3, "c": 1})
    state = taught(events)
    resources = usual_of("alice", state, 0, names_in(events, state)).kinds[1]
    assert (resources.kind, resources.distinct) == ("resource", 3)
    assert {each.name: each.share for each in resources.top} == pytest.approx(
        {"bucket a": 0.6, "bucket b": 0.3, "bucket c": 0.1}, abs=0.01
    )
    assert [round(each.count) for each in resources.top] == [6, 3, 1]


def test_only_the_most_frequent_are_shown_and_all_that_are_kept_are_counted() -> None:
    events = visits({f"r{number}": 1 + number % 3 for number in range(CAPACITY[1] + 10)})
    resources = usual_of("alice", taught(events), 0, {}).kinds[1]
    assert (resources.distinct, len(resources.top)) == (CAPACITY[1], TOP)
    assert all(each.name.startswith("#") for each in resources.top)


def test_every_kind_has_its_name() -> None:
    events = weeks()
    state = taught(events)
    usual = usual_of("alice", state, 2_500, names_in(events, state))
    assert [kind.kind for kind in usual.kinds] == list(KINDS)
    assert [kind.top[0].name for kind in usual.kinds] == [
        "cloudtrail GetObject", "bucket reports", "DE", "AS64496", "aws-cli", "192.0.2.0/24",
    ]  # fmt: skip
    assert (usual.bytes, usual.budget_bytes, usual.known_days) == (2_500, SIZE, 9)


def test_hours_are_shares_of_weekdays_and_weekends() -> None:
    usual = usual_of("alice", taught(weeks()), 0, {})
    assert (len(usual.weekday_hours), len(usual.weekend_hours)) == (24, 24)
    assert sum(usual.weekday_hours + usual.weekend_hours) == pytest.approx(1, abs=0.01)
    assert sum(usual.weekday_hours) > sum(usual.weekend_hours) > 0


def test_what_is_held_says_what_becomes_of_it() -> None:
    deed = strange(1)
    state = taught(weeks())
    for teaches in (True, False):
        state.hold(observe(deed), deed.time, teaches, event_code(deed.id))
    learnt, dropped = usual_of("alice", state, 0, names_in([deed], state)).held
    assert (learnt.then, dropped.then) == ("learnt", "dropped")
    assert learnt.what == ["cloudtrail DeleteTrail", "trail all", "KP", "AS64500", "curl", "203.0.113.0/24"]
    assert learnt.time < learnt.until


def test_nobody_yet() -> None:
    usual = usual_of("nobody", Principal.unpack(None, None), 0, {})
    assert (usual.events, usual.since, usual.newest, usual.kinds, usual.held) == (0, "", "", [], [])
    assert usual.young


def test_names_are_looked_for_no_longer_than_needed() -> None:
    events = weeks()
    state = taught(events)
    rest = iter(events)
    assert len(names_in(rest, state)) == len(KINDS)
    assert len(list(rest)) == len(events) - 1


def test_names_of_what_is_not_kept_are_not_kept() -> None:
    assert names_in([strange(1)], taught(weeks())) == {}


def test_names_are_looked_for_as_far_back_as_they_matter() -> None:
    state = taught(weeks())
    assert since_of(state) == weeks()[-1].time - 28 * 86_400 * MICROSECONDS
    assert since_of(Principal.unpack(None, None)) == 0
