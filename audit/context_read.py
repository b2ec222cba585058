"""Files into the rows of a context: every mistake in them is collected with its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args, get_type_hints

import msgspec

from audit.context_schema import (
    ROWS,
    SECTIONS,
    Company,
    Conditions,
    Declared,
    Exemption,
    Leave,
    Sensitive,
    decode_moment,
)
from audit.network import database_fault
from audit.yaml_lines import BadText, Lines, Place, Tree, read_json, read_yaml


class Problem(msgspec.Struct, frozen=True):
    """One mistake: where it stands and what to do about it."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass
class File:
    """A context file that has been read; lines are looked up only when there is something to say about them."""

    path: Path
    text: bytes
    tree: Tree

    @cached_property
    def lines(self) -> Lines:
        """The finder of lines; reads the file a second time."""
        return Lines(self.text)

    def problem(self, place: Place, what: str) -> Problem:
        """A mistake at a place of this file."""
        return Problem(str(self.path), self.lines.line(place), what)


@dataclass(slots=True)
class Rows:
    """What the files hold together. `origins` says for each row of a section which file it came from, and its index."""

    sections: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in ROWS})
    origins: dict[str, list[tuple[File, int]]] = field(default_factory=lambda: {name: [] for name in ROWS})
    company: dict[str, Tree] = field(default_factory=dict)
    geo_databases: list[str] = field(default_factory=list)
    observe_only: bool = False
    problems: list[Problem] = field(default_factory=list)

    def at(self, section: str, index: int, *place: str | int) -> tuple[File, Place]:
        """The file and the place in it of something in a row."""
        file, row = self.origins[section][index]
        return file, (section, row, *place)

    def declared(self) -> Declared:
        """The rows as one typed whole; call it once there are no problems left."""
        company = msgspec.convert(self.company, Company, strict=False)
        rows = {name: tuple(rows) for name, rows in self.sections.items()}
        return Declared(
            company=company, geo_databases=tuple(self.geo_databases), observe_only=self.observe_only, **rows
        )


def read_rows(path: Path) -> Rows:
    """The rows of a file, or of every .yml, .yaml and .json file in a directory and below it."""
    rows = Rows()
    for file in _files(path, rows.problems):
        if not isinstance(file.tree, dict):
            rows.problems.append(file.problem((), f"not a mapping of sections: write {', '.join(SECTIONS)}"))
            continue
        for name, value in file.tree.items():
            _read_section(file, name, value, rows)
    return rows


def _files(path: Path, problems: list[Problem]) -> Iterator[File]:
    if path.is_dir():
        paths = sorted(found for found in path.rglob("*") if found.suffix in _SUFFIXES and found.is_file())
    else:
        paths = [path]
    if not paths:
        problems.append(Problem(str(path), 1, "holds no .yml, .yaml or .json file: put the context there"))
    for one in paths:
        try:
            text = one.read_bytes()
            yield File(one, text, read_json(text) if one.suffix == ".json" else read_yaml(text))
        except OSError as error:
            problems.append(
                Problem(str(one), 1, f"cannot be read ({error.strerror}): check the path and its permissions")
            )
        except BadText as error:
            problems.append(Problem(str(one), error.line, error.what))


def _read_section(file: File, name: str, value: Tree, rows: Rows) -> None:
    if name == "company":
        _read_company(file, value, rows)
    elif name == "observe_only":
        _read_observe_only(file, value, rows)
    elif name not in ROWS:
        rows.problems.append(file.problem((name,), _unknown(name, "the file", SECTIONS)))
    elif name == "ip_geo":
        _read_list(file, name, _take_databases(file, value, rows), rows)
    else:
        _read_list(file, name, value, rows)


def _read_company(file: File, value: Tree, rows: Rows) -> None:
    _, problems = _convert(value, Company, "company")
    for place, what in problems:
        rows.problems.append(file.problem(("company", *place), what))
    if problems:
        return
    for key, part in value.items():
        if rows.company.setdefault(key, part) != part:
            rows.problems.append(
                file.problem(("company", key), f"company.{key} is declared differently in another file: keep one")
            )


def _read_observe_only(file: File, value: Tree, rows: Rows) -> None:
    if str(value).lower() not in ("true", "false"):
        rows.problems.append(file.problem(("observe_only",), "observe_only: expected true or false"))
    rows.observe_only |= str(value).lower() == "true"


