"""A mapping file, read and checked: where in a vendor's JSON the fields of an event stand.

    source: acme                         # letters, digits and _; also the name of its topic audit.raw.acme
    inside: data                         # where records are wrapped: the object that holds the fields (optional)
    required: [type]                     # a record without one of these is a reject (optional)
    action: type                         # every field: a path, or a list of alternatives, the first found counts
    id: [log_id, uuid]
    time: [date, {from: ts, format: epoch_ms}]                  # formats: rfc3339 (default), epoch_s, epoch_ms
    outcome: {from: result, values: {ok: success, deny*: denied}, otherwise: unknown}
    actor: {id: {from: user.email, lower: true}, name: user.name, kind: {constant: human}, identity: ...}
    target: {id: ..., name: ...}
    resource: {type: {constant: item}, name: item.name}
    source_ip: client.ip
    country, asn, user_agent, session_id, account: as above

A path goes through objects by key, through lists by number (targets.0.name), and into a text that is itself JSON.
A table of values names whole values, or their beginning (deny*) or end (*_failed), and is asked in that order, the
longest first; where it holds none the alternative counts as not found, unless it says `otherwise`. There is no other
logic: what needs more is a module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from audit.yaml_lines import BadText, Lines, Place, Tree, read_yaml

FORMATS = ("rfc3339", "epoch_s", "epoch_ms")
_ENUMERATED = {
    "outcome": ("success", "failure", "denied", "unknown"),
    "actor.kind": ("human", "service", "contractor", "unknown"),
    "actor.identity": ("verified", "asserted", "anonymous"),
    "target.kind": ("human", "service", "contractor", "unknown"),
}
FIELDS = (
    *("id", "action", "outcome", "actor.id", "actor.name", "actor.kind", "actor.identity", "target.id", "target.name"),
    *("target.kind", "resource.type", "resource.name", "source_ip", "country", "asn", "user_agent", "session_id"),
    "account",
)
_GROUPS = {
    group: tuple(name.partition(".")[2] for name in FIELDS if name.startswith(group + "."))
    for group in ("actor", "target", "resource")
}
_KEYS = ("source", "inside", "required", "time", *(name for name in FIELDS if "." not in name), *_GROUPS)
_ALTERNATIVE = ("from", "values", "otherwise", "lower", "constant")
_TIME = ("from", "format", "nanoseconds")
MOST_PATHS = 16

Steps = tuple[str, ...]


class Alternative(NamedTuple):
    """One place a field may stand: its paths, the table its value goes through, or a constant."""

    paths: tuple[Steps, ...] = ()
    values: dict[str, str] | None = None
    starts: tuple[tuple[str, str], ...] = ()
    ends: tuple[tuple[str, str], ...] = ()
    otherwise: str | None = None
    lower: bool = False
    constant: str | None = None


class Moment(NamedTuple):
    """One place the time may stand, and how it is written there."""

    path: Steps
    format: str = "rfc3339"
    nanoseconds: Steps = ()


class Spec(NamedTuple):
    """A mapping file as checked; `fields` holds those of FIELDS that it names."""

    source: str
    inside: Steps
    required: tuple[Steps, ...]
    time: tuple[Moment, ...]
    fields: dict[str, tuple[Alternative, ...]]


class MappingError(Exception):
    """A mapping file that cannot be used; `problems` are its mistakes as "path:line: what"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_spec(path: Path) -> Spec:
    """The mapping a file declares.

    Raises:
        MappingError: when it cannot be read, or is wrong anywhere: all its mistakes, each with its line.
    """
    try:
        text = path.read_bytes()
        tree = read_yaml(text)
    except OSError as error:
        raise MappingError(
            [f"{path}:1: cannot be read ({error.strerror}): check the path and its permissions"]
        ) from None
    except BadText as error:
        raise MappingError([f"{path}:{error.line}: {error.what}"]) from None
    reader = _Reader()
    spec = reader.spec(tree)
    if reader.problems:
        lines = Lines(text)
        raise MappingError([f"{path}:{lines.line(place)}: {what}" for place, what in reader.problems])
    return spec


