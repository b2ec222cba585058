"""The buttons under an alert: what its case can become from where it stands."""

from __future__ import annotations

from alerting.alert import Alert
from alerting.case import Case
from alerting.interaction import value_of
from alerting.slack_text import Block, button, literal

SNOOZE = 4
"""Hours."""
_OPTION, _VALUE = 150, 2_000
_MORE = {
    "assign": "Assign to me",
    "benign": "Resolve: real, but harmless",
    "ask": "Ask the person: was this you?",
    "evidence": "Show the evidence",
}


def buttons(alert: Alert, case: Case | None) -> Block | None:
    """At most four buttons and a menu; a resolved case can only be reopened. None for an id that is too long for it."""
    version = case.version if case else 0
    value = value_of(alert.id, version)
    if len(value) > _VALUE - 50:
        return None
    if alert.status == "resolved":
        return {"type": "actions", "elements": [button("Reopen", "case.reopen", value)]}
    take = [button("Acknowledge", "case.ack", value, "primary")] if alert.status != "acknowledged" else []
    resolve = button("Resolve: real", "case.resolve", value)
    false = button("False positive", "case.false_positive", value)
    snooze = button(f"Snooze {SNOOZE} h", "case.snooze", value_of(alert.id, version, hours=str(SNOOZE)))
    menu = _menu(alert, version)
    return {
        "type": "actions",
        "elements": [*take, resolve, false, snooze, *([menu] if menu else [])],
    }


def acknowledge(alert_id: str) -> Block | None:
    """The one button of an escalation, for a case nobody has touched."""
    value = value_of(alert_id, 0)
    if len(value) > _VALUE:
        return None
    return {"type": "actions", "elements": [button("Acknowledge", "case.ack", value, "primary")]}


def _menu(alert: Alert, version: int) -> Block | None:
    """What is wanted less often; who is no person cannot be asked."""
    options = []
    for do, label in _MORE.items():
        value = value_of(alert.id, version, do=do)
        if len(value) <= _OPTION and (do != "ask" or alert.entity.startswith("user:")):
            options.append({"text": literal(label), "value": value})
    return {"type": "overflow", "action_id": "case.more", "options": options} if options else None
