from __future__ import annotations

from pathlib import Path

from rules.condition import Leaf
from rules.document import Document, RuleError, read
from rules.logsource import LogSource
from rules.mapping import Lens
from rules.parsed import ParsedRule, identity, items, named, seen

LENS = Lens("aws", ("cloudtrail",), {})


def document(folder: Path, text: str) -> Document:
    (folder / "rule.yml").write_text(text)
    return read(folder / "rule.yml")[0][0]


def test_a_rule_may_be_called_by_its_name_and_its_id(tmp_path: Path) -> None:
    leaf = Leaf("a", "equals", "x")
    full = ParsedRule(document(tmp_path, "title: x\nid: 7\nname: n"), LogSource("aws"), LENS, leaf)
    assert full.names == ("n", "7")
    bare = ParsedRule(document(tmp_path, "title: x"), LogSource("aws"), LENS, leaf)
    assert bare.names == (bare.id,)
    assert bare.id == identity(document(tmp_path, "title: x\nlevel: low")) != identity(document(tmp_path, "title: y"))


def test_names_stand_for_each_thing_once_or_are_errors(tmp_path: Path) -> None:
    one, other = object(), object()
    errors: list[RuleError] = []

    def error(message: str, hint: str) -> RuleError:
        return RuleError(tmp_path, 1, 1, message, hint)

    known = {"one": one, "1": one, "other": other}
    assert named(("one", "1", "othr"), known, error, errors) == [one]
    assert [(each.message, each.hint) for each in errors] == [("no rule called 'othr'", "did you mean 'other'?")]
    assert named(("x",), dict[str, object](), error, errors) == []
    assert errors[1].hint == "known are none"


def test_a_field_that_does_not_exist_is_an_error_at_its_place(tmp_path: Path) -> None:
    text = "title: x\ndetection:\n  s:\n    - {a: b}\n    - {auditwatch.actoin|contains: x}\n"
    errors: list[RuleError] = []
    node = Leaf("auditwatch.actoin", "contains", "x")
    assert seen(LENS, node, document(tmp_path, text), ["detection"], errors) is None
    assert (errors[0].line, errors[0].column, errors[0].hint) == (5, 8, "did you mean 'action'?")
    assert seen(LENS, Leaf("a", "equals", "x"), document(tmp_path, text), ["detection"], errors) is not None


def test_anything_has_items() -> None:
    assert items({"a": 1}) == [("a", 1)]
    assert items(["x"]) == [(0, "x")]
    assert items("text") == items(None) == []
