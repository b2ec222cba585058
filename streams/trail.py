"""The trail: `audit.events` as Parquet by day, for backtests, timelines and notebooks.

    TRAIL/day=2026-03-01/<incarnation>-<partition>-<first>-<last>-<days>.parquet

One flush of a partition writes a file for each day it holds, all named with the flush's offsets and how many days
there are. Files get their names last, then Kafka is told. So the names alone say how far a partition is written: after
a crash we seek there, and a flush that lacks one of its files is removed and read again. Nothing is lost or doubled.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from audit.event import MICROSECONDS, AuditEvent, Principal, Resource, rfc3339
from audit.finding import stable_id
from audit.sessions import ISSUING_ACTIONS, ISSUING_RESOURCE
from streams.packet import Packet

DAY = 86_400 * MICROSECONDS
REMEMBERED = 1_000
"""Flushes looked through for the marks already written, when a partition is taken over."""
FETCHED = 5_000

COLUMNS = {
    "id": "VARCHAR",
    "time": "BIGINT",
    "source": "VARCHAR",
    "action": "VARCHAR",
    "outcome": "VARCHAR",
    "actor_id": "VARCHAR",
    "actor_name": "VARCHAR",
    "actor_kind": "VARCHAR",
    "actor_identity": "VARCHAR",
    "target_id": "VARCHAR",
    "target_name": "VARCHAR",
    "target_kind": "VARCHAR",
    "target_identity": "VARCHAR",
    "resource_type": "VARCHAR",
    "resource_name": "VARCHAR",
    "source_ip": "VARCHAR",
    "country": "VARCHAR",
    "asn": "BIGINT",
    "user_agent": "VARCHAR",
    "session_id": "VARCHAR",
    "account": "VARCHAR",
    "marks": "VARCHAR",
    "raw": "VARCHAR",
    "origin": "VARCHAR",
    "mark": "BIGINT",
    "partition": "INTEGER",
    "offset": "BIGINT",
    "idx": "INTEGER",
}
"""What a file holds: `time` is a TIMESTAMP (UTC) there, `marks` are comma-separated; `origin` and `mark` say which raw
record an event was made from (streams/packet.py); partition, offset and idx are its place on audit.events."""

_WRITTEN = ", ".join(
    'make_timestamp("time") AS "time"' if name == "time" else f'"{name}"::{kind} AS "{name}"'
    for name, kind in COLUMNS.items()
)
_READ = ", ".join('epoch_us("time")' if name == "time" else f'"{name}"' for name in list(COLUMNS)[:23])
_NAME = re.compile(r"(?P<log>[0-9a-f]{8})-(?P<partition>\d+)-(?P<first>\d+)-(?P<last>\d+)-(?P<days>\d+)\.parquet")


class TrailError(Exception):
    """The trail cannot go on from what is on disk; the text says why and what to do."""


class Overtaken(TrailError):
    """Another process wrote this partition meanwhile: forget what waits and take the partition over anew."""


class Flush(NamedTuple):
    """One flush as its files' names tell it: offsets `first` to `last`, `days` files when complete."""

    first: int
    last: int
    days: int


class Standing(NamedTuple):
    """How far a partition is on disk: its last offset (-1: nothing) and the highest mark of each origin."""

    offset: int
    seen: dict[str, int]


