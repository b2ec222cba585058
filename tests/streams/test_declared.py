from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from audit.context import EMPTY, ContextErrors
from streams import declared as module
from streams.declared import Declared
from streams.metrics import counted

PEOPLE = "users: [{id: ada, identities: {okta: [ada@acorn.example]}}, {id: bob, identities: {okta: [%s]}}]"


def write(folder: Path, mail: str) -> None:
    (folder / "people.yml").write_text(PEOPLE % mail)
    os.utime(folder / "people.yml", ns=(1, len(mail)))


def test_a_mail_is_somebodys(tmp_path: Path) -> None:
    write(tmp_path, "bob@acorn.example")
    people = Declared(tmp_path)
    assert [people.person(name) for name in ("Ada@acorn.example", "bob", "eve@acorn.example")] == [
        "ada",
        "bob",
        "eve@acorn.example",
    ]


async def test_a_change_is_read_and_one_that_is_no_use_leaves_it_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "bob@acorn.example")
    people = Declared(tmp_path)
    write(tmp_path, "bobby@acorn.example")
    await people.look()
    assert people.person("bobby@acorn.example") == "bob"
    before, read, errors = people.now(), caplog.text, counted("errors", "context")
    (tmp_path / "people.yml").write_text("users: [")
    for _ in range(2):
        await people.look()
    assert people.now() is before
    assert caplog.text[len(read) :].count("cannot be used") == 1
    assert counted("errors", "context") == errors + 1


async def test_it_looks_until_it_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    write(tmp_path, "bob@acorn.example")
    people, stop = Declared(tmp_path), asyncio.Event()
    keeping = asyncio.create_task(people.keep(stop))
    write(tmp_path, "bobby@acorn.example")
    async with asyncio.timeout(5):
        while people.person("bobby@acorn.example") != "bob":
            await asyncio.sleep(0.01)
        stop.set()
        await keeping


async def test_what_changes_in_its_own_folder_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "bob@acorn.example")
    own = tmp_path / "tickets"
    own.mkdir()
    people = Declared(tmp_path, own)
    monkeypatch.setattr(module, "declared", lambda _: pytest.fail("read anew"))
    (own / "2026-03-02.json").write_text('{"tickets": []}')
    await people.look()
    assert people.person("bob@acorn.example") == "bob"


async def test_without_a_context_everybody_keeps_their_name_and_nothing_is_looked_at() -> None:
    people = Declared(None)
    assert people.person("ada@acorn.example") == "ada@acorn.example"
    assert people.now() is EMPTY
    await asyncio.wait_for(people.keep(asyncio.Event()), 1)


def test_a_context_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "people.yml").write_text("users: [")
    with pytest.raises(ContextErrors):
        Declared(tmp_path)
