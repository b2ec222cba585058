from __future__ import annotations

from typing import Any

import pytest

from alerting import risk
from audit.event import MICROSECONDS, Principal
from rules.correlation import EPISODE, SCALE, Entry, Feed, Match, family, feeds_of, match_of
from rules.correlation_entity import Kept, entity_of, kept_by
from rules.fields import getter
from tests.rules.conftest import event, view
from tests.rules.correlating import HOUR, LATENESS, MINUTE, absent, bounded, correlation, counting, distinct, measuring


def feed(*groups: str, values: tuple[str, ...] = (), numeric: bool = False, kept: Kept | None = None) -> Feed:
    fields = groups or ("auditwatch.source_ip",)
    kept = kept or kept_by([fields])
    return Feed(
        correlation="c1",
        rule_id="r1",
        rule=0,
        groups=tuple(map(getter, fields)),
        values=tuple(map(getter, values)),
        numeric=numeric,
        entity=entity_of(kept, fields, range(len(fields))),
    )


def read(one: Feed, record: dict[str, Any] | None = None, **fields: Any) -> Match:
    found = match_of(one, event(**fields), record or {})
    assert found is not None
    return found


def test_a_match_carries_what_its_window_needs() -> None:
    one = feed(values=("auditwatch.actor.name",))
    found = read(one, source="okta", source_ip="203.0.113.5", actor=Principal("anonymous:x", "Bob@example.com"))
    assert found
    assert found.entry.seen
    assert (found.entry.seen.id, found.entry.seen.address) == ("", "203.0.113.5"), "the id is kept already"
    entry = Entry(event().time, "okta", "e1", 0, "anonymous:x", "bob@example.com", found.entry.seen)
    assert found == Match("c1", "203.0.113.5", "ip:203.0.113.5", entry)


def test_several_fields_are_one_value() -> None:
    one = feed(values=("a", "b"))
    assert read(one, {"a": "X", "b": 2}).entry.value == "x\x1f2"
    assert match_of(one, event(), {"a": "x"}) is None


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (5, 5 * SCALE),
        ("5", 5 * SCALE),
        (-1.5, -1_500_000),
        ("1e3", 1000 * SCALE),
        (123_456_789_012_345, 123_456_789_012_345 * SCALE),
        ([7, 8], 7 * SCALE),
    ],
)
def test_numbers_are_kept_as_whole_millionths(written: Any, value: int) -> None:
    assert read(feed(values=("n",), numeric=True), {"n": written}).entry.value == value


@pytest.mark.parametrize("written", [None, "", "many", "nan", "inf", "1e400", 1e16, "9" * 40, "0x10", {}, [], True])
def test_what_is_no_number_is_not_measured(written: Any) -> None:
    assert match_of(feed(values=("n",), numeric=True), event(), {"n": written}) is None


def test_without_a_group_there_is_no_match() -> None:
    assert match_of(feed(), event(source_ip=None), {}) is None
    assert match_of(feed("a.b"), event(), {"a": None}) is None


@pytest.mark.parametrize(
    ("fields", "entity"),
    [
        (("auditwatch.actor.id",), "user:alice"),
        (("auditwatch.target.id",), "user:Bob"),
        (("authenticationContext.externalSessionId",), "session:S1"),
        (("repo",), "resource:Org/Repo"),
        (("sourceIPs",), "ip:1.2.3.4"),
        (("country", "sourceIPs"), "ip:1.2.3.4"),
        (("userIdentity.arn",), "user:alice"),
        (("country", "city"), "group:de berlin"),
        (("auditwatch.actor.name",), "group:alice@example.com"),
    ],
)
def test_the_entity_follows_from_the_group(fields: tuple[str, ...], entity: str) -> None:
    record = {
        "authenticationContext": {"externalSessionId": "S1"},
        "repo": "Org/Repo",
        "sourceIPs": ["1.2.3.4", "5.6.7.8"],
        "country": "DE",
        "city": "Berlin",
        "userIdentity": {"arn": "arn:x"},
    }
    assert read(feed(*fields), record, target=Principal("Bob", "bob")).entity == entity