class _Reader:
    """Turns the tree into a Spec and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[tuple[Place, str]] = []

    def spec(self, tree: Tree) -> Spec:
        root = self._object((), tree, _KEYS)
        source = root.get("source")
        if not _is_name(source):
            self._wrong(("source",), "`source` must be a name of small letters, digits and _: source: acme")
            source = ""
        for needed in ("action", "time", "actor"):
            if needed not in root:
                self._wrong((), f"`{needed}` is missing: say where it stands in a record")
        fields = dict(self._fields(root))
        if "actor" in root and "actor.id" not in fields:
            self._wrong(("actor",), "`actor` has no `id`: say where the name of who acts stands")
        inside = self._path(("inside",), root["inside"]) if "inside" in root else ()
        required = self._paths(("required",), root["required"]) if "required" in root else ()
        return Spec(str(source), inside, required, tuple(self._moments(root.get("time", []))), fields)

    def _fields(self, root: dict[str, Tree]) -> Iterator[tuple[str, tuple[Alternative, ...]]]:
        for name in FIELDS:
            group, _, part = name.partition(".")
            if not part and name in root:
                yield name, self._alternatives((name,), name, root[name])
        for group, parts in _GROUPS.items():
            inner = self._object((group,), root[group], parts) if group in root else {}
            for part, tree in inner.items():
                name = f"{group}.{part}"
                yield name, self._alternatives((group, part), name, tree)

    def _alternatives(self, place: Place, name: str, tree: Tree) -> tuple[Alternative, ...]:
        if not isinstance(tree, list):
            return (self._alternative(place, name, tree),)
        self._few(place, tree)
        return tuple(self._alternative((*place, index), name, item) for index, item in enumerate(tree))

    def _alternative(self, place: Place, name: str, tree: Tree) -> Alternative:
        if isinstance(tree, str):
            return Alternative((self._path(place, tree),))
        parts = self._object(place, tree, _ALTERNATIVE)
        if "constant" in parts:
            return Alternative(constant=self._word((*place, "constant"), name, parts["constant"]))
        if "from" not in parts:
            self._wrong(place, "say `from: PATH`, or `constant: TEXT`")
            return Alternative()
        values = self._table((*place, "values"), name, parts["values"]) if "values" in parts else None
        otherwise = self._word((*place, "otherwise"), name, parts["otherwise"]) if "otherwise" in parts else None
        if parts.get("lower", "false") not in ("true", "false"):
            self._wrong((*place, "lower"), "`lower` is true or false")
        table = values or {}
        return Alternative(
            paths=self._paths((*place, "from"), parts["from"]),
            values=None if values is None else {key: value for key, value in table.items() if "*" not in key},
            starts=_longest_first((key[:-1], value) for key, value in table.items() if key.endswith("*")),
            ends=_longest_first((key[1:], value) for key, value in table.items() if key.startswith("*") and key != "*"),
            otherwise=otherwise,
            lower=parts.get("lower") == "true",
        )

    def _table(self, place: Place, name: str, tree: Tree) -> dict[str, str]:
        if not isinstance(tree, dict) or not tree:
            self._wrong(place, "`values` is a table: VALUE IN THE RECORD: what it means here")
            return {}
        for key in tree:
            if "*" in key[1:-1] or (key.startswith("*") and key.endswith("*") and len(key) > 1):
                self._wrong((*place, key), f"`{key}`: one * is allowed, at the beginning or at the end")
        return {key: self._word((*place, key), name, value) for key, value in tree.items()}

    def _word(self, place: Place, name: str, tree: Tree) -> str:
        """A text that may stand in the field: any, or one of the field's own words."""
        if not isinstance(tree, str):
            self._wrong(place, "a text must stand here")
            return ""
        allowed = _ENUMERATED.get(name, ())
        if allowed and tree not in allowed:
            self._wrong(place, f"`{tree}` is no {name}: {_meant(tree, allowed)}")
        return tree

    def _moments(self, tree: Tree) -> Iterator[Moment]:
        items = tree if isinstance(tree, list) else [tree]
        self._few(("time",), items)
        for index, item in enumerate(items):
            place: Place = ("time", index) if isinstance(tree, list) else ("time",)
            if isinstance(item, str):
                yield Moment(self._path(place, item))
                continue
            parts = self._object(place, item, _TIME)
            written = parts.get("format", "rfc3339")
            if written not in FORMATS:
                self._wrong((*place, "format"), f"`{written}` is no format of a time: {_meant(str(written), FORMATS)}")
            nanoseconds = self._path((*place, "nanoseconds"), parts["nanoseconds"]) if "nanoseconds" in parts else ()
            yield Moment(self._path((*place, "from"), parts.get("from")), str(written), nanoseconds)

    def _paths(self, place: Place, tree: Tree) -> tuple[Steps, ...]:
        if not isinstance(tree, list):
            return (self._path(place, tree),)
        self._few(place, tree)
        return tuple(self._path((*place, index), item) for index, item in enumerate(tree))

    def _path(self, place: Place, tree: Tree) -> Steps:
        if not isinstance(tree, str) or not tree or not all(tree.split(".")) or len(tree) > 256:
            self._wrong(place, "a path must stand here: keys joined by dots, such as user.email")
            return ()
        return tuple(tree.split("."))

    def _object(self, place: Place, tree: Tree, allowed: tuple[str, ...]) -> dict[str, Tree]:
        if not isinstance(tree, dict):
            self._wrong(place, f"a mapping must stand here, with {', '.join(allowed)}")
            return {}
        for key in tree:
            if key not in allowed:
                self._wrong((*place, key), f"`{key}` is not known here: {_meant(key, allowed)}")
        return {key: value for key, value in tree.items() if key in allowed}

    def _few(self, place: Place, items: list[Tree]) -> None:
        if not 0 < len(items) <= MOST_PATHS:
            self._wrong(place, f"a list of 1 to {MOST_PATHS} must stand here: it has {len(items)}")

    def _wrong(self, place: Place, what: str) -> None:
        self.problems.append((place, what))


def _longest_first(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def _is_name(name: Tree) -> bool:
    if not isinstance(name, str) or not 0 < len(name) <= 40 or not name.isascii():
        return False
    return name[0].isalpha() and name.replace("_", "a").isalnum() and name == name.lower()


def _meant(word: str, allowed: tuple[str, ...]) -> str:
    close = get_close_matches(word[:64], allowed, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(allowed)}"
