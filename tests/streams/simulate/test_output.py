from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from audit.context import load_context
from streams.simulate.model import SOURCES
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.output import OccupiedError, write

FILES = {*(f"{source}.jsonl.gz" for source in SOURCES), "context.yml", "attacks.jsonl", "lookalikes.jsonl", "README.md"}


@pytest.fixture(scope="module")
def small() -> Organisation:
    return simulate(15, 2, 1)


@pytest.fixture
def folder(small: Organisation, tmp_path: Path) -> Path:
    write(small, tmp_path / "out")
    return tmp_path / "out"


def lines(path: Path) -> list[dict]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [orjson.loads(line) for line in text.splitlines()]


def test_all_files_are_there(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES


def test_records_are_the_organisations_in_order(small: Organisation, folder: Path) -> None:
    for source in SOURCES:
        assert lines(folder / f"{source}.jsonl.gz") == [e.record for e in small.events() if e.source == source]


def test_labels_name_events_times_and_reasons(small: Organisation, folder: Path) -> None:
    rows = lines(folder / "attacks.jsonl")
    assert [row["id"] for row in rows] == [attack.id for attack in small.attacks]
    assert set(rows[0]) == {
        "id", "kind", "difficulty", "principal", "start", "end", "event_ids", "technique", "description",
    }  # fmt: skip
    assert rows[0]["start"].endswith("Z")
    written = {r[f] for s, f in zip(SOURCES, ("eventID", "uuid", "_document_id", "auditID"), strict=True)
               for r in lines(folder / f"{s}.jsonl.gz")}  # fmt: skip
    for row in (*rows, *lines(folder / "lookalikes.jsonl")):
        assert set(row["event_ids"]) <= written


def test_the_context_loads_from_its_file(small: Organisation, folder: Path) -> None:
    assert load_context(folder / "context.yml").person(small.company.people[0].id) is not None


def test_writing_again_gives_the_same_bytes(small: Organisation, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(small, folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bytes_do_not_depend_on_where_they_lie(small: Organisation, folder: Path, tmp_path: Path) -> None:
    write(small, tmp_path / "elsewhere")
    for name in FILES:
        assert (tmp_path / "elsewhere" / name).read_bytes() == (folder / name).read_bytes()


def test_progress_is_told(small: Organisation, tmp_path: Path) -> None:
    heard: list[int] = []
    count = write(small, tmp_path / "out", heard.append)
    assert heard
    assert heard == sorted(heard)
    assert heard[-1] <= count == sum(1 for _ in small.events())


def test_a_folder_of_somebody_else_is_left_alone(small: Organisation, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(OccupiedError, match="not made by `auditwatch simulate`: choose another folder"):
        write(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_file_is_no_folder(small: Organisation, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(OccupiedError, match="is a file"):
        write(small, tmp_path / "x")


def test_an_empty_folder_will_do(small: Organisation, tmp_path: Path) -> None:
    write(small, tmp_path)
    assert (tmp_path / "README.md").read_text().startswith("# A simulated organisation")
