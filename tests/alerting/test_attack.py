from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from alerting.attack import named

LIBRARY = Path(__file__).resolve().parents[2] / "rules" / "library"


def test_a_sub_technique_is_named_with_its_technique() -> None:
    assert named(["T1078.004", "t1530"]) == [
        "T1078.004 Valid Accounts: Cloud Accounts",
        "T1530 Data from Cloud Storage",
    ]


def test_what_a_sub_technique_says_already_is_left_out() -> None:
    assert named(["T1078", "T1078.004", "T1078.004"]) == ["T1078.004 Valid Accounts: Cloud Accounts"]


def test_an_unknown_one_keeps_its_id_and_many_are_counted() -> None:
    assert named(["T9999", "T9998.001"]) == ["T9999", "T9998.001"]
    assert named([f"T90{number:02}" for number in range(9)])[4:] == ["5 more"]


@given(st.lists(st.text(st.characters()), max_size=9))
def test_any_text_is_one_printable_line(techniques: list[str]) -> None:
    assert all(one.isprintable() for one in named(techniques))


def test_every_technique_of_the_library_has_a_name() -> None:
    found = {
        tag.upper()
        for file in LIBRARY.rglob("*.yml")
        for tag in re.findall(r"attack\.(t\d{4}(?:\.\d{3})?)", file.read_text())
    }
    assert len(found) > 50
    assert not [one for one in found if named([one]) == [one]]
