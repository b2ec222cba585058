"""Verdicts as tables: what people said alerts were, from Redis or a file; for notebooks, rule health and training.

    alert_id  verdict  by  at  how  time  principal  severity  title  detections  event_ids  rules  models  context

One row an alert. In a Parquet file `at` and `time` are TIMESTAMP (UTC), detections and event_ids lists of VARCHAR; as
JSON lines the times are RFC 3339. `event_ids` join the features a replay writes (streams/feature_file.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import duckdb
import msgspec

from alerting.alert import Alert
from alerting.case import Action, Case, transition
from alerting.label import VERDICTS, How, Label, label_of
from alerting.store_redis import RedisAlertStore
from audit.event import parse_rfc3339, rfc3339
from audit.finding import SEVERITIES, Version
from rules.health import Verdicts
from streams.files import FileError
from streams.laptop import found
from streams.settings import Settings, SettingsError
from streams.store import connect

COLUMNS = {
    "alert_id": "VARCHAR",
    "verdict": "VARCHAR",
    "by": "VARCHAR",
    "at": "TIMESTAMP",
    "how": "VARCHAR",
    "time": "TIMESTAMP",
    "principal": "VARCHAR",
    "severity": "VARCHAR",
    "title": "VARCHAR",
    "detections": "VARCHAR[]",
    "event_ids": "VARCHAR[]",
    "rules": "VARCHAR",
    "models": "VARCHAR",
    "context": "VARCHAR",
}
"""What a row holds; rules, models and context are the versions the alert was made under."""


async def fetch(settings: Settings, since: int = 0) -> list[Label]:
    """The labels in Redis whose verdict was given since then (microseconds), oldest first.

    Raises:
        SettingsError: no Redis is configured, and no worker runs in this folder.
        StoreUnavailable: it cannot be reached.
    """
    store = RedisAlertStore(connect(found(settings, "redis")))
    try:
        return await store.labels(since)
    finally:
        await store.close()


async def fetch_if_any(settings: Settings, since: int = 0) -> list[Label]:
    """The same; none where no Redis is configured.

    Raises:
        StoreUnavailable: it cannot be reached.
    """
    with suppress(SettingsError):
        return await fetch(settings, since)
    return []


def known(alerts: Iterable[Alert], evil: Container[str], by: str = "simulation") -> list[Label]:
    """The labels alerts would have if somebody who knows the truth judged them: `evil` are the ids of real events."""
    words: dict[bool, Action] = {True: "resolve", False: "false_positive"}
    found = []
    for alert in alerts:
        real = any(event in evil for event in alert.event_ids)
        case = transition(Case(alert.id), words[real], by, alert.time)
        found += [label] if isinstance(case, Case) and (label := label_of(alert, case)) else []
    return found


def rows(labels: Iterable[Label]) -> list[dict[str, Any]]:
    """The labels as the rows of a table, times in microseconds: `pandas.DataFrame(rows(labels))`."""
    return [_row(label) for label in labels]


def verdicts(labels: Iterable[Label]) -> dict[str, Verdicts]:
    """What people said of the alerts of each detection; an alert of several counts for each of them."""
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        for detection in label.detections:
            counted[detection][label.verdict] += 1
    return {
        name: Verdicts(said["true_positive"], said["benign"], said["false_positive"]) for name, said in counted.items()
    }


def to_lines(labels: Iterable[Label]) -> Iterator[bytes]:
    """The labels as JSON lines (without newlines)."""
    for row in rows(labels):
        yield msgspec.json.encode(row | {name: rfc3339(row[name]) for name in _TIMES})


def write_parquet(labels: Iterable[Label], path: Path) -> None:
    """Writes the labels as a Parquet file.

    Raises:
        duckdb.Error: it cannot be written.
    """
    table = rows(labels)
    given = {name: f"?::{'BIGINT' if name in _TIMES else kind}[]" for name, kind in COLUMNS.items()}
    taken = ", ".join(f'unnest({one}) AS "{name}"' for name, one in given.items())
    kept = ", ".join(f'make_timestamp("{name}") AS "{name}"' if name in _TIMES else f'"{name}"' for name in COLUMNS)
    with _duckdb() as connection:
        columns = [[row[name] for row in table] for name in COLUMNS]
        connection.execute(f"CREATE TABLE labels AS SELECT {kept} FROM (SELECT {taken})", columns)  # noqa: S608
        connection.table("labels").write_parquet(str(path), compression="zstd")


def read(path: Path) -> list[Label]:
    """The labels of a file of `auditwatch alerts labels --out`, Parquet or JSON lines.

    Raises:
        FileError: it cannot be read; the line is named where it is one.
    """
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        return _of_parquet(path) if parquet else _of_lines(path)
    except (OSError, duckdb.Error, KeyError) as error:
        raise FileError(str(path), 0, f"these are no labels ({error})") from error


def _of_parquet(path: Path) -> list[Label]:
    chosen = ", ".join(f'epoch_us("{name}")' if name in _TIMES else f'"{name}"' for name in COLUMNS)
    query = f'SELECT {chosen} FROM read_parquet(?) ORDER BY "at", alert_id'  # noqa: S608
    with _duckdb() as connection:
        table = connection.execute(query, [str(path)]).fetchall()
    return [_label(dict(zip(COLUMNS, row, strict=True))) for row in table]


def _of_lines(path: Path) -> list[Label]:
    labels = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
            labels.append(_label(row | {name: parse_rfc3339(row[name]) for name in _TIMES}))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise FileError(str(path), number, f"no label: {error!r}") from error
    return labels


def _label(row: dict[str, Any]) -> Label:
    version = Version(*(str(row.pop(name, "") or "") for name in ("rules", "models", "context")))
    known = {"verdict": set(VERDICTS.values()), "how": set(get_args(How)), "severity": set(SEVERITIES)}
    for name, words in known.items():
        if row[name] not in words:
            raise ValueError(f"{name} is {str(row[name])[:40]!r}")
    return msgspec.convert(row | {"version": version}, Label)


def _row(label: Label) -> dict[str, Any]:
    row = {name: getattr(label, name) for name in list(COLUMNS)[:-3]}
    row |= {"detections": list(label.detections), "event_ids": list(label.event_ids)}
    return row | msgspec.structs.asdict(label.version)


def _duckdb() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})


_TIMES = ("at", "time")
