"""The ledger of the settings: who writes to it, what changed, and its upkeep: anchors, and old records put away."""

from __future__ import annotations

import asyncio
import getpass
import gzip
import logging
import os
import re
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from alerting.ledger import GENESIS, NO_KEY, Decision, Head, Ledger, keys_of, opened
from alerting.ledger_store import SEGMENT, LedgerAway, RedisLedger
from alerting.ledger_verify import TRIMMED, anchor_line
from alerting.ledger_writer import LedgerWriter
from audit.event import MICROSECONDS, rfc3339
from audit.finding import Version
from streams.laptop import found
from streams.metrics import CounterName, count, labelled
from streams.settings import Settings, SettingsError
from streams.store import connect

log = logging.getLogger("auditwatch.ledger")

KEPT = 10
"""Segments Redis keeps, of 10,000 records each: some 45 MB."""
LOOK_SECONDS = 10.0
ANCHOR_SECONDS, ANCHOR_RECORDS = 600, 1_000
"""An anchor is set after so long, or after so many records, whichever comes first."""
ANCHORS = "anchors.log"
WITHHELD_SECONDS = 600.0
_WITHHELD: dict[str, CounterName] = {"excused": "excused", "explained": "explained"}
Part = Literal["rules", "models", "context"]
_FILE = re.compile(r"records-(\d+)-(\d+)\.jsonl\.gz")


def by_process(name: str) -> str:
    """How a process of ours signs its decisions."""
    return f"{name} on {socket.gethostname()}, process {os.getpid()}"


def login() -> str:
    """Who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def ledger_of(settings: Settings, client: Any = None) -> RedisLedger:
    """The ledger in the settings' Redis."""
    keys = keys_of(settings.ledger_key)
    return RedisLedger(connect(settings) if client is None else client, keys[0] if keys else NO_KEY)


def writer_of(ledger: RedisLedger) -> LedgerWriter:
    """What services write to. Decisions that are lost are counted."""
    return LedgerWriter(ledger, lambda number: count("unrecorded", by=number))


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger for the time of one command.

    Raises:
        SettingsError: there is no Redis.
    """
    store = ledger_of(found(settings, "redis"))
    writer = writer_of(store)
    try:
        yield writer
    finally:
        await writer.close()
        await store.close()


def note(settings: Settings, *decisions: Decision) -> None:
    """Writes decisions of a command that needs no Redis; where none is set, nobody keeps them."""
    try:
        asyncio.run(_note(settings, decisions))
    except SettingsError:
        log.info("no Redis is set: the ledger does not hear of this")


async def _note(settings: Settings, decisions: Sequence[Decision]) -> None:
    async with writing(settings) as ledger:
        for decision in decisions:
            await ledger.write(decision)


def changes(before: Version, after: Version, at: int, by: str) -> list[Decision]:
    """A decision for each part of what people change that is another now."""
    parts: tuple[Part, ...] = ("rules", "models", "context")
    pairs = [(part, getattr(before, part), getattr(after, part)) for part in parts]
    return [Decision(part, "taken", at, by, {"from": old, "to": new}) for part, old, new in pairs if old != new]


def began(by: str, at: int, running: Mapping[str, str]) -> Decision:
    """The decision to run a process, with the hashes of what it runs."""
    return Decision("started", by.partition(" ")[0], at, by, dict(running))


class Running:
    """Writes down what a process runs: at its start, and whenever it takes something else."""

    def __init__(self, ledger: Ledger, by: str, clock: Callable[[], int], version: Version) -> None:
        self._ledger = ledger
        self._by = by
        self._clock = clock
        self._version = version

    async def began(self) -> None:
        """The process starts."""
        await self._ledger.write(began(self._by, self._clock(), msgspec.structs.asdict(self._version)))

    async def took(self, version: Version) -> None:
        """The process runs this from now on."""
        for decision in changes(self._version, version, self._clock(), self._by):
            await self._ledger.write(decision)
        self._version = version


class Withheld:
    """Writes down how many matches of each rule exceptions and declared paper hid: sums, for the stages only count."""

    def __init__(self, ledger: Ledger, by: str, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._by = by
        self._clock = clock
        self._told: dict[tuple[str, str], int] = {}

    async def keep(self) -> None:
        """Every ten minutes, for ever."""
        while True:
            await asyncio.sleep(WITHHELD_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        """What was counted since this was told last."""
        for why, name in _WITHHELD.items():
            rules = {rule: total for rule, total in labelled(name).items() if not rule.startswith("access.")}
            for rule, total in rules.items():
                if more := total - self._told.get((why, rule), 0):
                    self._told[why, rule] = total
                    await self._ledger.write(Decision("withheld", rule, self._clock(), self._by, {why: str(more)}))


class Kept:
    """The ledger of a service that also looks after it."""

    def __init__(
        self, settings: Settings, by: str, clock: Callable[[], int], running: Mapping[str, str] | None = None
    ) -> None:
        """`running` are the hashes of what the service runs."""
        self.by = by
        self._running = running or {}
        self._store = ledger_of(settings)
        self.ledger = writer_of(self._store)
        self._folder = settings.ledger
        self._clock = clock
        self._anchored = GENESIS
        self._due = 0

    async def keep(self) -> None:
        """Sets anchors and puts old records away, for ever."""
        await self.ledger.write(began(self.by, self._clock(), self._running))
        while True:
            try:
                await self.look()
            except LedgerAway as error:
                log.error("%s", error)
            except OSError as error:
                log.error("%s: the ledger's folder cannot be written (%s): set AUDITWATCH_LEDGER", self._folder, error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Does what is due. Raises LedgerAway, OSError."""
        head, now = (await self._store.span()).head, self._clock()
        if head != self._anchored and (now >= self._due or head.seq - self._anchored.seq >= ANCHOR_RECORDS):
            await asyncio.to_thread(set_anchor, self._folder, head, now)
            self._anchored, self._due = head, now + ANCHOR_SECONDS * MICROSECONDS
        await put_away(self._store, self._folder, now, self.by)
        await _tell_if_behind(self._store, now, self.by)

    async def close(self) -> None:
        """Writes what is left."""
        await self.ledger.close()
        await self._store.close()


