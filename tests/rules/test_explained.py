from __future__ import annotations

import pytest

from rules.explained import in_words, place_of

KEYS = frozenset({"level", "logsource"})


@pytest.mark.parametrize(
    ("kind", "message", "place"),
    [
        ("SigmaIdentifierError", "", ["id"]),
        ("SigmaFilterConditionError", "", ["filter", "condition"]),
        ("SigmaLevelError", "", ["level"]),
        ("SigmaLogsourceError", "", ["logsource"]),
        ("SigmaTypeError", "Sigma tag must start", ["tags"]),
        ("SigmaTypeError", "Modifier incompatible", None),
        ("KeyError", "x", None),
    ],
)
def test_an_error_has_a_place(kind: str, message: str, place: list[str] | None) -> None:
    assert place_of(kind, message, KEYS) == place


def test_an_error_is_one_line_and_says_what_to_do() -> None:
    assert in_words("'x' is not a valid Sigma rule level\nmore") == (
        "'x' is not a valid Sigma rule level",
        "informational, low, medium, high or critical",
    )
    assert in_words("something else") == ("something else", "")


def test_where_the_condition_breaks_is_counted_from_one() -> None:
    said, hint = in_words("Expected operand, found 'or'  (at char 3), (line:1, col:4)")
    assert said == "the condition cannot be read: found 'or' at character 4 of it"
    assert "1 of NAME*" in hint