@dataclass(slots=True)
class Shelf:
    """The events of one partition that wait to be written. `log` is the topic's incarnation."""

    trail: Path
    log: str
    partition: int
    offset: int = -1
    """The last offset on disk."""
    seen: dict[str, int] = field(default_factory=dict)
    last: int = -1
    """The last offset added."""
    days: dict[int, list[tuple[object, ...]]] = field(default_factory=dict)
    events: int = 0
    bytes: int = 0

    @classmethod
    def take_over(cls, trail: Path, log: str, partition: int) -> Shelf:
        """The partition as the disk has it; what a crash left of an unfinished flush is removed."""
        with _locked(trail):
            _remove_unfinished(trail, log, partition)
            offset, seen = standing(trail, log, partition)
        return cls(trail, log, partition, offset, seen, offset)

    def add(self, offset: int, packet: Packet[AuditEvent]) -> None:
        """Takes the events of one message; those an earlier message already brought (a worker's crash) are left out."""
        if offset <= self.last:
            return
        high = self.seen.get(packet.origin, -1)
        for index, (mark, event) in enumerate(zip(packet.marks, packet.items, strict=True)):
            if mark > high:
                place = (packet.origin, mark, self.partition, offset, index)
                self.days.setdefault(event.time // DAY, []).append(_row(event) + place)
                self.events += 1
                self.bytes += len(event.raw) + 300
        self.seen[packet.origin] = max(high, *packet.marks) if packet.marks else high
        self.last = offset

    def flush(self) -> int:
        """Writes what waits and returns the last offset that need not be read again.

        Raises:
            Overtaken: another process has written this partition meanwhile.
            TrailError: the disk refuses.
        """
        if self.days:
            with _locked(self.trail):
                if _position(_flushes(self.trail, self.log, self.partition)) != self.offset:
                    raise Overtaken(f"another process wrote partition {self.partition} to {self.trail} meanwhile")
                self._write()
            self.offset = self.last
        self.days, self.events, self.bytes = {}, 0, 0
        return self.last

    def _write(self) -> None:
        name = f"{_short(self.log)}-{self.partition}-{self.offset + 1}-{self.last}-{len(self.days)}.parquet"
        folders = {day: _folder(self.trail, day) for day in self.days}
        with _duckdb(self.trail) as connection:
            for day, rows in self.days.items():
                folders[day].mkdir(mode=0o700, exist_ok=True)
                _write_rows(connection, rows, folders[day] / f".{name}")
        for folder in folders.values():
            (folder / f".{name}").rename(folder / name)
            _sync(folder)


def standing(trail: Path, log: str, partition: int) -> Standing:
    """How far the disk has a partition, in this incarnation of its topic."""
    flushes = _flushes(trail, log, partition)
    newest = sorted(flushes, key=lambda flush: flush.last)[-REMEMBERED:]
    files = [str(file) for flush in newest for file in flushes[flush]]
    if not files:
        return Standing(-1, {})
    with _duckdb(trail) as connection:
        query = "SELECT origin, max(mark) FROM read_parquet(?, hive_partitioning=false) GROUP BY origin"
        seen: dict[str, int] = dict(connection.execute(query, [files]).fetchall())
    return Standing(_position(flushes), seen)


def read(
    trail: Path,
    since: int | None = None,
    until: int | None = None,
    user: str | None = None,
    sessions: Sequence[str] = (),
) -> Iterator[AuditEvent]:
    """Events with since <= time < until (microseconds) in order of (time, partition, offset, idx), one day in memory.

    `trail` is its folder or one file of it. `user` keeps those whose actor or target has that principal id, and those
    of the `sessions` of these ids.

    Raises:
        TrailError: a file cannot be read.
    """
    if user is None:
        return _matching(trail, (since, until), "true", ())
    theirs = "(actor_id = ? OR target_id = ? OR session_id IN (SELECT unnest(?::VARCHAR[])))"
    return _matching(trail, (since, until), theirs, (user, user, list(sessions)))


def handing_out(trail: Path, since: int | None = None, until: int | None = None) -> Iterator[AuditEvent]:
    """The events that may hand out a session, as `read` gives them.

    Raises:
        TrailError: a file cannot be read.
    """
    wanted = "(list_contains(?, action) OR list_contains(?, resource_type))"
    return _matching(trail, (since, until), wanted, (sorted(ISSUING_ACTIONS), [ISSUING_RESOURCE]))


def _matching(
    trail: Path, span: tuple[int | None, int | None], wanted: str, given: Sequence[object]
) -> Iterator[AuditEvent]:
    since, until = span
    bounds = {'"time" >= make_timestamp(?)': since, '"time" < make_timestamp(?)': until}
    times = {clause: value for clause, value in bounds.items() if value is not None}
    query = (
        f"SELECT {_READ} FROM read_parquet(?, hive_partitioning=false) WHERE {' AND '.join([*times, wanted])} "  # noqa: S608
        'ORDER BY "time", "partition", "offset", idx'
    )
    for files in [[str(trail)]] if trail.is_file() else _days(trail, since, until):
        yield from _events(trail, query, [files, *times.values(), *given])


def _events(trail: Path, query: str, values: Sequence[object]) -> Iterator[AuditEvent]:
    with _duckdb(trail) as connection:
        try:
            answer = connection.execute(query, values)
            while rows := answer.fetchmany(FETCHED):
                for row in rows:
                    yield _event(row)
        except duckdb.Error as error:
            raise TrailError(f"{trail}: {error}; move the file away or restore it from a backup") from error


def _days(trail: Path, since: int | None, until: int | None) -> Iterator[list[str]]:
    """The files of each day from the one of `since` to the one of `until`."""
    first = _folder(trail, since // DAY).name if since is not None else ""
    last = _folder(trail, (until - 1) // DAY).name if until is not None else "day=9999-99-99"
    for day in sorted(trail.glob("day=*")):
        files = sorted(str(file) for file in day.iterdir() if _NAME.fullmatch(file.name))
        if files and first <= day.name <= last:
            yield files


def _folder(trail: Path, day: int) -> Path:
    return trail / f"day={rfc3339(day * DAY)[:10]}"


def _short(log: str) -> str:
    """8 digits for an incarnation. Not its first 8: broker ids made within a minute may share those."""
    return stable_id(log)[:8]


def _flushes(trail: Path, log: str, partition: int) -> dict[Flush, list[Path]]:
    found: dict[Flush, list[Path]] = {}
    for file in trail.glob(f"day=*/{_short(log)}-{partition}-*.parquet"):
        name = _NAME.fullmatch(file.name)
        if name:
            found.setdefault(Flush(int(name["first"]), int(name["last"]), int(name["days"])), []).append(file)
    return found


def _position(flushes: dict[Flush, list[Path]]) -> int:
    """The last offset of the newest complete flush. Old ones may lack days that an operator has deleted."""
    return max((flush.last for flush, files in flushes.items() if len(files) == flush.days), default=-1)


def _remove_unfinished(trail: Path, log: str, partition: int) -> None:
    flushes = _flushes(trail, log, partition)
    position = _position(flushes)
    for flush, files in flushes.items():
        for file in files if flush.first > position else ():
            file.unlink()
    for file in trail.glob(f"day=*/.{_short(log)}-{partition}-*"):
        file.unlink(missing_ok=True)


def _write_rows(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]], file: Path) -> None:
    columns: dict[str, Any] = {
        name: np.array(values, dtype=_dtype(COLUMNS[name], values))
        for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }
    connection.register("waiting", columns)
    connection.sql(f"SELECT {_WRITTEN} FROM waiting").write_parquet(str(file), compression="zstd")  # noqa: S608
    connection.unregister("waiting")
    _sync(file)


def _dtype(kind: str, values: tuple[object, ...]) -> type:
    return np.int64 if kind in ("BIGINT", "INTEGER") and None not in values else np.object_


def _row(event: AuditEvent) -> tuple[object, ...]:
    actor, target, resource = event.actor, event.target, event.resource
    return (
        event.id,
        event.time,
        event.source,
        event.action,
        event.outcome,
        actor.id,
        actor.name,
        actor.kind,
        actor.identity,
        *((target.id, target.name, target.kind, target.identity) if target else (None, None, None, None)),
        *((resource.type, resource.name) if resource else (None, None)),
        event.source_ip,
        event.country,
        event.asn,
        event.user_agent,
        event.session_id,
        event.account,
        ",".join(event.marks),
        event.raw.decode("utf-8", "backslashreplace"),
    )


def _event(row: Sequence[Any]) -> AuditEvent:
    fields = (
        *row[:5],
        Principal(*row[5:9]),
        Principal(*row[9:13]) if row[9] is not None else None,
        Resource(*row[13:15]) if row[13] is not None else None,
        *row[15:21],
        row[22].encode(),
        tuple(row[21].split(",")) if row[21] else (),
    )
    return AuditEvent(*fields)


@contextmanager
def _duckdb(trail: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One thread, and nothing outside the trail's folder: what does not fit in memory spills there."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "temp_directory": str((trail.parent if trail.is_file() else trail) / ".spill"),
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        yield connection


@contextmanager
def _locked(trail: Path) -> Iterator[None]:
    """Only one process at a time decides from the files' names what to write; a lock goes with its process."""
    try:
        trail.mkdir(mode=0o700, parents=True, exist_ok=True)
        trail.chmod(0o700)
        with (trail / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except (OSError, duckdb.Error) as error:
        raise TrailError(
            f"the trail {trail}: {error}; mend that and start again: Kafka still has the events"
        ) from error


def _sync(path: Path) -> None:
    """What we tell Kafka is written must survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
