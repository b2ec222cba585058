from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.event import AuditEvent, Principal, Resource
from streams import sessions
from streams.sessions import MOST_HOPS, MOST_SEEN, Key, Session, key_of, named, sessions_of
from tests.streams.usual_life import ALICE, MONDAY, USUAL

MINUTE = 60_000_000
BOB = Principal("bob", "Bob", "human", "asserted")
TOKEN = b'{"annotations":{"authentication.kubernetes.io/issued-credential-id":"JTI=9"}}'
ROLE = Principal("aws:arn:aws:sts::1:assumed-role/vendor-sync", "vendor-sync")


def used(minute: int, session: str | None = "S1", **changes: Any) -> AuditEvent:
    return replace(USUAL, id=f"{session}-{minute}", time=MONDAY + minute * MINUTE, session_id=session, **changes)


def assumed(minute: int, new: str, session: str | None = "ASIA1", **changes: Any) -> AuditEvent:
    raw = {"eventSource": "sts.amazonaws.com", "responseElements": {"credentials": {"accessKeyId": new}}}
    made = used(minute, session, source="cloudtrail", action="AssumeRole", raw=orjson.dumps(raw), **changes)
    return replace(made, id=f"issue-{new}-{minute}-{session}")


def worked(minute: int, session: str, **changes: Any) -> AuditEvent:
    return used(minute, session, **{"source": "cloudtrail", "action": "GetObject", "actor": ROLE} | changes)


def one(*events: AuditEvent, session: str = "S1") -> Session:
    [found] = [each for each in sessions_of(events).told() if each.id == session]
    return found


def test_a_session_says_who_from_where_and_when() -> None:
    found = one(used(0), used(5, actor=replace(ALICE, identity="asserted")), used(2, source_ip="192.0.2.8"))
    assert (found.principals, found.identity, found.events) == (("alice",), "verified", 3)
    assert (found.first[11:16], found.last[11:16]) == ("00:00", "00:05")
    assert found.addresses == ("192.0.2.7", "192.0.2.8")
    assert (found.countries, found.asns, len(found.user_agents)) == (("DE",), (64496,), 1)
    assert (found.opened_by, found.chain, found.flags, found.person) == ("", (), (), "alice")


def test_events_without_a_session_make_none() -> None:
    assert sessions_of([used(0, None)]).told() == []


def test_a_role_session_is_tied_to_whoever_assumed_the_role() -> None:
    found = one(assumed(0, "ASIA2"), worked(1, "ASIA2"), session="ASIA2")
    [link] = found.chain
    assert (link.by, link.parent, link.action, link.time[11:16]) == ("alice", "ASIA1", "AssumeRole", "00:00")
    assert (found.opened_by, found.person, found.principals) == ("alice", "alice", (ROLE.id,))
    assert found.flags == ()


def test_a_chain_of_roles_goes_back_to_its_beginning_whatever_the_order() -> None:
    events = [worked(9, "ASIA4"), assumed(3, "ASIA4", "ASIA3", actor=ROLE), assumed(2, "ASIA3", "ASIA2", actor=ROLE)]
    events += [assumed(1, "ASIA2", None)]
    found = one(*events, session="ASIA4")
    assert [link.parent for link in found.chain] == ["ASIA3", "ASIA2", ""]
    assert found.opened_by == "alice"
    told = sessions_of(events)
    assert told.opened(Key("aws", "ASIA4"), "alice") == found.chain[-1]
    assert told.opened(Key("aws", "ASIA4"), "bob") is None
    assert told.opened_by("alice") == ["ASIA4", "ASIA3", "ASIA2"] == [*told.opened_by(ROLE.id), "ASIA2"]
    assert told.within(Key("aws", "ASIA4"), "ASIA2")
    assert told.within(Key("aws", "ASIA2"), "ASIA2")
    assert not told.within(Key("aws", "ASIA2"), "ASIA4")


@pytest.mark.parametrize("round_", [("ASIA2",), ("ASIA2", "ASIA3"), ("ASIA2", "ASIA3", "ASIA4")])
def test_a_forged_circle_ends_and_is_nobodys(round_: tuple[str, ...]) -> None:
    forged = [assumed(at, new, round_[at - 1]) for at, new in enumerate(round_)]
    found = one(*forged, worked(9, round_[0]), session=round_[0])
    assert len(found.chain) == len(round_)
    assert found.opened_by == ""
    assert "chain without end" in found.flags


def test_a_chain_is_followed_so_far_and_no_further() -> None:
    forged = [assumed(at, f"ASIA{at + 1}", f"ASIA{at}") for at in range(MOST_HOPS + 5)]
    found = one(*forged, session=f"ASIA{MOST_HOPS + 4}")
    assert len(found.chain) == MOST_HOPS
    assert (found.opened_by, found.flags) == ("", ("chain without end",))


def test_two_records_that_issued_one_session_are_a_flag_and_the_earliest_stands() -> None:
    events = [assumed(4, "ASIA2", actor=BOB), assumed(1, "ASIA2"), worked(5, "ASIA2")]
    found = one(*events, session="ASIA2")
    assert (found.opened_by, found.flags) == ("alice", ("issued twice",))
    again = one(assumed(1, "ASIA2"), assumed(1, "ASIA2"), worked(5, "ASIA2"), session="ASIA2")
    assert again.flags == ()


