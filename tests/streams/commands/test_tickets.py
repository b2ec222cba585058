from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import IO

import pytest

from audit.context import load_context
from tests.streams.commands.conftest import Run, start

TOKEN = "a token nobody guesses"
TICKET = {"id": "CHG-1", "type": "change", "opened": "2026-03-02T08:00:00Z", "requester": "ada@acorn.example"}


@pytest.fixture
def company(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = place / "context"
    folder.mkdir()
    (folder / "people.yml").write_text("users: [{id: ada, identities: {okta: [ada@acorn.example]}}]")
    monkeypatch.setenv("AUDITWATCH_CONTEXT", str(folder))
    return folder


def address(log: IO[str]) -> str:
    """Where it says that it listens."""
    for line in log:
        if found := re.search(r"http://127\.0\.0\.1:\d+/tickets", line):
            return found[0]
    raise AssertionError("it ended without listening")


@pytest.fixture
def served(place: Path, company: Path) -> Iterator[str]:
    process = start(
        place, "tickets", "serve", "--listen", "127.0.0.1:0", env={"AUDITWATCH_TICKETS_TOKEN": TOKEN}, stderr=PIPE
    )
    assert process.stderr is not None
    try:
        yield address(process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert TOKEN not in process.stderr.read()
    finally:
        process.kill()


def test_a_ticket_posted_is_in_the_context_under_the_declared_person(served: str, company: Path) -> None:
    body = json.dumps(TICKET).encode()
    request = urllib.request.Request(served, body, {"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert json.load(answer) == {"tickets": ["CHG-1"], "changed": ["CHG-1"]}
    (ticket,) = load_context(company).declared.tickets
    assert (ticket.id, ticket.requester) == ("CHG-1", "ada")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(served, body), timeout=5)


@pytest.mark.parametrize(
    ("token", "words", "complaint"),
    [
        ("", (), "set AUDITWATCH_TICKETS_TOKEN to a secret of 16 characters or more"),
        (TOKEN, ("--listen", "here"), "'here' is not HOST:PORT"),
        (TOKEN, ("--listen", "192.0.2.1:6070"), "choose another with --listen"),
    ],
)
def test_what_is_missing_is_said(
    run: Run, company: Path, monkeypatch: pytest.MonkeyPatch, token: str, words: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.setenv("AUDITWATCH_TICKETS_TOKEN", token)
    done = run("tickets", "serve", *words)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_without_a_folder_of_context_there_is_no_place_for_tickets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITWATCH_TICKETS_TOKEN", TOKEN)
    done = run("tickets", "serve")
    assert done.exit_code == 2
    assert "set AUDITWATCH_CONTEXT to a folder" in done.stderr


def test_a_saved_ticket_is_shown_as_the_row_it_becomes(run: Run, company: Path) -> None:
    done = run("tickets", "read", "auditwatch", "-", input=json.dumps(TICKET))
    assert json.loads(done.stdout) == TICKET | {"requester": "ada", "opened": "2026-03-02T08:00:00.000Z"}
    refused = run("tickets", "read", "jira", "-", input=json.dumps(TICKET))
    assert refused.exit_code == 1
    assert "id is looked for at issue.key" in refused.stderr
    unknown = run("tickets", "read", "remedy", "-", input="{}")
    assert unknown.exit_code == 2
    assert "there are auditwatch, jira, servicenow" in unknown.stderr


def test_pending_requests_are_reviewed(run: Run, company: Path) -> None:
    assert run("tickets", "review").stderr == "0 pending requests, none unusual\n"
    (company / "tickets.yml").write_text(
        "tickets: [{id: ACC-1, type: access, opened: 2026-03-02T09:00:00Z, requester: ada, approver: ada}]"
    )
    shown = run("tickets", "review").stdout
    assert shown.startswith("100  ACC-1  ada: -\n")
    assert "60  ada is to approve their own request" in shown
    line = json.loads(run("tickets", "review", "--json").stdout)
    assert (line["score"], line["ticket"]["id"]) == (100, "ACC-1")
