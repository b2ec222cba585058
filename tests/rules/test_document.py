from __future__ import annotations

from pathlib import Path

import pytest

from rules.document import RuleError, did_you_mean, documents_of, read


def written(folder: Path, text: str) -> Path:
    path = folder / "rule.yml"
    path.write_text(text)
    return path


def test_every_part_has_a_place(tmp_path: Path) -> None:
    (document,), errors = read(written(tmp_path, "a: 1\nb:\n  - x\n  - {c: d}\n"))
    assert errors == []
    assert document.data == {"a": 1, "b": ["x", {"c": "d"}]}
    assert document.place([]) == (1, 1)
    assert document.place(["b"]) == (2, 1)
    assert document.place(["b", 0]) == (3, 5)
    assert document.place(["b", 1, "c"]) == (4, 6)
    assert document.place(["b", 7, "c"]) == (2, 1)


def test_an_error_reads_like_a_compilers() -> None:
    assert str(RuleError(Path("r.yml"), 3, 7, "bad", "do this")) == "r.yml:3:7: bad: do this"
    assert str(RuleError(Path("r.yml"), 3, 7, "bad")) == "r.yml:3:7: bad"


def test_documents_are_numbered_through_the_file(tmp_path: Path) -> None:
    documents, _ = read(written(tmp_path, "a: 1\n---\n---\nb: 2\n"))
    assert [document.place([key]) for document, key in zip(documents, "ab", strict=True)] == [(1, 1), (4, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", ":2:1: not YAML: did not find expected ',' or ']': check"),
        ("a: b: c", ":1:5: not YAML: mapping values are not allowed"),
        ("a: !!python/object:os.system x", "not YAML: could not determine a constructor"),
        ("a: \x00", "not YAML"),
        ("a: &a [*a]", ":1:1: aliases stand for more than 100,000 values: write them out"),
        ("a: 1\nb: {c: 1, c: 2}", ":2:11: key 'c' is written twice: keep one of them"),
        ("off: 1", ":1:1: key 'off' is not read as text: quote it"),
        ("- a", ":1:1: a rule must be a YAML mapping: begin with title:"),
        ("a: 2026-99-99", "not YAML: month must be in 1..12"),
        ("a: " + "[" * 500 + "]" * 500, "not YAML"),
    ],
)
def test_what_is_no_rule_file(tmp_path: Path, text: str, message: str) -> None:
    documents, errors = read(written(tmp_path, text))
    assert documents == []
    assert message in str(errors[0])


def test_merged_keys_are_no_repetition(tmp_path: Path) -> None:
    (document,), errors = read(written(tmp_path, "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n"))
    assert errors == []
    assert document.data["b"] == {"x": 3, "y": 2}


def test_only_yaml_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.txt", "sub/d.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")
    documents, errors = documents_of([tmp_path])
    assert [document.path.name for document in documents] == ["a.yaml", "b.yml", "d.yml"]
    assert errors == []


def test_did_you_mean() -> None:
    assert did_you_mean("levle", ["level", "title"]) == "did you mean 'level'?"
    assert did_you_mean("xyz", ["level", "title"]) == "known are level, title"
