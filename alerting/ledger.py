"""What was decided, when and by whom: records in a keyed hash chain that shows every later change.

A record is one JSON line. Its last field is HMAC-SHA256 over the MAC of the record before and its own other bytes, so
that nobody without the key can change, insert, drop or move one unseen (docs/ledger.md). A cut tail is seen by anchors.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from alerting.plain import plain
from audit.event import rfc3339
from audit.finding import stable_id
from audit.redact import redact

Kind = Literal[
    "raised",  # an alert came in
    "merged",  # more joined an alert that is known
    "explained",  # an alert came in closed: a resolution check found the reason
    "withheld",  # an alert was kept from people, and why
    "muted",  # a mute keeps it
    "gathered",  # it is in a digest
    "withdrawn",  # an escalation became needless
    "sent",  # people see this revision
    "refused",  # it could not be shown
    "clicked",  # a button, and what came of it
    "case",  # a step of a case: what was done, asked or answered, and where it stands now
    "started",  # a process, and what it runs
    "rules",  # another set of rules, with its exceptions, is in use
    "models",  # a model was published, promoted, rolled back, shadowed or taken
    "context",  # another context is in use
    "grant",  # temporary access was opened, used, its end moved, closed with a summary; or break-glass summed up
    "baseline",  # somebody had a principal's usual forgotten
    "routes",  # other routes are in use
    "ledger",  # the ledger itself: trimmed, or found behind what was written
]

MOST_DETAILS, LONGEST = 24, 500
"""Fields of a record's details, and characters of each."""
SHORTEST_KEY = 32
_KEYS = re.compile(r"[\s,]+")


class Decision(msgspec.Struct, frozen=True):
    """One decision. `at` is in microseconds; `by` a declared person, a login name or a process of ours.

    `once` tells this decision from others of its kind about its subject: a repetition after a crash counts once. Where
    it is empty, time and details do.
    """

    kind: Kind
    subject: str
    at: int
    by: str
    details: dict[str, str] = {}
    once: str = ""

    @property
    def id(self) -> str:
        """The same for the same decision, however often it is written."""
        return stable_id(self.kind, self.subject, self.once or (self.at, self.by, sorted(self.details.items())))


class Ledger(Protocol):
    """Where decisions are kept. It never raises, and never keeps a decision from taking effect."""

    async def write(self, decision: Decision) -> None:
        """Keeps a decision; returns once it is safe or, where the ledger is away, at once."""
        ...


class _NoLedger:
    async def write(self, decision: Decision) -> None:
        """Keeps nothing."""


NO_LEDGER: Ledger = _NoLedger()


class Key(msgspec.Struct, frozen=True):
    """A secret and the name records bear of it; neither says anything about the other. Without secret: no key."""

    name: str = ""
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


NO_KEY = Key()


class Head(msgspec.Struct, frozen=True):
    """Where a chain ends: number and MAC of its last record."""

    seq: int = 0
    mac: str = "0" * 64


GENESIS = Head()


class Record(msgspec.Struct, frozen=True):
    """A record as it stands in its line, before the MAC. `id` is the decision's, `key` the name of the key."""

    seq: int
    at: str
    kind: str
    subject: str
    by: str
    details: dict[str, str]
    id: str
    key: str
    mac: str = ""


def keys_of(text: str) -> tuple[Key, ...]:
    """The keys an environment variable holds, separated by spaces or commas: the first one writes, all verify.

    Raises:
        ValueError: a key is shorter than SHORTEST_KEY characters; the text does not show it.
    """
    words = [word for word in _KEYS.split(text) if word]
    if any(len(word) < SHORTEST_KEY for word in words):
        raise ValueError(
            f"a key of the ledger needs {SHORTEST_KEY} characters or more: `openssl rand -hex 32` makes one"
        )
    return tuple(_key(word.encode()) for word in words)


def _key(secret: bytes) -> Key:
    return Key(hmac.digest(secret, b"auditwatch ledger: the name of this key", "sha256").hex()[:8], secret)


def chain(head: Head, decisions: Iterable[Decision], key: Key) -> tuple[list[bytes], Head]:
    """The lines these decisions make after `head`, and where the chain ends then."""
    lines: list[bytes] = []
    for decision in decisions:
        body = _ENCODE(_record(head.seq + 1, decision, key))
        head = Head(head.seq + 1, mac_of(head.mac, body, key))
        lines.append(sealed(body, head.mac))
    return lines, head


def mac_of(previous: str, body: bytes, key: Key) -> str:
    """The MAC of a record's body (the JSON object without its mac) after the record with the MAC `previous`."""
    return hmac.digest(key.secret, previous.encode() + body, "sha256").hex()


_TAIL = len(b',"mac":"') + 64 + len(b'"}')


def sealed(body: bytes, mac: str) -> bytes:
    """The line of a body."""
    return b'%s,"mac":"%s"}' % (body[:-1], mac.encode())


def opened(line: bytes) -> tuple[bytes, str]:
    """Body and MAC of a line. Raises ValueError where it is none."""
    tail = line[-_TAIL:]
    if not (tail.startswith(b',"mac":"') and tail.endswith(b'"}')):
        raise ValueError("no record of a ledger: it does not end with its mac")
    return line[:-_TAIL] + b"}", tail[8:-2].decode("ascii", "replace")


def read_record(line: bytes) -> Record:
    """The record of a line. Raises ValueError (msgspec.DecodeError) where it is none."""
    return _RECORDS.decode(line)


def _record(seq: int, decision: Decision, key: Key) -> _Body:
    details = {plain(name, 60): _text(value) for name, value in list(decision.details.items())[:MOST_DETAILS]}
    subject, by = plain(decision.subject, 200), plain(decision.by, 200)
    return _Body(seq, rfc3339(decision.at), decision.kind, subject, by, details, decision.id, key.name)


def _text(value: str) -> str:
    return plain(redact(value), LONGEST)


class _Body(msgspec.Struct, frozen=True):
    seq: int
    at: str
    kind: str
    subject: str
    by: str
    details: dict[str, str]
    id: str
    key: str


_ENCODE = msgspec.json.Encoder().encode
_RECORDS = msgspec.json.Decoder(Record)


def short(decisions: Sequence[Decision]) -> str:
    """A few of them for a log line."""
    named = ", ".join(f"{one.kind} {plain(one.subject, 40)}" for one in decisions[:3])
    return named + (f" and {len(decisions) - 3} more" if len(decisions) > 3 else "")
