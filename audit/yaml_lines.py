"""YAML and JSON as plain trees, with the line of any place in them; safe on hostile text.

A tree is made of dict, list, str, bool and None. Plain YAML scalars stay text ("012345678901" keeps its zero, "NO"
stays a country); whoever gives the tree its types (msgspec in lax mode) reads numbers and booleans from them. A key
whose value is empty or null counts as not written. Nothing in a file can name a Python object.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from yaml._yaml import CParser

MAX_DEPTH = 32
MAX_ALIASED = 1_000_000
"""Nodes that aliases may stand for in one file: "billion laughs" is refused, defaults shared by thousands pass."""

Tree = Any
Place = tuple[str | int, ...]


class BadText(Exception):
    """Text that is no tree: `line` counts from 1, `what` says what is wrong and what to do."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


def read_yaml(text: bytes) -> Tree:
    """The tree of one YAML document; an empty one is {}.

    Raises:
        BadText: when it is not YAML, has a key twice, is nested or aliased beyond bounds, or holds several documents.
    """
    try:
        return _Builder().build(_Parser(text))
    except yaml.MarkedYAMLError as error:
        raise BadText(_error_line(error), f"not YAML: {error.problem or error}") from error
    except yaml.reader.ReaderError as error:
        line = text.count(b"\n", 0, error.position) + 1
        raise BadText(line, f"not YAML: {error.reason}: save it as UTF-8, without control characters") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadText(1, f"not YAML: {' '.join(str(error).split())}") from error


def read_json(text: bytes) -> Tree:
    """The tree of one JSON document, numbers kept as they are written.

    Raises:
        BadText: when it is not JSON, has a key twice, or is nested beyond bounds.
    """
    try:
        return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise BadText(error.lineno, f"not JSON: {error.msg}") from error
    except _WrittenTwice as error:
        read_yaml(text)  # knows the line
        raise BadText(1, "a key is written twice in one object: keep one") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadText(1, f"not JSON: {type(error).__name__}") from error


class Lines:
    """Finds the line of a place in a file that has been read once (JSON is read as YAML for this)."""

    def __init__(self, text: bytes) -> None:
        try:
            self._root = _Parser(_SURROGATE.sub(b"?", text)).get_single_node()
        except yaml.YAMLError:
            self._root = None

    def line(self, place: Place) -> int:
        """The line (from 1) of a place such as ("users", 3, "roles"), or of the nearest place around it."""
        return self.position(place)[0]

    def position(self, place: Place) -> tuple[int, int]:
        """Line and column (from 1) of a place, or of the nearest place around it."""
        node, mark = self._root, None
        for step in place:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """Where something in a node begins, and its own node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark, item
    return None


class _Parser(CParser):
    """libyaml without tag resolution: twice as fast, and "NO" or "012" stay text."""

    def resolve(self, kind: object, value: object, implicit: object) -> str:
        return ""

    def descend_resolver(self, node: object, index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class _Builder:
    """Folds parser events into a tree. `_stack` holds the open containers, each with its pending key."""

    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Tree, int]] = {}
        self._count = 0
        self._aliased = 0

    def build(self, parser: _Parser) -> Tree:
        root = _Open([], None, 0)
        self._stack.append(root)
        while (event := parser.get_event()) is not None:
            handle = _HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)
        if len(root.into) > 1:
            raise BadText(1, "several documents in one file: split them into files")
        return {} if not root.into or root.into[0] is None else root.into[0]

    def scalar(self, event: yaml.ScalarEvent) -> None:
        self._count += 1
        value = None if event.implicit[0] and event.value in _NULLS else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, event)

    def alias(self, event: yaml.AliasEvent) -> None:
        value, weight = self._anchors.get(event.anchor or "", (None, 0))
        if not weight:
            raise BadText(_line(event), f"alias *{event.anchor} stands before or inside its anchor: move it after")
        self._count += weight
        self._aliased += weight
        if self._aliased > MAX_ALIASED:
            raise BadText(_line(event), f"aliases stand for more than {MAX_ALIASED:,} nodes: write them out")
        self._put(value, event)

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._count += 1
        if len(self._stack) > MAX_DEPTH:
            raise BadText(_line(event), f"nested deeper than {MAX_DEPTH} levels: flatten it")
        into: Tree = {} if type(event) is yaml.MappingStartEvent else []
        self._stack.append(_Open(into, event.anchor, self._count))

    def close(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        closed = self._stack.pop()
        if closed.anchor is not None:
            self._anchors[closed.anchor] = (closed.into, self._count - closed.count + 1)
        self._put(closed.into, event)

    def _put(self, value: Tree, event: yaml.Event) -> None:
        parent = self._stack[-1]
        into = parent.into
        if type(into) is list:
            into.append(value)
        elif parent.key is _NO_KEY:
            if type(value) is not str:
                raise BadText(_line(event), "a key must be text: quote it")
            if value in parent.keys:
                raise BadText(_line(event), f"key '{value}' is written twice: keep one")
            parent.keys.add(value)
            parent.key = value
        else:
            if value is not None:
                into[parent.key] = value
            parent.key = _NO_KEY


class _Open:
    """A container being filled; `keys` remembers null keys too, so that a second writing is seen."""

    __slots__ = ("anchor", "count", "into", "key", "keys")

    def __init__(self, into: Tree, anchor: str | None, count: int) -> None:
        self.into = into
        self.anchor = anchor
        self.count = count
        self.key: object = _NO_KEY
        self.keys: set[str] = set()


def _object(pairs: list[tuple[str, Tree]]) -> Tree:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _WrittenTwice
    return {key: value for key, value in pairs if value is not None}


class _WrittenTwice(Exception):
    pass


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _error_line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


_NO_KEY = object()
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_HANDLERS: dict[type, Any] = {
    yaml.ScalarEvent: _Builder.scalar,
    yaml.AliasEvent: _Builder.alias,
    yaml.MappingStartEvent: _Builder.open,
    yaml.SequenceStartEvent: _Builder.open,
    yaml.MappingEndEvent: _Builder.close,
    yaml.SequenceEndEvent: _Builder.close,
}
