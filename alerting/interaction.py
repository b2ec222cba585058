"""What somebody did with a message in Slack: a click or a filled-in dialog, parsed from a payload nobody may trust.

A button or an option carries the JSON of `value_of` as its `value`, a dialog as its `private_metadata`, and the action
as its `callback_id`. Everything is bounded here, so that nothing behind it needs to care.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec

from alerting.plain import plain

MOST_BYTES = 512 * 1024
"""Of one payload; Slack repeats the whole message in it (tens of kilobytes)."""
_NAME, _VALUE, _INPUTS = 200, 2_000, 20


class Malformed(ValueError):
    """A payload that is none of Slack's, or none of ours; the message says what is wrong."""


class Click(msgspec.Struct, frozen=True):
    """One verified interaction. `at` is in microseconds since the epoch; strings are bounded, not cleaned.

    `action` is "case.ack", "case.yes", ...: the action_id, for the overflow menu "case." + its option's `do`, for a
    dialog its callback_id. `person` is the declared id of the Slack `user` or "", `name` what Slack calls him. `value`
    holds what else the button's JSON says and a dialog's inputs by their action_id. `id` (the trigger) is good for 3 s
    and unique.
    """

    action: str
    alert_id: str
    version: int
    user: str
    person: str = ""
    team: str = ""
    at: int = 0
    value: Mapping[str, str] = {}
    channel: str = ""
    message_id: str = ""
    id: str = ""
    dialog: bool = False
    name: str = ""

    @property
    def actor(self) -> str:
        """Who it was, for people: the declared id, else Slack's name and id."""
        return self.person or (f"{self.name} ({self.user})" if self.name else self.user)


class Answer(msgspec.Struct, frozen=True):
    """What the one who clicked is told, and nobody else; empty: what he sees in the message says it all."""

    text: str = ""


Handler = Callable[[Click], Awaitable[Answer]]


def value_of(alert_id: str, version: int, **more: str) -> str:
    """The `value` of a button or, with `do=...`, of an option of an overflow menu (Slack allows 2000 and 150)."""
    return msgspec.json.encode({"alert_id": alert_id, "version": version, **more}).decode()


def clicks(payload: object, at: int) -> list[Click]:
    """The clicks a payload (text, bytes or what JSON made of it) stands for; none for what we do not act on.

    Raises:
        Malformed: it is not Slack's, too large, or a value in it is not one of ours.
    """
    try:
        told = _read(payload)
        return list(_clicks(told, at))
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Malformed(f"no interaction of Slack's: {str(error)[:200]}") from None


def _read(payload: object) -> _Payload:
    if isinstance(payload, str | bytes):
        if len(payload) > MOST_BYTES:
            raise Malformed(f"an interaction of more than {MOST_BYTES} bytes")
        return msgspec.json.decode(payload, type=_Payload)
    return msgspec.convert(payload, type=_Payload)


def _clicks(told: _Payload, at: int) -> Iterator[Click]:
    if told.type == "view_submission" and told.view:
        view = told.view
        inputs = {name: _text(row) for block in view.state.values.values() for name, row in block.items()}
        yield _click(told, view.callback_id, view.private_metadata, at, dict(list(inputs.items())[:_INPUTS]))
    if told.type == "block_actions":
        for action in told.actions[:1]:  # Slack sends one
            chosen = action.selected_option.value if action.selected_option else action.value
            if chosen:  # a link's button has none
                yield _click(told, action.action_id, chosen, at, {})


def _click(told: _Payload, action: str, value: str, at: int, inputs: dict[str, str]) -> Click:
    said = msgspec.json.decode(value[: 4 * _VALUE], type=_Value)
    rest = msgspec.json.decode(value[: 4 * _VALUE], type=dict[str, str | int])
    more = {name[:_NAME]: str(text)[:_VALUE] for name, text in rest.items() if name not in ("alert_id", "version")}
    if said.do:
        action = said.do if "." in said.do else f"{action.split('.')[0]}.{said.do}"
    return Click(
        action=action[:_NAME],
        alert_id=said.alert_id,
        version=said.version,
        user=told.user.id[:_NAME],
        team=(told.user.team_id or (told.team.id if told.team else ""))[:_NAME],
        at=at,
        value=more | inputs,
        channel=told.container.channel_id[:_NAME] if told.container else "",
        message_id=told.container.message_ts[:_NAME] if told.container else "",
        id=told.trigger_id[:_NAME],
        dialog=told.type == "view_submission",
        name=plain(told.user.name or told.user.username or "", 80),
    )


def _text(row: Any) -> str:
    """What was put into one input: its text, or the option, user or date chosen."""
    chosen = row.get("selected_option") if isinstance(row, dict) else None
    found = chosen.get("value") if isinstance(chosen, dict) else None
    for key in ("value", "selected_user", "selected_date") if isinstance(row, dict) else ():
        found = found or row.get(key)
    return str(found or "")[:_VALUE]


class _Value(msgspec.Struct):
    alert_id: str
    version: int = 0
    do: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.alert_id) <= _NAME or not 0 <= self.version < 2**53:
            raise ValueError("no alert of ours")


class _User(msgspec.Struct):
    id: str
    name: str | None = None
    username: str | None = None
    team_id: str | None = None


class _Team(msgspec.Struct):
    id: str


class _Option(msgspec.Struct):
    value: str = ""


class _Act(msgspec.Struct):
    action_id: str
    value: str | None = None
    selected_option: _Option | None = None


class _Container(msgspec.Struct):
    channel_id: str = ""
    message_ts: str = ""


class _State(msgspec.Struct):
    values: dict[str, dict[str, Any]] = {}


class _View(msgspec.Struct):
    callback_id: str = ""
    private_metadata: str = ""
    state: _State = msgspec.field(default_factory=_State)


class _Payload(msgspec.Struct):
    type: str
    user: _User
    team: _Team | None = None
    container: _Container | None = None
    actions: list[_Act] = []
    view: _View | None = None
    trigger_id: str = ""
