"""What parsing makes of documents, on its way to rules: trees whose fields are called as their author wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from audit.finding import stable_id
from rules.condition import Node
from rules.document import Document, Key, RuleError, did_you_mean
from rules.fields import FIELDS
from rules.logsource import LogSource
from rules.mapping import Lens

_UUID = 36
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A document that is a rule; `condition` has the fields as written, and the filters that speak of it."""

    document: Document
    logsource: LogSource
    lens: Lens
    condition: Node

    @property
    def id(self) -> str:
        """The rule's id."""
        return identity(self.document)

    @property
    def names(self) -> tuple[str, ...]:
        """What other documents may call it: its name, and its id."""
        name = self.document.data.get("name")
        return (str(name), self.id) if name else (self.id,)


@dataclass(frozen=True, slots=True)
class ParsedFilter:
    """A document that is a filter: `rules` are the names or ids it speaks of, None any that its log source covers."""

    document: Document
    logsource: LogSource
    rules: tuple[str, ...] | None
    condition: Node


@dataclass(frozen=True, slots=True)
class ParsedExcuse:
    """One entry of a document's exceptions, at its position in the list."""

    document: Document
    position: int
    selection: Node


def identity(document: Document) -> str:
    """The rule's id; one without (check asks for it) gets one from its title."""
    return str(document.data.get("id") or stable_id("rule", document.data.get("title", "")))


def seen(lens: Lens, node: Node, document: Document, at: list[Key], errors: list[RuleError]) -> Node | None:
    """A condition through a log source's lens; a field that does not exist is an error at its place below `at`."""
    try:
        return lens.see(node)
    except KeyError as error:
        name = str(error.args[0])
        what = f"no field {name!r} in the normalised event"
        errors.append(document.error(what, did_you_mean(name, FIELDS), _where(document, at, name)))
        return None


def named(
    names: tuple[str, ...], known: Mapping[str, T], error: Callable[[str, str], RuleError], errors: list[RuleError]
) -> list[T]:
    """What the names or ids stand for, each once; one that stands for nothing is an error."""
    for name in names:
        if name not in known:
            shown = [one for one in known if len(one) != _UUID] or list(known)[:20] or ["none"]
            errors.append(error(f"no rule called {name!r}", did_you_mean(name, shown)))
    return list({id(known[name]): known[name] for name in names if name in known}.values())


def _where(document: Document, top: list[Key], field: str) -> list[Key]:
    """The place of the first item below `top` about a field."""
    stack: list[tuple[list[Key], object]] = [(top, document.at(top))]
    while stack:
        at, value = stack.pop()
        for key, inner in items(value):
            if str(key).partition("|")[0].removeprefix("auditwatch.") == field:
                return [*at, key]
            stack.append(([*at, key], inner))
    return top


def items(part: object) -> list[tuple[Key, object]]:
    """The keys and values of a mapping, or the positions and members of a list; nothing of anything else."""
    if isinstance(part, dict):
        return list(part.items())
    return list(enumerate(part)) if isinstance(part, list) else []
