from __future__ import annotations

import time
from typing import Any

import pytest

from rules.condition import Leaf, Op
from rules.nearness import why_not
from rules.view import History, View
from tests.rules.conftest import view


def why(leaf: Leaf, record: dict[str, Any]) -> str:
    seen = view(record)
    return why_not([leaf], seen, View(seen.event, record))


@pytest.mark.parametrize(
    ("op", "wanted", "cased", "value", "said"),
    [
        ("equals", "CreateUser", True, "createuser", "it differs only by case: leave |cased out"),
        ("equals", "CreateUser", False, " CreateUser\n", "it differs only by white space from 'CreateUser'"),
        ("equals", "user.create", False, "user_create", "it differs only by punctuation from 'user.create'"),
        ("equals", "Create", False, "CreateUser", "it begins with 'Create' and goes on: |startswith does not mind"),
        ("equals", "User", False, "CreateUser", "it ends with 'User', with something before: |endswith does not mind"),
        ("equals", "teUs", False, "CreateUser", "'teUs' is in it, with something around: |contains does not mind"),
        ("equals", "CreateUser", False, "Create", "it is only a part of 'CreateUser'"),
        ("equals", "CreateUser", False, "CraeteUser", "it is nearly 'CreateUser': compare letter by letter"),
        ("equals", "CreateUser", False, "CreatUser", "it is nearly 'CreateUser': compare letter by letter"),
        ("equals", "CreateUser", False, "DeleteTrail", "its value is another"),
        ("equals", "iam.amazonaws.com", False, "s3.amazonaws.com", "its value is another"),
        ("equals", "5", False, "6", "its value is another"),
        ("startswith", "User", False, "CreateUser", "'User' is in it, but not at its beginning"),
        ("endswith", "Create", False, "CreateUser", "'Create' is in it, but not at its end"),
        ("contains", "CreateUserX", False, "CreateUser", "it is only a part of 'CreateUserX'"),
        ("regex", "^create", True, "CreateUser", "it differs only by case: |re|i does not mind"),
        ("regex", "^x", True, "CreateUser", "it does not fit the pattern"),
        ("glob", "C*x", False, "CreateUser", "it does not fit the pattern"),
        ("gt", 10, False, 5, "it is not above 10"),
        ("lte", 10, False, "11", "it is not at most 10"),
        ("gt", 10, False, "many", "it is no number"),
        ("cidr", "10.0.0.0/8", False, "192.0.2.1", "it is outside"),
        ("cidr", "10.0.0.0/8", False, "ec2.amazonaws.com", "it is no address"),
        ("null", None, False, "x", "it has a value"),
        ("exists", False, False, "x", "it is there"),
        ("equals", "x", False, None, "it is null"),
        ("equals", "x", False, {"a": "x"}, "it is an object: name a field in it"),
        ("equals", "x", False, [], "it is an empty list"),
        ("equals", "abc", False, ["zzz", "abcd"], "it begins with 'abc' and goes on: |startswith does not mind"),
    ],
)
def test_how_near_it_came(op: Op, wanted: Any, cased: bool, value: Any, said: str) -> None:
    assert why(Leaf("f", op, wanted, cased), {"f": value}) == said


@pytest.mark.parametrize(
    ("field", "record", "said"),
    [
        ("eventname", {"eventName": "x"}, "missing: the record has eventName, and case counts in names"),
        ("userName", {"requestParameters": {"userName": "x"}}, "missing: the record has requestParameters.userName"),
        (
            "requestParameter.policy",
            {"requestParameters": {"policy": 1}},
            "missing: the record has requestParameters.policy",
        ),
        ("nothing", {"eventName": "x"}, "missing"),
        ("auditwatch.target.id", {}, "missing: the normalised event has none"),
        ("auditwatch.first_seen.country", {}, "missing: only the worker and replay know the actor's past"),
    ],
)
def test_a_missing_field_is_looked_for(field: str, record: dict[str, Any], said: str) -> None:
    assert why(Leaf(field, "equals", "x"), record) == said


def test_peers_are_missed_only_where_the_past_is_known() -> None:
    leaf, seen = Leaf("auditwatch.team_share.action", "gte", 0.5), view({})
    assert why_not([leaf], seen, seen) == "missing: only the worker and replay know the actor's past"
    seen.history = History(0, 90)
    assert why_not([leaf], seen, seen) == "missing: no group of peers with a history is known"


def test_fieldrefs() -> None:
    leaf = Leaf("a", "fieldref", "b", detail="equals")
    assert why(leaf, {"a": "x"}) == "b is missing"
    assert why(leaf, {"a": "x", "b": "y"}) == "the two differ"


def test_the_nearest_of_many_is_said() -> None:
    leaves = [Leaf("f", "equals", wanted) for wanted in ("nothing", "user-create", "other")]
    seen = view({"f": "user.create"})
    assert why_not(leaves, seen, seen) == "it differs only by punctuation from 'user-create'"


def test_large_values_cost_little() -> None:
    leaves = [Leaf("f", "equals", f"{number}" * 400) for number in range(200)]
    seen = view({"f": ["ab" * 50_000] * 200})
    start = time.process_time()
    why_not(leaves, seen, seen)
    assert time.process_time() - start < 1
