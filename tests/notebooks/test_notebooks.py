from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import nbformat
import pytest

from alerting.case import Action, Case, transition
from alerting.store_redis import RedisAlertStore
from streams.embedded import RedisServer
from tests.alerting.conftest import an_alert

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
BOOKS = sorted(NOTEBOOKS.glob("*.ipynb"))
SMALL = {"USERS": "15", "DAYS": "8", "SEED": "3"}
execute = runpy.run_path(str(NOTEBOOKS / "run.py"))["execute"]


def test_there_are_four() -> None:
    assert [book.name[:2] for book in BOOKS] == ["1_", "2_", "3_", "4_"]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_it_runs_to_the_end_on_a_small_company_and_shows_something(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setenv(f"AUDITWATCH_NOTEBOOK_{name}", value)
    outputs = [output for cell in execute(book).cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_its_outputs_are_kept_and_name_no_place_of_a_machine(book: Path) -> None:
    notebook = nbformat.read(book, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "run python notebooks/run.py --save"
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    text = book.read_text(encoding="utf-8")
    assert not [place for place in ("/home/", "/root/", "/Users/", "ipykernel_") if place in text]
    assert len(text) < 500_000


def test_verdicts_of_people_are_used_where_there_are_any(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = redis_server.url.removesuffix("/0") + "/11"
    asyncio.run(_judge(url))
    for name, value in SMALL.items():
        monkeypatch.setenv(f"AUDITWATCH_NOTEBOOK_{name}", value)
    monkeypatch.setenv("AUDITWATCH_REDIS", url)
    (book,) = [book for book in BOOKS if book.stem.startswith("4_")]
    outputs = [output for cell in execute(book).cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") for output in outputs)
    assert "2 verdicts, of people: {'benign': 1, 'true_positive': 1}" in said


async def _judge(url: str) -> None:
    store = RedisAlertStore.connect(url)
    verdicts: tuple[Action, ...] = ("benign", "resolve")
    for number, action in enumerate(verdicts):
        alert = an_alert(number)
        await store.put(alert)
        case = transition(Case(alert.id), action, "carol", alert.time)
        assert isinstance(case, Case)
        assert await store.save_case(case)
    await store.close()