def _take_databases(file: File, value: Tree, rows: Rows) -> Tree:
    """The rows of ip_geo with the MaxMind paths taken out (relative to the file that names them); indexes are kept."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return listed
    for index, item in enumerate(listed):
        if isinstance(item, str):
            path = str(file.path.parent / item)
            rows.geo_databases.append(path)
            if fault := database_fault(path):
                what = f"ip_geo: '{item}' is no MaxMind database ({fault}): give the path of an .mmdb file"
                rows.problems.append(file.problem(("ip_geo", index), what))
    return [None if isinstance(item, str) else item for item in listed]


def _read_list(file: File, name: str, value: Tree, rows: Rows) -> None:
    if not isinstance(value, list):
        rows.problems.append(file.problem((name,), f"{name}: expected a list of rows, each '- key: value'"))
        return
    kept = [(index, row) for index, row in enumerate(value) if row is not None or name != "ip_geo"]
    for index, row in _converted(file, name, kept, rows.problems):
        rows.sections[name].append(row)
        rows.origins[name].append((file, index))


def _converted(
    file: File, name: str, kept: list[tuple[int, Tree]], problems: list[Problem]
) -> Iterator[tuple[int, Any]]:
    try:
        made = msgspec.convert([row for _, row in kept], _MANY[name], strict=False, dec_hook=decode_moment)
        yield from zip((index for index, _ in kept), made, strict=True)
    except msgspec.ValidationError:
        for index, tree in kept:
            row, found = _convert(tree, ROWS[name], name)
            problems += [file.problem((name, index, *place), what) for place, what in found]
            if row is not None:
                yield index, row


def _convert(tree: Tree, kind: type[msgspec.Struct], name: str) -> tuple[Any, list[tuple[Place, str]]]:
    """The typed row, and every mistake in it: a mistaken key is noted, taken out, and the rest tried again."""
    if not isinstance(tree, dict):
        return None, [((), f"{name}: expected keys and values, found {_found(tree)}")]
    known = msgspec.structs.fields(kind)
    names = [one.encode_name for one in known]
    problems: list[tuple[Place, str]] = [((key,), _unknown(key, name, names)) for key in tree if key not in names]
    problems += [
        ((), f"{name}: '{one.encode_name}' is missing: add it")
        for one in known
        if one.required and one.encode_name not in tree
    ]
    left = {key: value for key, value in tree.items() if key in names}
    row = None
    for _ in range(len(left) + 1):
        try:
            row = msgspec.convert(left, kind, strict=False, dec_hook=decode_moment)
            break
        except msgspec.ValidationError as error:
            place, what = _explain(str(error), left, kind, name)
            if not place:
                break
            problems.append((place, what))
            del left[str(place[0])]
    return (None if problems else row), problems


def _explain(message: str, tree: dict[str, Tree], kind: type[msgspec.Struct], name: str) -> tuple[Place, str]:
    """The place and plain words of a msgspec message; the place is () when a key taken out before is missing now."""
    text, _, where = message.partition(" - at `$")
    place = tuple(int(index) if index else key for key, index in _STEP.findall(where))
    label = ".".join([name, *(str(step) for step in place if isinstance(step, str))])
    if unknown := _UNKNOWN.search(text):
        inner = _INNER.get(str(place[0]), kind) if place else kind
        return (*place, unknown[1]), _unknown(unknown[1], label, inner.__struct_fields__)
    if text.startswith("Invalid enum value"):
        choices = _choices(kind, str(place[0]))
        return place, f"{label}: '{tree[str(place[0])]}' is not known: write one of {', '.join(choices)}"
    for word, plain in _PLAIN.items():
        text = text.replace(f"`{word}`", plain)
    return place, f"{label}: {text[:1].lower()}{text[1:]}"


def near(name: str, known: set[str]) -> str:
    """What to do about a name that is not known; near names are sought only where that is cheap."""
    found = get_close_matches(name, known, n=1, cutoff=0.75) if len(known) <= 2_000 else []
    return f": did you mean '{found[0]}'?" if found else ": declare it or correct the name"


def _choices(kind: type[msgspec.Struct], key: str) -> list[str]:
    return [str(one) for one in get_args(get_type_hints(kind)[key])]


def _unknown(key: str, where: str, known: Any) -> str:
    near = get_close_matches(key, list(known), n=1, cutoff=0.6)
    advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key '{key}': {advice}"


def _found(tree: Tree) -> str:
    return "a list" if isinstance(tree, list) else "nothing" if tree is None else f"'{str(tree)[:40]}'"


_MANY: dict[str, Any] = {name: GenericAlias(list, kind) for name, kind in ROWS.items()}
_SUFFIXES = frozenset({".yml", ".yaml", ".json"})
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_INNER: dict[str, type[msgspec.Struct]] = {
    "leave": Leave,
    "sensitive": Sensitive,
    "conditions": Conditions,
    "exceptions": Exemption,
}
_PLAIN = {
    "object": "keys and values",
    "array": "a list",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "float | null": "a number",
    "int | null": "a number",
    "null": "nothing",
}
