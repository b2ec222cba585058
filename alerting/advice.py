"""What to do about an alert: the first steps, by technique and by kind of finding."""

from __future__ import annotations

from alerting.alert import Alert

_BY_TECHNIQUE: dict[str, str] = {
    "T1078": "End the account's sessions and check where each of its sign-ins came from.",
    "T1098": "Look at the permissions and keys that were added and take back what nobody asked for.",
    "T1110": "See whether one of the attempts succeeded; if so, reset that password and end its sessions.",
    "T1136": "Disable the new account until its owner is known.",
    "T1190": "Take the exposed service off the network and keep its logs.",
    "T1485": "Stop further deletion by suspending the account, then check the backups.",
    "T1528": "Revoke the application's tokens and its consent.",
    "T1530": "List what was read and tell the owner of the data.",
    "T1537": "Remove the share or snapshot permission and list what was copied.",
    "T1552": "Rotate every secret that could be read.",
    "T1562": "Switch the logging or protection on again and read what happened while it was off.",
    "T1580": "Compare the listing with the person's task; a stolen key usually starts this way.",
    "T1621": "Ask the person about the prompts; reset their second factor if one was accepted.",
}
_ASK = "Ask the person over a second channel whether this was them; if not, end sessions and revoke keys."
_SOURCE = "See which accounts this source reached; block it if nobody owns it."
_STEPS = 3


def what_to_do(alert: Alert) -> tuple[str, ...]:
    """One to three steps, the most specific first."""
    techniques = dict.fromkeys(technique.split(".")[0].upper() for technique in alert.attack)
    steps = [_BY_TECHNIQUE[technique] for technique in techniques if technique in _BY_TECHNIQUE]
    last = _ASK if alert.entity.startswith("user:") else _SOURCE
    return (*steps[: _STEPS - 1], last)
