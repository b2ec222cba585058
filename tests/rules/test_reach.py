from __future__ import annotations

from collections.abc import Callable

import pytest

from rules.compile import RuleSet
from rules.reach import MOST_DEPTH, never_fires, seen_fields
from tests.rules.conftest import HEAD

RuleSetOf = Callable[..., RuleSet]


def rule(detection: str, logsource: str = "{product: aws, service: cloudtrail}") -> str:
    head = HEAD.replace("{product: aws, service: cloudtrail}", logsource)
    return f"{head}detection: {{{detection}}}\n"


SEEN = {"cloudtrail": {"a", "b", "b.c", "tags", "tags.value"}}


@pytest.mark.parametrize(
    ("detection", "missing"),
    [
        ("s: {a: x, b.c: y}, condition: s", None),
        ("s: {a: x, z: y}, condition: s", ("z",)),
        ("s: {z|contains: x}, condition: s", ("z",)),
        ("s: {a: x}, t: {z: y}, condition: s or t", None),
        ("s: {a: x}, t: {z: y}, condition: s and not t", None),
        ("s: {a: x}, t: {z: null}, condition: s and t", None),
        ("s: {a: x}, t: {z: null}, condition: s and not t", ("z",)),
        ("s: {z|exists: false}, condition: s", None),
        ("s: {z|exists: true}, condition: s", ("z",)),
        ("s: {a|fieldref: z}, condition: s", ("z",)),
        ("s: {a|fieldref: b}, condition: s", None),
        ("s: [word], condition: s", None),
        ("s: [word], t: {z: x}, condition: s and t", ("z",)),
        ("s: {auditwatch.action: x}, condition: s", None),
    ],
)
def test_a_rule_that_cannot_fire_is_found(rule_set: RuleSetOf, detection: str, missing: tuple[str, ...] | None) -> None:
    found = [(dead.sources, dead.fields) for dead in never_fires(rule_set(rule(detection)), SEEN)]
    assert found == ([] if missing is None else [(("cloudtrail",), missing)])


def test_of_several_sources_one_that_fits_is_enough(rule_set: RuleSetOf) -> None:
    rules = rule_set(rule("s: {eventName: x}, condition: s", "{product: gcp, service: google_workspace.admin}"))
    assert never_fires(rules, {"google_workspace": {"events.name"}, "gcp": set()}) == []
    (dead,) = never_fires(rules, {"google_workspace": {"x"}, "gcp": {"y"}, "okta": {"eventName"}})
    assert (dead.sources, dead.fields) == (("google_workspace", "gcp"), ("eventName",))


def test_nothing_is_said_of_sources_unseen_and_rules_that_are_off(rule_set: RuleSetOf) -> None:
    assert never_fires(rule_set(rule("s: {z: x}, condition: s")), {"okta": {"a"}}) == []
    assert never_fires(rule_set(rule("s: {z: x}, condition: s") + "status: deprecated\n"), SEEN) == []


def test_a_rule_about_every_source_reaches_into_records_too(rule_set: RuleSetOf) -> None:
    rules = rule_set(rule("s: {raw.z: x, action: y}, condition: s", "{product: auditwatch}"))
    assert [dead.fields for dead in never_fires(rules, SEEN)] == [("z",)]
    assert never_fires(rules, {**SEEN, "okta": {"z"}}) == []


def test_what_a_record_holds_is_noted_by_path() -> None:
    seen: set[str] = set()
    seen_fields({"a": 1, "b": {"c": None}, "d": [{"e": []}, [{"f": 1}], "x"]}, seen)
    assert seen == {"a", "b", "b.c", "d", "d.e", "d.f"}


def test_a_deep_record_is_noted_to_a_depth() -> None:
    record: dict[str, object] = {}
    for _ in range(100):
        record = {"a": record}
    seen: set[str] = set()
    seen_fields(record, seen)
    assert len(seen) == MOST_DEPTH


def test_members_of_named_lists_count_by_their_path(rule_set: RuleSetOf) -> None:
    mapping = "mapping: x\nlogsource: {product: aws}\nsources: [cloudtrail]\nfields: {Tag: 'tags[key=Owner].value'}\n"
    assert never_fires(rule_set(rule("s: {Tag: x}, condition: s"), mapping), SEEN) == []
