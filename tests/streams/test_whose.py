from __future__ import annotations

import os
from pathlib import Path

import pytest

from audit.context import ContextErrors
from streams.whose import Whose

PEOPLE = "users: [{id: ada, identities: {okta: [ada@acorn.example]}}, {id: bob, identities: {okta: [%s]}}]"


def write(folder: Path, mail: str) -> None:
    (folder / "people.yml").write_text(PEOPLE % mail)
    os.utime(folder / "people.yml", ns=(1, len(mail)))


def test_a_mail_is_somebodys(tmp_path: Path) -> None:
    write(tmp_path, "bob@acorn.example")
    whose = Whose(tmp_path)
    assert [whose.person(name) for name in ("Ada@acorn.example", "bob", "eve@acorn.example")] == [
        "ada",
        "bob",
        "eve@acorn.example",
    ]


def test_people_are_read_anew_when_they_change_and_kept_when_that_is_no_use(tmp_path: Path) -> None:
    write(tmp_path, "bob@acorn.example")
    whose = Whose(tmp_path)
    write(tmp_path, "bobby@acorn.example")
    assert whose.person("bobby@acorn.example") == "bob"
    (tmp_path / "people.yml").write_text("users: [")
    assert whose.person("bobby@acorn.example") == "bob"


def test_tickets_of_its_own_folder_are_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "bob@acorn.example")
    own = tmp_path / "tickets"
    own.mkdir()
    whose = Whose(tmp_path, own)
    monkeypatch.setattr("streams.whose.load_context", lambda _: pytest.fail("read anew"))
    (own / "2026-03-02.json").write_text('{"tickets": []}')
    assert whose.person("bob@acorn.example") == "bob"


def test_without_a_context_everybody_keeps_their_name() -> None:
    assert Whose(None).person("ada@acorn.example") == "ada@acorn.example"


def test_a_context_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "people.yml").write_text("users: [")
    with pytest.raises(ContextErrors):
        Whose(tmp_path)
