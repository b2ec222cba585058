from __future__ import annotations

import pytest

from audit.sources.entra_codes import judged


@pytest.mark.parametrize(
    ("code", "judgement"),
    [
        (0, ("success", True)),
        ("0", ("success", True)),
        (50126, ("failure", False)),  # wrong password
        ("50126", ("failure", False)),
        (50034, ("failure", False)),  # no such user
        (50074, ("failure", True)),  # right password, no second factor
        (50140, ("unknown", True)),  # "stay signed in?"
        (53003, ("denied", True)),  # conditional access
        (7000222, ("failure", False)),
    ],
)
def test_codes(code: object, judgement: tuple[str, bool]) -> None:
    assert judged(code) == judgement


@pytest.mark.parametrize("rubbish", [None, "", "success", "-1", "²", "9" * 5000, 0.0, [], {}, True])
def test_rubbish_says_nothing(rubbish: object) -> None:
    assert judged(rubbish) == ("unknown", True)
