"""What the company declares: people and their identities, roles, grants, tickets, networks, places.

`load_context` reads it, `Context` answers: who is this, whose name is that, where is this address.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import msgspec

from audit import context_check
from audit.context_people import People
from audit.context_read import Problem, read_rows
from audit.context_schema import ROWS, Declared, Person
from audit.network import Networks
from audit.tokens import Tokens


class ContextErrors(Exception):
    """Every mistake in the context files; as text, one line each: `path:line: what: what to do`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.path, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Context:
    """The declared company. `declared` holds every section as it is written, `people` whose names are whose.

    `hash` names the content (not its layout); `warnings` are remarks that do not keep it from being used.
    """

    __slots__ = ("_networks", "declared", "hash", "location", "people", "tokens", "warnings")

    def __init__(self, declared: Declared | None = None, warnings: tuple[Problem, ...] = ()) -> None:
        self.declared = declared or Declared()
        self.warnings = warnings
        self.people = People(self.declared.users, self.declared.company.aws_accounts.values())
        self.tokens = Tokens(self.declared.token_issuers)
        self._networks = Networks(self.declared.ip_ranges, self.declared.ip_geo, self.declared.geo_databases)
        self.location = self._networks.location
        self.hash = _content_hash(self.declared, self._networks.fingerprint())

    def person(self, id: str) -> Person | None:
        """The declared person of an id."""
        return self.people.by_id.get(id)


def load_context(path: Path) -> Context:
    """The context of one YAML or JSON file, or of a directory of them merged.

    Raises:
        ContextErrors: with every mistake found, each with its file and line.
    """
    rows = read_rows(path)
    problems = rows.problems + context_check.errors(rows)
    if problems:
        raise ContextErrors(problems)
    return Context(rows.declared(), tuple(context_check.warnings(rows)))


def _content_hash(declared: Declared, databases: str) -> str:
    """12 hex digits; the order of rows, the files they lie in and where databases are kept do not matter."""
    digest = blake2b(databases.encode(), digest_size=6)
    for name in declared.__struct_fields__:
        section = getattr(declared, name)
        if name in ROWS:
            parts = sorted(_ENCODER.encode(row) for row in section)
        else:
            parts = [] if name == "geo_databases" else [_ENCODER.encode(section)]
        digest.update(b"\n".join([name.encode(), *parts, b""]))
    return digest.hexdigest()


_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=int)
EMPTY = Context()
"""Nobody and nothing declared."""