def test_without_a_group_everybody_is_one() -> None:
    assert entity_of(kept_by([()]), (), ())(view({}), "") == "group:all"


def test_rules_that_name_an_entity_differently_agree_or_the_group_is_the_entity() -> None:
    assert kept_by([("sourceIPAddress",), ("client.ipAddress",)]) == Kept("ip", 0)
    assert kept_by([("country", "repo"), ("country", "repo")]) == Kept("resource", 1)
    assert kept_by([("sourceIPAddress",), ("repo",)]) == Kept("group")
    assert kept_by([]) == Kept("group")
    issued, used = "responseElements.credentials.accessKeyId", "auditwatch.session_id"
    assert kept_by([(issued,), (used,)]) == Kept("session", 0)


def test_a_nested_group_names_the_entity_of_the_outer_one() -> None:
    fields = ("userAgent", "sourceIPAddress")
    named = entity_of(Kept("ip", 0), fields, (1,))
    assert named(view({}), "curl\x1f1.2.3.4") == "ip:1.2.3.4"
    assert entity_of(Kept("group"), fields, (0,))(view({}), "curl\x1f1.2.3.4") == "group:curl"


def test_groups_ignore_case_as_sigma_does() -> None:
    assert read(feed("a"), {"a": "Alice"}).group == read(feed("a"), {"a": "ALICE"}).group


def test_a_group_cannot_pretend_to_be_two() -> None:
    one = read(feed("a", "b"), {"a": "x\x1fy", "b": "z"})
    two = read(feed("a", "b"), {"a": "x", "b": "y\x1fz"})
    assert one.group != two.group


def test_what_is_long_is_cut() -> None:
    found = read(feed("a", "repo", kept=Kept("resource", 1)), {"a": "x" * 10_000, "repo": "y" * 10_000})
    assert len(found.group) == 2 * 256 + 1
    assert len(found.entity) == len("resource:") + 256
    assert len(read(feed("a", "b"), {"a": "x" * 10_000, "b": "y" * 10_000}).entity) < 600


def test_what_a_correlation_derives() -> None:
    assert correlation().delay == 0
    assert correlation().patience is None
    assert absent(correlation(), 7 * MINUTE).patience == 7 * MINUTE + LATENESS
    assert bounded(("lt", 3)).patience == 10 * MINUTE - 1 + LATENESS
    assert measuring("value_avg", "gt", 1).patience == LATENESS
    assert correlation().slack == LATENESS
    assert correlation(sources=frozenset({"a", "b"})).slack == LATENESS + HOUR
    assert correlation(sources=frozenset()).slack == LATENESS + HOUR
    assert counting(800).most_entries == 1001
    assert distinct(3).most_entries == 500


@pytest.mark.parametrize(
    ("minutes", "hours"), [(1, 1), (60, 1), (61, 2), (120, 2), (121, 4), (240, 4), (241, 8), (1440, 24), (1441, 28)]
)
def test_findings_never_spread_over_two_episodes_or_end_with_them(minutes: int, hours: int) -> None:
    size = correlation(timespan=minutes * MINUTE).bin
    assert size == hours * HOUR
    assert size % EPISODE == 0 or EPISODE % size == 0
    assert EPISODE == 4 * 3600 * MICROSECONDS


def test_the_episode_is_alertings() -> None:
    assert risk.EPISODE == EPISODE


def test_family_and_feeds_reach_down() -> None:
    inner = correlation(id="c1/i", feeds=(feed("a"),))
    outer = correlation(feeds=(feed("b"),), nested=(inner,))
    assert family(outer) == {"c1": outer, "c1/i": inner}
    assert list(feeds_of(outer)) == [*outer.feeds, *inner.feeds]
