"""Field mappings: what the fields of a log source's rules are called in the records it really sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rules.condition import And, Leaf, Node, Not, Or, split_glob
from rules.document import Document, Key, RuleError, RuleErrors, did_you_mean, documents_of
from rules.fields import EITHER, FIELDS, canonical, is_path
from rules.logsource import LogSource, log_source_of

KEYS = ("mapping", "description", "logsource", "sources", "fields")
FIELD_KEYS = ("paths", "values")
LOGSOURCE_KEYS = ("category", "product", "service", "definition")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field is found besides under its own name, and what its values (lower case) are called there."""

    paths: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A document that says for a log source which sources have its events and where its fields are found."""

    document: Document
    logsource: LogSource
    sources: tuple[str, ...]
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Lens:
    """A log source as its rules see it: the sources of its events (none: every source), and its fields."""

    product: str
    sources: tuple[str, ...]
    fields: Mapping[str, Field]

    def name(self, field: str) -> str:
        """The canonical name of a field, EITHER between its places.

        Raises:
            KeyError: when the normalised event has no such field; its argument is the name.
        """
        found = self._field(field)
        paths = () if found is None else found.paths
        return EITHER.join(dict.fromkeys((canonical(field, self.product), *paths)))

    def see(self, node: Node) -> Node:
        """A condition as written, with canonical names and the values as they are called there.

        Raises:
            KeyError: as `name`.
        """
        match node:
            case Leaf():
                return self._leaf(node)
            case Not(child):
                return Not(self.see(child))
            case And(children):
                return And(tuple(map(self.see, children)))
            case Or(children):
                return Or(tuple(map(self.see, children)))

    def _leaf(self, leaf: Leaf) -> Node:
        if leaf.field is None:
            return leaf
        name = self.name(leaf.field)
        value = self.name(str(leaf.value)) if leaf.op == "fieldref" else leaf.value
        found = self._field(leaf.field)
        seen = Leaf(name, leaf.op, value, leaf.cased, leaf.detail)
        if found is None or leaf.op != "equals":
            return seen
        called = found.values.get(str(leaf.value).lower(), ())
        return Or((seen, *(_like(name, text) for text in called))) if called else seen

    def _field(self, name: str) -> Field | None:
        """The mapping of a field: by its name whatever the case, or by the longest NAME.* above it."""
        found = self.fields.get(name.lower())
        if found is not None or not self.fields:
            return found
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            above = self.fields.get(".".join(parts[:length]).lower() + ".*")
            if above is not None:
                rest = ".".join(parts[length:])
                return Field(tuple(path.removesuffix("*") + rest for path in above.paths), {})
        return None


def _like(field: str, text: str) -> Leaf:
    wild = any(is_wild for is_wild, _ in split_glob(text))
    return Leaf(field, "glob" if wild else "equals", text)


def lens(mappings: Iterable[FieldMapping], logsource: LogSource) -> Lens | None:
    """How the rules of a log source see events; None where nobody says which source has its events.

    Of mappings that cover it the more specific go before the general, and later ones before earlier.
    """
    covering = sorted((one for one in mappings if one.logsource.covers(logsource)), key=lambda one: one.logsource.named)
    fields = {name: field for one in covering for name, field in one.fields.items()}
    named = [one.sources for one in covering if one.sources]
    if logsource.product == "auditwatch":
        return Lens("auditwatch", (logsource.service,) if logsource.service else (), fields)
    if not named and not logsource.product:
        return None
    return Lens(logsource.product, named[-1] if named else (logsource.product,), fields)


@cache
def shipped() -> tuple[FieldMapping, ...]:
    """The mappings that come with auditwatch."""
    documents, errors = documents_of([Path(__file__).resolve().parent / "mappings"])
    read = [one for document in documents for one in read_mapping(document, errors)]
    if errors:
        raise RuleErrors(errors)
    return tuple(read)


def read_mapping(document: Document, errors: list[RuleError]) -> list[FieldMapping]:
    """The mapping of a document; what is wrong with it is added to `errors`."""
    data = document.data
    wrong = document.unknown_keys(KEYS) + document.unknown_keys(LOGSOURCE_KEYS, ["logsource"])
    logsource = log_source_of(data.get("logsource"))
    if not logsource.named:
        hint = "logsource: with product:, service: or category:"
        wrong.append(document.error("a mapping says whose fields these are", hint, ["logsource"]))
    sources = _texts(data.get("sources", []))
    if sources is None:
        wrong.append(document.error("sources must be a list of names", "sources: [entra]", ["sources"]))
    fields = data.get("fields", {})
    if not isinstance(fields, dict):
        wrong.append(document.error("fields must be a mapping", "NAME IN RULES: PATH IN RECORDS", ["fields"]))
        fields = {}
    for name, written in fields.items():
        wrong += _wrong_field(document, ["fields", name], name, written)
    errors += wrong
    if wrong or sources is None:
        return []
    return [FieldMapping(document, logsource, sources, {name.lower(): _field(one) for name, one in fields.items()})]


def _field(written: Any) -> Field:
    given = written if isinstance(written, dict) else {"paths": written}
    values = given.get("values", {})
    return Field(_texts(given["paths"]) or (), {name.lower(): _texts(called) or () for name, called in values.items()})


def _wrong_field(document: Document, at: Sequence[Key], name: str, written: Any) -> Iterator[RuleError]:
    given = written if isinstance(written, dict) else {"paths": written}
    if given is written:
        yield from document.unknown_keys(FIELD_KEYS, at)
    paths = _texts(given.get("paths"))
    if paths is None:
        yield document.error(f"{name} has no path", "a path in the record, or a list of them", at)
    for path in paths or ():
        if path.startswith("auditwatch.") and path.removeprefix("auditwatch.") not in FIELDS:
            field = path.removeprefix("auditwatch.")
            yield document.error(f"no field {field!r} in the normalised event", did_you_mean(field, FIELDS), at)
        elif not is_path(path):
            yield document.error(f"{path!r} is no path", "parts between dots, or list[key=value].part", at)
        elif path.endswith("*") != name.endswith(".*"):
            yield document.error(f"{name} and {path} do not fit", "end both with .* or neither", at)
    values = given.get("values", {})
    if not isinstance(values, dict) or any(_texts(called) is None for called in values.values()):
        hint = "VALUE IN RULES: value in records, or a list of them, all text"
        yield document.error(f"values of {name} must be a mapping", hint, [*at, "values"])


def _texts(value: Any) -> tuple[str, ...] | None:
    """A text or a list of texts as a tuple; None for anything else."""
    listed = value if isinstance(value, list) else [value]
    return tuple(listed) if all(isinstance(one, str) and one for one in listed) else None