def set_anchor(folder: Path, head: Head, now: int) -> None:
    """Writes down where the chain ends, in the folder and in the log, which may be shipped elsewhere."""
    log.info("%s", anchor_line(head))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ANCHORS).open("a", encoding="utf-8") as file:
        file.write(f"{rfc3339(now)} {anchor_line(head)}\n")
        file.flush()
        os.fsync(file.fileno())


async def _tell_if_behind(ledger: RedisLedger, now: int, by: str) -> None:
    if lost := ledger.lost:
        log.error(
            "the ledger in Redis does not hold record %d, which this process wrote: Redis lost its last writes, or "
            "somebody changed it; `auditwatch ledger verify` tells",
            lost.seq,
        )
        details = {"written": str(lost.seq), "mac": lost.mac}
        await ledger.append([Decision("ledger", "behind", now, by, details)])
        ledger.lost = None


async def put_away(ledger: RedisLedger, folder: Path, now: int, by: str) -> None:
    """Moves the oldest segments from Redis to files, and says so in the ledger, where Redis holds more than KEPT."""
    span = await ledger.span()
    while span.head.seq - span.first + 1 >= (KEPT + 1) * SEGMENT:
        through = (span.first - 1) // SEGMENT * SEGMENT + SEGMENT
        lines = [line async for line in ledger.lines(span.first, through)]
        file = await asyncio.to_thread(_write, folder, span.first, through, lines)
        details = {"through": str(through), "mac": _last_mac(lines), "file": file.name}
        await ledger.append([Decision("ledger", TRIMMED, now, by, details, once=str(through))])
        await ledger.drop(through)
        span = await ledger.span()


def _last_mac(lines: Sequence[bytes]) -> str:
    """The MAC a segment ends with; "" where somebody took its end away or bent it: `ledger verify` names the place."""
    try:
        return opened(lines[-1])[1]
    except (IndexError, ValueError):
        log.error("records of the ledger were removed or changed in Redis: `auditwatch ledger verify` tells which")
        return ""


def _write(folder: Path, first: int, last: int, lines: Sequence[bytes]) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"records-{first:012d}-{last:012d}.jsonl.gz"
    partial = file.with_suffix(".new")
    with partial.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
            packed.write(b"\n".join(lines) + b"\n")
        raw.flush()
        os.fsync(raw.fileno())
    partial.rename(file)
    return file


def put_away_lines(folder: Path, since: int, before: int) -> Iterator[bytes]:
    """The records of the folder's files that begin with a number from `since` to below `before`, in order.

    Raises:
        OSError: a file cannot be read; the text names it.
    """
    files = sorted((int(named[1]), file) for file in folder.glob("records-*") if (named := _FILE.fullmatch(file.name)))
    for first, file in files:
        if since <= first < before:
            try:
                with gzip.open(file) as lines:
                    yield from (line.rstrip(b"\n") for line in lines)
            except (OSError, EOFError, zlib.error) as error:
                raise OSError(f"{file} cannot be read: {error}") from error
