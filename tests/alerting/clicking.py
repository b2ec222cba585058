"""Clicks as Slack sends them."""

from __future__ import annotations

from typing import Any

from alerting.interaction import value_of
from audit.context import Context
from audit.context_schema import Declared, End, Moment, Person
from tests.alerting.conftest import NOON, SECOND, an_alert
from tests.alerting.slack_server import TEAM

DAY = 86_400 * SECOND
BOB, CAROL, ALICE, OLD, ROBOT, LATER, STRANGER = (
    "U0BOB",
    "U0CAROL",
    "U0ALICE",
    "U0OLD",
    "U0ROBOT",
    "U0LATER",
    "U0NOBODY",
)


def payload(
    action: str = "case.ack", user: str = BOB, value: str | None = None, trigger: str = "1.2.a", **changes: Any
) -> dict[str, Any]:
    """block_actions of a button (or, with `do=`, of the overflow menu)."""
    do = changes.pop("do", "")
    version = changes.pop("version", 0)
    alert = changes.pop("alert", an_alert(1).id)
    value = value if value is not None else value_of(alert, version, **({"do": do} if do else {}))
    button = {"type": "button", "block_id": "b1", "action_id": action, "action_ts": "1.2", "value": value}
    menu = {"type": "overflow", "action_id": "case.more", "selected_option": {"value": value}}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "bob", "name": "bob", "team_id": TEAM},
        "api_app_id": "A1",
        "token": "legacy",
        "container": {"type": "message", "message_ts": "1769860800.000001", "channel_id": "C1", "is_ephemeral": False},
        "trigger_id": trigger,
        "team": {"id": TEAM, "domain": "example"},
        "channel": {"id": "C1", "name": "security"},
        "message": {"type": "message", "text": "x", "blocks": [{"type": "section"}] * 8},
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [menu if do else button],
        **changes,
    }


def submission(view: dict[str, Any], user: str, trigger: str = "1.2.v", **inputs: str) -> dict[str, Any]:
    """view_submission of a dialog, filled in."""
    values = {name: {name: {"type": "plain_text_input", "value": text}} for name, text in inputs.items()}
    return {
        "type": "view_submission",
        "user": {"id": user, "name": "x", "team_id": TEAM},
        "team": {"id": TEAM, "domain": "example"},
        "trigger_id": trigger,
        "view": {
            "id": "V1",
            "type": "modal",
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": {"values": values},
        },
    }


def company() -> Context:
    """Bob works here, Carol in security, Alice is whom the alerts are about; old is gone, later is to come."""

    def person(id: str, slack: str, **more: Any) -> Person:
        return Person(id=id, identities={"slack": (slack,)}, **more)

    return Context(
        Declared(
            users=(
                person("bob", BOB, team="platform"),
                person("carol", CAROL, team="security"),
                person("alice", ALICE, team="security"),
                person("old", OLD, end_date=End(NOON - 1)),
                person("later", LATER, start_date=Moment(NOON + DAY)),
                person("robot", ROBOT, kind="service", team="security"),
                person("helper", "U0HELPER", kind="contractor", team="security"),
            )
        )
    )
