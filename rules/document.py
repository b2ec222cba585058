"""Rule files as documents that know the line and column of everything in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

LARGEST = 100_000
"""Values a document may hold, its aliases written out."""

Key = str | int
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class RuleError:
    """What is wrong with a rule file, where (line and column from 1), and what to do about it."""

    path: Path
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message}" + (f": {self.hint}" if self.hint else "")


class RuleErrors(Exception):
    """Rules that cannot be loaded: every error of every file, in the order of their places."""

    def __init__(self, errors: Iterable[RuleError]) -> None:
        self.errors = sorted(errors)
        super().__init__("\n".join(map(str, self.errors)))


class Document:
    """One YAML document of a rule file: its content, and the places of its parts."""

    __slots__ = ("_node", "data", "path")

    def __init__(self, path: Path, data: dict[str, Any], node: yaml.Node) -> None:
        self.path = path
        self.data = data
        self._node = node

    def error(self, message: str, hint: str = "", at: Sequence[Key] = ()) -> RuleError:
        """An error at the key or item `at`, or at the nearest part above it that exists."""
        return RuleError(self.path, *self.place(at), message, hint)

    def at(self, place: Sequence[Key]) -> Any:
        """The content at a place; None where there is none."""
        data: Any = self.data
        for key in place:
            try:
                data = data[key]
            except (KeyError, IndexError, TypeError):
                return None
        return data

    def place(self, at: Sequence[Key]) -> Place:
        """Line and column, from 1, of the key or item at a path."""
        node, mark = self._node, self._node.start_mark
        for key in at:
            found = _child(node, key)
            if found is None:
                break
            mark, node = found
        return mark.line + 1, mark.column + 1

    def unknown_keys(self, known: Iterable[str], at: Sequence[Key] = (), more: Iterable[str] = ()) -> list[RuleError]:
        """An error for each key of the mapping `at` that is not among `known`; `more` are keys to suggest besides."""
        data = self.at(at)
        if not isinstance(data, dict):
            return []
        where = f" in {'.'.join(map(str, at))}" if at else ""
        return [
            self.error(f"unknown key {key!r}{where}", did_you_mean(str(key), [*known, *more]), (*at, key))
            for key in data
            if key not in known
        ]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest known word, or all of them."""
    known = sorted(known)
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def documents_of(paths: Sequence[Path]) -> tuple[list[Document], list[RuleError]]:
    """The documents of files and folders (*.yml, *.yaml below them), and what keeps them from being read."""
    found: list[Document] = []
    errors: list[RuleError] = []
    for path in paths:
        files = _files(path)
        if not files:
            errors.append(RuleError(path, 1, 1, "no rules here", "name a .yml file or a folder that holds some"))
        for file in files:
            documents, wrong = read(file)
            found += documents
            errors += wrong
    return found, errors


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.suffix in (".yml", ".yaml")) if path.is_dir() else [path]


def read(path: Path) -> tuple[list[Document], list[RuleError]]:
    """The documents of one file, and what keeps it from being read."""
    try:
        loader = yaml.CSafeLoader(path.read_bytes())
    except OSError as error:
        return [], [RuleError(path, 1, 1, f"cannot be read: {error.strerror}")]
    except yaml.YAMLError as error:
        return [], [_yaml_error(path, error)]
    documents: list[Document] = []
    errors: list[RuleError] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            wrong = [_too_much(path, node)] if _weight(node, {}) >= LARGEST else list(_wrong_keys(path, node))
            errors += wrong
            if not wrong:
                _add(path, node, loader.construct_document(node), documents, errors)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        errors.append(_yaml_error(path, error))
    finally:
        loader.dispose()
    return documents, errors


def _add(path: Path, node: yaml.Node, data: Any, documents: list[Document], errors: list[RuleError]) -> None:
    if isinstance(data, dict):
        documents.append(Document(path, data, node))
    elif data is not None:
        mark = node.start_mark
        errors.append(
            RuleError(path, mark.line + 1, mark.column + 1, "a rule must be a YAML mapping", "begin with title:")
        )


def _too_much(path: Path, node: yaml.Node) -> RuleError:
    line = node.start_mark.line + 1
    return RuleError(path, line, 1, f"aliases stand for more than {LARGEST:,} values", "write them out")


def _weight(node: yaml.Node, weights: dict[int, int]) -> int:
    """How many nodes a node is with its aliases written out, up to LARGEST; one inside itself is that many."""
    known = weights.get(id(node))
    if known is not None:
        return known
    weights[id(node)] = LARGEST
    weight = 1
    if isinstance(node, yaml.SequenceNode):
        weight += sum(_weight(item, weights) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        weight += sum(_weight(value, weights) for _, value in node.value)
    weights[id(node)] = min(weight, LARGEST)
    return weights[id(node)]


def _wrong_keys(path: Path, root: yaml.Node) -> Iterator[RuleError]:
    """Keys written twice in one mapping, of which YAML would keep the last, and keys that are no text."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
        elif isinstance(node, yaml.MappingNode):
            stack += [value for _, value in node.value]
            yield from _wrong_keys_of(path, node)


def _wrong_keys_of(path: Path, node: yaml.MappingNode) -> Iterator[RuleError]:
    keys: set[str] = set()
    for key, _ in node.value:
        line, column = key.start_mark.line + 1, key.start_mark.column + 1
        if key.tag not in _KEY_TAGS:
            yield RuleError(path, line, column, f"key {key.value!r} is not read as text", "quote it")
        elif key.value in keys:
            yield RuleError(path, line, column, f"key {key.value!r} is written twice", "keep one of them")
        keys.add(str(key.value))


_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


def _child(node: yaml.Node, key: Key) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark, node.value[key]
    return None


def _yaml_error(path: Path, error: Exception) -> RuleError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    if mark is None:
        return RuleError(path, 1, 1, f"not YAML: {problem}")
    return RuleError(
        path, mark.line + 1, mark.column + 1, f"not YAML: {problem}", "check the indentation and the quotes"
    )
