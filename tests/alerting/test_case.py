from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.case import TRANSITIONS, Action, Case, Refused, transition
from tests.alerting.conftest import NOON

ACTIONS: tuple[Action, ...] = ("ack", "resolve", "benign", "false_positive", "reopen")


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
