"""Messages found in a channel: ours, somebody else's, and some made to look like ours."""

from __future__ import annotations

from typing import Any

import pytest

from alerting.notifier import Receipt
from alerting.slack_found import FAR, STEP_TYPE, payload_of, posted_at, shown_by
from alerting.slack_message import EVENT_TYPE, NOTICE_TYPE


def a_message(kind: str = EVENT_TYPE, **changes: Any) -> dict[str, Any]:
    payload = {"alert_id": "a", "revision": 3, "severity": "high"} | changes
    return {"ts": "1769860800.000100", "metadata": {"event_type": kind, "event_payload": payload}}


@pytest.mark.parametrize("kind", [EVENT_TYPE, NOTICE_TYPE])
def test_a_message_of_ours_says_which_alert_it_shows(kind: str) -> None:
    assert shown_by(a_message(kind), "C1") == ("a", Receipt(3, "high", "C1", "1769860800.000100"))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"ts": "1", "metadata": None},
        {"ts": "1", "metadata": "text"},
        {"ts": "1", "metadata": {"event_type": EVENT_TYPE}},
        {"ts": "1", "metadata": {"event_type": EVENT_TYPE, "event_payload": [1]}},
        a_message(STEP_TYPE),
        a_message(revision="3"),
        a_message(revision=True),
        a_message(severity="dreadful"),
        a_message() | {"ts": ""},
    ],
)
def test_what_does_not_say_so_shows_none(message: dict[str, Any]) -> None:
    assert shown_by(message, "C1") is None


def test_a_payload_is_read_for_its_kind_only() -> None:
    assert payload_of(a_message(STEP_TYPE), STEP_TYPE)["alert_id"] == "a"
    assert payload_of(a_message(STEP_TYPE), EVENT_TYPE) == {}


@pytest.mark.parametrize("message", [{}, {"ts": None}, {"ts": "yesterday"}])
def test_a_message_without_a_time_leaves_everything_before_it_unknown(message: dict[str, Any]) -> None:
    assert posted_at({"ts": "1769860800.5"}) == 1769860800.5
    assert posted_at(message) == FAR
