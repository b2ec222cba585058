from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context import Context
from audit.context_schema import DAY, Company, Declared, End, Moment, Person
from audit.event import Principal
from rules.fields import NORMALISED, canonical, getter, is_path
from rules.view import MISSING, History, View, texts
from tests.rules.conftest import event, view


@pytest.mark.parametrize(
    ("field", "record", "found"),
    [
        ("a", {"a": 1}, 1),
        ("a", {"a": None}, None),
        ("a", {}, MISSING),
        ("a.b", {"a": {"b": 1}}, 1),
        ("a.b", {"a.b": 2, "a": {"b": 1}}, 2),
        ("a.b", {"a": None}, MISSING),
        ("a.b", {"a": "text"}, MISSING),
        ("a.b", {"a": {"b": None}}, None),
        ("a.b.c", {"a": {"b.c": 1}}, 1),
        ("a.b.c", {"a": {"b": {"c": 1}}}, 1),
        ("a.b", {"a": [{"b": 1}, {"b": 2}, {"c": 3}, "x"]}, [1, 2]),
        ("a.b", {"a": [[{"b": 1}]]}, [1]),
        ("a.b", {"a": []}, MISSING),
        ("a.b.c", {"a": [{"b": [{"c": 1}]}, {"b": {"c": 2}}]}, [[1], 2]),
    ],
)
def test_a_path_finds(field: str, record: dict[str, Any], found: Any) -> None:
    assert getter(field)(view(record)) == found


def test_normalised_fields_come_from_the_event() -> None:
    known = view({}, target=Principal("bob", "bob@example.com"), country="DE", asn=64500, marks=("trimmed",))
    values = {name: getter("auditwatch." + name)(known) for name in NORMALISED}
    assert values["actor.id"] == "alice"
    assert values["target.name"] == "bob@example.com"
    assert values["resource.type"] == "user"
    assert values["time"] == "2026-03-02T09:14:07.000Z"
    assert values["marks"] == ["trimmed"]
    assert values["account"] is MISSING
    assert getter("auditwatch.target.id")(view({})) is MISSING


@pytest.mark.parametrize(
    ("field", "product", "name"),
    [
        ("eventName", "aws", "eventName"),
        ("actor.id", "okta", "actor.id"),
        ("actor.id", "auditwatch", "auditwatch.actor.id"),
        ("auditwatch.actor.id", "aws", "auditwatch.actor.id"),
        ("raw.eventName", "auditwatch", "eventName"),
    ],
)
def test_a_field_has_one_name(field: str, product: str, name: str) -> None:
    assert canonical(field, product) == name


def test_a_field_the_normalised_event_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"actor\.idd"):
        canonical("actor.idd", "auditwatch")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "a.b"]), JSON, max_size=3),
    st.sampled_from(["a", "a.b", "a.b.a", "b.a.b.a"]),
)
def test_no_record_breaks_a_getter(record: dict[str, Any], field: str) -> None:
    assert all(isinstance(text, str) for text in texts(getter(field)(view(record))))


def test_a_field_with_several_names_is_what_any_of_them_has() -> None:
    get = getter("a|b.c|auditwatch.outcome")
    assert get(view({"a": 1}, outcome="success")) == [1, "success"]
    assert getter("a|b.c")(view({"b": {"c": "x"}})) == "x"
    assert getter("a|b.c")(view({"a": ["y"], "b": {"c": "x"}})) == [["y"], "x"]
    assert getter("a|b.c")(view({"b": 1})) is MISSING


def test_of_several_names_null_counts_only_where_there_is_no_more() -> None:
    get = getter("a|b")
    assert get(view({"a": None, "b": "x"})) == ["x"]
    assert get(view({"a": None, "b": None})) is None
    assert get(view({"a": None})) is None


def test_members_of_a_list_are_selected_by_a_key() -> None:
    get = getter("p.list[Name=Reason].Value.deep")
    members = [{"Name": "other", "Value": {"deep": 1}}, {"Name": "REASON", "Value": {"deep": 2}}, "text", {"Name": 7}]
    assert get(view({"p": {"list": members}})) == [2]
    assert get(view({"p": {"list": members[0]}})) is MISSING
    assert get(view({"p": {"list": members[1]}})) == [2]
    assert get(view({"p": "x"})) is MISSING
    assert getter("l[a=1.5].b")(view({"l": [[{"a": 1.5, "b": "x"}]]})) == ["x"]


@pytest.mark.parametrize(
    ("field", "good"),
    [
        ("a.b", True),
        ("a[b=c].d", True),
        ("a[b].c", False),
        ("a[b=c]", False),
        ("a|b", False),
        ("a[b=c].d[e=f].g", False),
    ],
)
def test_what_can_be_a_path(field: str, good: bool) -> None:
    assert is_path(field) is good


class TestDeclared:
    CONTEXT = Context(
        Declared(
            company=Company(aws_accounts={"prod": "123456789012"}),
            users=(
                Person(id="alice", team="blue", title="Lead", country="de", end_date=End(0), start_date=Moment(0)),
                Person(id="bob", start_date=Moment(0)),
            ),
        )
    )

    def see(self, field: str, history: History | None = None, record: Any = None, **more: Any) -> Any:
        made = event(**more)
        seen = View(made, record or {}, history, self.CONTEXT.person(made.actor.id), self.CONTEXT)
        return getter("auditwatch." + field)(seen)

    def test_it_is_read_from_the_person_behind_the_actor(self) -> None:
        assert self.see("actor.employment") == "ended"
        assert self.see("actor.team") == "blue"
        assert self.see("actor.title") == "Lead"
        assert self.see("actor.abroad", country="NL") is True
        assert self.see("actor.abroad", country="DE") is False
        assert self.see("actor.abroad", country=None) is MISSING

    def test_of_whom_nothing_is_declared_it_is_missing(self) -> None:
        stranger = Principal("mallory", "mallory")
        for field in ("actor.employment", "actor.team", "actor.title", "actor.abroad", "actor.days_employed"):
            assert self.see(field, actor=stranger) is MISSING
        assert self.see("actor.team", actor=Principal("bob", "bob")) is MISSING

    def test_days_employed_are_the_actors_or_the_targets(self) -> None:
        days = event().time // DAY
        assert self.see("actor.days_employed") == days
        assert self.see("target.days_employed", target=Principal("bob", "bob")) == days
        assert self.see("target.days_employed", target=Principal("mallory", "mallory")) is MISSING
        assert self.see("target.days_employed") is MISSING

    def test_silence_needs_a_past_or_a_login(self) -> None:
        assert self.see("actor.days_since_seen") is MISSING
        assert self.see("actor.days_since_seen", History(0, 9, 7)) == 7
        assert self.see("actor.days_since_seen", History(0, 9)) == 0
        assert self.see("actor.days_since_seen", History(0, 0, None)) is MISSING

    def test_foreign_accounts_are_a_list(self) -> None:
        record = {"requestParameters": {"add": ["123456789012", "555566667777"]}}
        assert self.see("foreign_accounts", record=record) == ["555566667777"]
        assert self.see("foreign_accounts", record={"requestParameters": {}}) is MISSING
