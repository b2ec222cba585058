from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.interaction import MOST_BYTES, Click, Malformed, clicks, value_of
from tests.alerting.clicking import BOB, payload
from tests.alerting.conftest import NOON, an_alert
from tests.alerting.slack_server import TEAM


def one(told: object) -> Click:
    (click,) = clicks(told, NOON)
    return click


def test_a_button() -> None:
    click = one(payload("case.snooze", value=value_of("a1", 3, hours="12")))
    place = ("C1", "1769860800.000001", "1.2.a")
    assert click == Click("case.snooze", "a1", 3, BOB, "", TEAM, NOON, {"hours": "12"}, *place, name="bob")


def test_who_it_was_is_the_person_else_what_slack_says() -> None:
    click = one(payload(user="U7") | {"user": {"id": "U7", "username": "\x1b[31mbob\u202e" + "x" * 999}})
    assert click.actor.endswith("… (U7)")
    assert click.actor.isprintable()
    assert len(click.actor) < 100
    assert one(payload() | {"user": {"id": "U7"}}).actor == "U7"
    assert msgspec.structs.replace(click, person="bob").actor == "bob"


@pytest.mark.parametrize(("do", "action"), [("assign", "case.assign"), ("ask.begin", "ask.begin")])
def test_an_option_of_the_menu_is_the_action(do: str, action: str) -> None:
    click = one(payload(do=do, version=2))
    assert (click.action, click.alert_id, click.version) == (action, an_alert(1).id, 2)


def test_as_text_as_bytes_or_read_already_it_is_the_same() -> None:
    told = payload()
    assert one(told) == one(json.dumps(told)) == one(json.dumps(told).encode())


def test_a_dialog_brings_its_inputs() -> None:
    state = {
        "values": {
            "b1": {"why": {"type": "plain_text_input", "value": "a change"}},
            "b2": {"until": {"type": "datepicker", "selected_date": "2026-02-01"}},
            "b3": {"who": {"type": "users_select", "selected_user": "U1"}},
            "b4": {"as": {"type": "static_select", "selected_option": {"value": "benign"}}},
            "b5": {"empty": {"type": "plain_text_input", "value": None}},
        }
    }
    view = {"callback_id": "label.save", "private_metadata": value_of("a1", 4, from_="x"), "state": state}
    click = one(payload(type="view_submission", view=view, actions=[], container=None))
    assert (click.action, click.alert_id, click.version, click.dialog) == ("label.save", "a1", 4, True)
    wanted = {"from_": "x", "why": "a change", "until": "2026-02-01", "who": "U1", "as": "benign", "empty": ""}
    assert click.value == wanted


@pytest.mark.parametrize("kind", ["shortcut", "view_closed", "block_suggestion"])
def test_what_we_do_not_act_on_is_no_click(kind: str) -> None:
    assert clicks(payload(type=kind), NOON) == []


def test_a_link_is_no_click() -> None:
    assert clicks(payload(actions=[{"action_id": "link", "type": "button", "value": None}]), NOON) == []


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        "",
        b"\xff\xfe",
        "[]",
        "{}",
        {"type": "block_actions"},
        payload(user=None),
        payload(value="not JSON"),
        payload(value="{}"),
        payload(value='{"alert_id": 7}'),
        payload(value='{"alert_id": "", "version": 1}'),
        payload(value='{"alert_id": "a1", "version": -1}'),
        payload(value='{"alert_id": "a1", "version": 1e99}'),
        payload(value='{"alert_id": "a1", "version": "1"}'),
        payload(value='{"alert_id": "' + "a" * 201 + '"}'),
        payload(value='{"alert_id": "a1", "more": {"deep": []}}'),
        payload(value="[" * 100_000),
        payload(actions="all"),
        payload(trigger_id=7),
        '{"zz":' + "[" * 100_000 + "]" * 100_000 + "}",
        b"x" * (MOST_BYTES + 1),
        payload(type="view_submission", view={"callback_id": "x", "private_metadata": "", "state": {}}),
        payload(type="view_submission", view={"state": {"values": {"a": {"b": "c"}}}}),
    ],
)
def test_what_is_none_of_slacks_or_ours_is_named_and_nothing_else(told: object) -> None:
    with pytest.raises(Malformed) as error:
        clicks(told, NOON)
    assert len(str(error.value)) < 400


def test_everything_is_bounded() -> None:
    huge = {f"key{number}" * 50: "v" * 9000 for number in range(3)}
    value = json.dumps({"alert_id": "a" * 200, "version": 1} | huge)[:7_000]
    with pytest.raises(Malformed):
        clicks(payload(value=json.dumps({"alert_id": "a", "x": "v" * 9_000})), NOON)
    with pytest.raises(Malformed):
        clicks(payload(value=value), NOON)
    rows = {f"b{number}": {f"a{number}": {"value": "w" * 50_000}} for number in range(50)}
    view = {"callback_id": "c" * 5_000, "private_metadata": value_of("a1", 0), "state": {"values": rows}}
    click = one(payload(type="view_submission", view=view, trigger="t" * 9_000))
    assert sum(map(len, click.value.values())) <= 20 * 2_000
    assert max(len(click.action), len(click.id)) <= 200


texts = st.text(max_size=20)
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(payload())), trees)
def test_any_field_may_hold_anything(field: str, junk: Any) -> None:
    try:
        found = clicks(payload() | {field: junk}, NOON)
    except Malformed:
        return
    for click in found:
        assert click.alert_id == an_alert(1).id


@given(trees)
def test_any_button_may_hold_anything(junk: Any) -> None:
    try:
        (click,) = clicks(payload(value=json.dumps(junk) or "x"), NOON)
    except Malformed:
        return
    assert click.alert_id
