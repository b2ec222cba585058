from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from detectors.features import FEATURES
from detectors.registry import default_model
from streams.deed import Deed
from streams.feature_file import NAMES, FeatureFile
from streams.files import FileError
from streams.load import load_detections
from streams.replay import Run
from tests.detectors.company import event, usual

ANONYMOUS = {"id": "nobody", "name": "nobody", "kind": "unknown", "identity": "anonymous"}


async def test_the_rows_are_those_the_processor_scored(tmp_path: Path) -> None:
    detections = load_detections(None, [], None)
    events = [*usual(14), event(2_000_000_000, "DeleteTrail", id="o'dd\x00\u202e")]
    path = tmp_path / "features.parquet"
    table = FeatureFile(path)
    seen: list[Deed] = []

    def witness(deeds: object) -> None:
        seen.extend(deeds)  # type: ignore[call-overload]
        table.take(deeds)  # type: ignore[arg-type]

    run = Run(detections, keep_scores=True, witness=witness)
    await run.open()
    for start in range(0, len(events), 100):
        await run.feed(events[start : start + 100])
    await run.close()
    assert not path.exists()
    table.close()
    rows = duckdb.sql(f"SELECT * FROM '{path}'").fetchall()
    assert [(row[0], row[3]) for row in rows] == run.result.scores
    assert [list(row[6:]) for row in rows] == [deed.features for deed in seen]
    assert np.array_equal(default_model().score([row[6:] for row in rows]), [row[3] for row in rows])
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    assert [column[0] for column in columns][6:] == [feature.name for feature in FEATURES] == list(NAMES)
    assert [name.name for name in tmp_path.iterdir()] == ["features.parquet"]


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no folder"):
        FeatureFile(tmp_path / "nowhere" / "features.parquet")