@pytest.mark.parametrize(
    ("events", "flags"),
    [
        ([used(0), used(1, actor=BOB)], ("several principals",)),
        ([used(0), used(1, actor=replace(BOB, identity="anonymous"))], ()),
        ([used(0), used(1, country="HK")], ("several countries",)),
        ([used(0), used(1, asn=64511)], ("several networks",)),
        ([used(0), used(1, country=None, asn=None)], ()),
        ([used(0), used(3, action="user.session.end")], ()),
        ([used(5), used(3, action="user.session.end")], ("used after its end",)),
        ([used(5, outcome="denied"), used(3, action="user.session.end")], ()),
        ([used(4), used(3, action="user.session.end")], ()),
        ([used(5), used(3, action="user.session.end", outcome="failure")], ()),
    ],
)
def test_what_is_odd_about_a_session(events: list[AuditEvent], flags: tuple[str, ...]) -> None:
    assert one(*events).flags == flags


def test_the_number_of_a_session_on_a_host_is_given_again() -> None:
    events = [used(0, "web1:3", source="linux"), used(1, "web1:3", source="linux", actor=BOB)]
    assert one(*events, session="web1:3").flags == ()


def test_a_session_used_elsewhere_than_where_it_was_issued() -> None:
    abroad = worked(1, "ASIA2", country="HK", asn=64511)
    assert one(assumed(0, "ASIA2"), abroad, session="ASIA2").flags == (
        "issued in another country",
        "issued in another network",
    )
    nowhere = worked(1, "ASIA2", country=None, asn=None)
    assert one(assumed(0, "ASIA2"), nowhere, session="ASIA2").flags == ()


def test_sessions_of_one_person_at_once_in_two_countries_are_context_and_no_flag() -> None:
    events = [used(0), used(9), used(4, "S2", country="FR"), used(20, "S3", country="FR"), used(5, "S4")]
    told = {each.id: each for each in sessions_of([*events, used(4, "S5", country="FR", actor=BOB)]).told()}
    assert {name: each.beside for name, each in told.items()} == {
        "S1": ("S2",), "S2": ("S1",), "S3": (), "S4": (), "S5": (),
    }  # fmt: skip
    assert not any(each.flags for each in told.values())


def test_systems_choose_ids_of_their_own_but_eks_names_the_aws_session() -> None:
    assert len(sessions_of([used(0, "7"), used(1, "7", source="slack")]).told()) == 2
    assert key_of(used(0, "7", source="o365")) == named("entra", "7")
    assert named("kubernetes", "ASIA2") == named("cloudtrail", "ASIA2")
    assert named("kubernetes", "JTI=2").system == "k8s"
    cluster = used(3, "ASIA2", source="kubernetes", actor=ROLE)
    token = replace(cluster, id="token", resource=Resource("serviceaccounts/token", "ci/runner"), raw=TOKEN)
    events = [assumed(0, "ASIA2"), worked(1, "ASIA2"), cluster, token, used(4, "JTI=9", source="kubernetes", actor=BOB)]
    found = one(*events, session="ASIA2")
    assert (found.sources, found.opened_by) == (("cloudtrail", "kubernetes"), "alice")
    assert one(*events, session="JTI=9").opened_by == "alice"


def test_memory_is_bounded_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 2)
    made = sessions_of([used(0), used(1, "S2"), used(2, "S3"), used(3, "S1")])
    assert ([each.id for each in made.told()], made.left_out) == (["S1", "S2"], 1)
    issues = sessions_of(assumed(at, f"ASIA{at}", None) for at in range(5, 9))
    assert (issues.opened_by("alice"), issues.left_out) == (["ASIA5", "ASIA6"], 2)


def test_what_one_session_shows_is_bounded() -> None:
    many = [used(at, actor=Principal(f"p{at}", "x"), source_ip=f"10.0.0.{at}", asn=at + 1) for at in range(40)]
    found = one(*many)
    assert len(found.principals) == len(found.addresses) == len(found.asns) == MOST_SEEN
    assert found.events == 40


EVENTS = st.lists(
    st.one_of(
        st.builds(
            used,
            st.integers(0, 9),
            st.sampled_from(["S1", "S2", "ASIA1"]),
            actor=st.sampled_from([ALICE, BOB]),
            country=st.sampled_from(["DE", "HK"]),
            action=st.sampled_from(["sso", "user.session.end"]),
        ),
        st.builds(
            assumed,
            st.integers(0, 9),
            st.sampled_from(["ASIA1", "ASIA2", "ASIA3"]),
            st.sampled_from([None, "ASIA1", "ASIA2", "ASIA3"]),
            actor=st.sampled_from([ALICE, BOB, ROLE]),
        ),
    ),
    max_size=12,
    unique_by=lambda event: (event.id, event.actor.id, event.country, event.action),
)


def plain(found: Session) -> tuple[Any, ...]:
    """A session without who issued it: of several records of one time and id any stands."""
    return tuple(getattr(found, name) for name in found.__struct_fields__ if name not in ("chain", "opened_by"))


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_show_and_every_chain_ends(events: list[AuditEvent], rng: Random) -> None:
    shuffled = rng.sample(events, len(events))
    told, other = sessions_of(events).told(), sessions_of(shuffled).told()
    assert sorted(map(plain, told)) == sorted(map(plain, other))
    assert all(len(each.chain) <= MOST_HOPS for each in told)
