"""The features of a replay as Parquet: one row an event as it was when the event came, against what was learnt before.

    event_id  time  principal  strangeness  young  suspected  <one DOUBLE a feature>

Point-in-time correct by the way it is made: the rows are those the processor itself scored. `suspected`: something was
found.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from detectors.features import FEATURES
from streams.deed import Deed
from streams.files import FileError

NAMES = tuple(feature.name for feature in FEATURES)
FIXED = (
    "event_id VARCHAR",
    "time TIMESTAMP",
    "principal VARCHAR",
    "strangeness DOUBLE",
    "young BOOLEAN",
    "suspected BOOLEAN",
)


class FeatureFile:
    """Gathers rows and writes them as one file. Rows wait compressed in memory, spilling to disk beside the file."""

    def __init__(self, path: Path) -> None:
        """Raises FileError where there is no such folder to write in."""
        if not os.access(path.parent, os.W_OK):
            raise FileError(str(path), 0, f"there is no folder {path.parent} that can be written to")
        self._path = path
        self._connection = duckdb.connect(
            config={
                "threads": 1,
                "temp_directory": str(path.parent / f".{path.name}.spill"),
                "autoinstall_known_extensions": False,
            }
        )
        columns = [*FIXED, *(f"{name} DOUBLE" for name in NAMES)]
        self._connection.execute(f"CREATE TABLE features ({', '.join(columns)})")

    def take(self, deeds: Sequence[Deed]) -> None:
        """Takes the deeds of a batch, in the order of the events; those of nobody known have no features."""
        rows = [deed for deed in deeds if deed.features]
        if not rows:
            return
        table = np.array([deed.features for deed in rows], dtype=np.float64)
        batch: dict[str, object] = {
            "event_id": np.array([deed.event.id for deed in rows], dtype=object),
            "time": np.array([deed.event.time for deed in rows], dtype="datetime64[us]"),
            "principal": np.array([deed.event.actor.id for deed in rows], dtype=object),
            "strangeness": np.array([deed.strangeness for deed in rows]),
            "young": np.array([deed.young for deed in rows]),
            "suspected": np.array([bool(deed.findings) for deed in rows]),
        }
        batch |= {name: np.ascontiguousarray(table[:, place]) for place, name in enumerate(NAMES)}
        self._connection.register("batch", batch)
        self._connection.execute("INSERT INTO features SELECT * FROM batch")
        self._connection.unregister("batch")

    def close(self) -> None:
        """Writes the file; it has its name only when it is whole.

        Raises:
            duckdb.Error, OSError: it cannot be written.
        """
        part = self._path.with_name(f".{self._path.name}.part")
        with self._connection:
            self._connection.table("features").write_parquet(str(part), compression="zstd")
        part.replace(self._path)
