from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.case import STEPS_KEPT, TRANSITIONS, Action, Case, Refused, Step, case_of, take, told_since, transition
from tests.alerting.conftest import HOUR, NOON, SECOND, an_alert

ACTIONS: tuple[Action, ...] = ("ack", "resolve", "benign", "false_positive", "reopen", "snooze", "assign", "wake")


def after(*actions: Action) -> Case:
    case = Case("a1")
    for action in actions:
        step = transition(case, action, "bob", NOON)
        assert isinstance(step, Case)
        case = step
    return case


@pytest.mark.parametrize(
    ("actions", "status", "resolution"),
    [
        (("ack",), "acknowledged", None),
        (("ack", "resolve"), "resolved", "true_positive"),
        (("false_positive",), "resolved", "false_positive"),
        (("benign", "reopen"), "reopened", None),
        (("resolve", "reopen", "ack"), "acknowledged", None),
        (("assign",), "acknowledged", None),
        (("snooze", "wake"), "open", None),
        (("ack", "snooze", "benign"), "resolved", "benign"),
    ],
)
def test_the_ways_through_the_table(actions: tuple[Action, ...], status: str, resolution: str | None) -> None:
    case = after(*actions)
    assert (case.status, case.resolution, case.version) == (status, resolution, len(actions))
    assert (case.actor, case.at) == ("bob", NOON)


def test_a_second_click_hears_who_was_first_and_when() -> None:
    refused = transition(after("ack"), "ack", "carol", NOON + 1)
    assert isinstance(refused, Refused)
    assert refused.reason.endswith("already acknowledged by bob at 2026-01-31T12:00:00.000Z")


def test_an_untouched_case_cannot_be_reopened() -> None:
    refused = transition(Case("a1"), "reopen", "bob", NOON)
    assert refused == Refused("reopen is not possible: the case is already open")


@given(st.lists(st.sampled_from(ACTIONS), max_size=20))
def test_no_click_leads_out_of_the_table(actions: list[Action]) -> None:
    case = Case("a1")
    for action in actions:
        step = transition(case, action, "bob", NOON)
        if isinstance(step, Case):
            assert step.version == case.version + 1
            case = step
        assert case.status in TRANSITIONS
        assert (case.resolution is not None) == (case.status == "resolved")


def test_a_case_remembers_its_last_steps_and_what_is_new_to_somebody() -> None:
    case = after(*("resolve", "reopen") * 40)
    assert len(case.steps) == STEPS_KEPT
    assert [step.version for step in told_since(case, 77)] == [78, 79, 80]
    assert str(case.steps[-1]) == "bob reopened it at 2026-01-31T12:00:00.000Z"


def test_a_snooze_has_an_end_and_any_other_move_ends_it() -> None:
    snoozed = take(Case("a1"), Step("snooze", "bob", NOON, until=NOON + HOUR))
    assert isinstance(snoozed, Case)
    assert snoozed.snoozed_until == NOON + HOUR
    assert str(snoozed.steps[0]).endswith("snoozed it until 2026-01-31T13:00:00.000Z at 2026-01-31T12:00:00.000Z")
    for action, left in (("assign", NOON + HOUR), ("benign", 0), ("wake", 0)):
        step = take(snoozed, Step(action, "carol", NOON))  # type: ignore[arg-type]
        assert isinstance(step, Case)
        assert step.snoozed_until == left


def test_who_has_it_is_said_and_taking_it_twice_is_refused() -> None:
    case = after("assign")
    assert case.assignee == "bob"
    refused = transition(case, "assign", "bob", NOON)
    assert isinstance(refused, Refused)
    assert "already with bob" in refused.reason
    handed = transition(case, "assign", "carol", NOON)
    assert isinstance(handed, Case)
    assert handed.assignee == "carol"
    closed = transition(handed, "benign", "bob", NOON)
    assert isinstance(closed, Case)
    assert closed.assignee == "carol", "who had it stays known"


@pytest.mark.parametrize(
    ("actor", "action", "seen", "said"),
    [
        ("carol", "resolve", 2, None),
        ("carol", "resolve", 1, "already done: bob took it at 2026-01-31T12:00:00.000Z"),
        ("carol", "resolve", 0, "already done: bob acknowledged it at 2026-01-31T12:00:00.000Z; bob took it at"),
        ("bob", "resolve", 0, None),
        ("bob", "assign", 0, "bob took it"),
        ("bob", "resolve", 3, "not current: the case is with bob now"),
    ],
)
def test_a_click_counts_against_what_it_saw(actor: str, action: Action, seen: int, said: str | None) -> None:
    step = take(after("ack", "assign"), Step(action, actor, NOON + SECOND), seen)
    if said is None:
        assert isinstance(step, Case)
    else:
        assert isinstance(step, Refused)
        assert said in step.reason


def test_a_click_from_before_all_that_is_remembered_is_refused() -> None:
    refused = take(after(*("resolve", "reopen") * 40), Step("ack", "bob", NOON), seen=2)
    assert isinstance(refused, Refused)


def test_an_untouched_case_stands_as_its_alert_says() -> None:
    case = case_of(an_alert(1, status="resolved", resolution="explained"))
    assert (case.status, case.resolution, case.version) == ("resolved", "explained", 0)
    reopened = transition(case, "reopen", "bob", NOON)
    assert isinstance(reopened, Case)
    assert (reopened.status, reopened.resolution) == ("reopened", None)
