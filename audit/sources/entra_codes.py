"""What the error code of a Microsoft Entra sign-in (AADSTS...) says about its end."""

from __future__ import annotations

from typing import NamedTuple

from audit.event import Outcome


class Judgement(NamedTuple):
    """How a sign-in ended; `proven` says that the first factor was right, whatever came after it."""

    outcome: Outcome
    proven: bool


def judged(code: object) -> Judgement:
    """The judgement of an error code, a number or its digits; "unknown" for anything else."""
    if type(code) is str and code.isascii() and code.isdecimal() and len(code) <= 9:
        code = int(code)
    if type(code) is not int:
        return _UNKNOWN
    if code == 0:
        return _SUCCESS
    return _SPECIAL.get(code, _FAILURE)


_SUCCESS = Judgement("success", True)
_FAILURE = Judgement("failure", False)
_UNKNOWN = Judgement("unknown", True)
_SPECIAL = {
    # The sign-in goes on: new password asked, "stay signed in?", a session that expired by policy.
    **dict.fromkeys((50125, 50140, 70043, 70044), _UNKNOWN),
    # The password was right: it expired, or a second factor is missing (to be set up, passed, repeated).
    **dict.fromkeys((50055, 50072, 50074, 50076, 50079, 50158), Judgement("failure", True)),
    # Turned away: not assigned to the application, conditional access, security policy.
    **dict.fromkeys((50105, 53000, 53001, 53002, 53003, 53004, 530032), Judgement("denied", True)),
}
