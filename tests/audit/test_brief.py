from __future__ import annotations

import json
import timeit

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from audit.brief import EARLIEST, LATEST, EventBrief, Measure, brief, ends
from audit.event import AuditEvent, Principal, Resource

texts = st.text(st.characters(), max_size=300)
optional = st.none() | texts
principals = st.builds(Principal, texts, texts)
events = st.builds(
    AuditEvent,
    id=texts,
    time=st.integers(0, 2**60),
    source=st.sampled_from(["cloudtrail", "okta"]),
    action=texts,
    outcome=st.sampled_from(["success", "denied"]),
    actor=principals,
    target=st.none() | principals,
    resource=st.none() | st.builds(Resource, texts, texts),
    source_ip=optional,
    country=optional,
)
LOGIN = AuditEvent(
    id="e1",
    time=5,
    source="cloudtrail",
    action="AssumeRole",
    outcome="success",
    actor=Principal("alice", "Alice"),
    target=Principal("bob", "Bob"),
    resource=Resource("AWS::IAM::Role", "admin"),
    source_ip="203.0.113.9",
    country="KP",
)


def test_an_event_in_brief_says_who_did_what_to_what_from_where() -> None:
    expected = (5, "e1", "cloudtrail", "AssumeRole", "success", "alice", "bob", "AWS::IAM::Role admin")
    assert msgspec.structs.astuple(brief(LOGIN)) == (*expected, "203.0.113.9", "KP")
    bare = msgspec.structs.replace(LOGIN, target=None, resource=None, source_ip=None, country=None)
    assert msgspec.structs.astuple(brief(bare))[6:] == ("", "", "", "")


@given(events)
def test_any_event_in_brief_is_printable_and_short(event: AuditEvent) -> None:
    told = brief(event)
    shown = [told.action, told.actor, told.target, told.resource, told.address, told.country]
    assert all(text.isprintable() for text in shown)
    assert len(msgspec.msgpack.encode(msgspec.structs.replace(told, id=""))) < 1_700


def test_secrets_are_gone_before_it_is_cut() -> None:
    """Cut first, half a token would be left, and have no shape to know it by."""
    name = "x" * 100 + " AKIAABCDEFGHIJKLMNOP"
    event = msgspec.structs.replace(LOGIN, action="password=hunter2hunter2", resource=Resource("key", name))
    told = json.dumps(msgspec.structs.astuple(brief(event)))
    assert "hunter2" not in told
    assert "AKIAABCD" not in told


def test_briefs_are_in_order_of_time_and_travel_packed() -> None:
    late, early = EventBrief(2, "a"), EventBrief(1, "b")
    assert sorted([late, early]) == [early, late]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(late), type=EventBrief) == late
    assert sorted([Measure("b", 1, 1), Measure("a", 2, 1), Measure("a", 1, 1)])[0] == Measure("a", 1, 1)


def test_it_is_made_in_a_few_microseconds() -> None:
    assert min(timeit.repeat(lambda: brief(LOGIN), number=1000, repeat=5)) / 1000 < 100e-6


few = st.lists(st.builds(EventBrief, st.integers(0, 30), st.sampled_from("abcdef")), max_size=60)


@given(few, few)
def test_the_ends_of_a_part_and_the_rest_are_those_of_the_whole(part: list[EventBrief], rest: list[EventBrief]) -> None:
    """So nothing depends on the order in which events come, nor on where a store was in between."""
    whole = sorted({*part, *rest})
    assert ends((*ends(part), *rest)) == ends(whole)
    assert ends(whole)[:EARLIEST] == tuple(whole[:EARLIEST])
    assert ends(whole)[-LATEST:] == tuple(whole[-LATEST:])
    assert len(ends(whole)) <= EARLIEST + LATEST
