from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from audit.context import load_context
from audit.ticket_forms import FORMS, BadTicket
from streams.tickets import MOST_BYTES, MOST_TICKETS, Folder, Intake

TOKEN = "a token nobody guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
TICKET = {"id": "CHG-1", "type": "change", "opened": "2026-03-02T08:00:00Z", "status": "open", "requester": "ada"}

Client = TestClient[Any, Any]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    intake = Intake(Folder(tmp_path / "tickets"), FORMS, TOKEN, lambda name: name.partition("@")[0])
    async with TestClient(TestServer(intake.app())) as client:
        yield client


def kept(folder: Path) -> dict[str, str]:
    """The status of each ticket, as the context reads it."""
    (folder / "people.yml").write_text("users: [{id: ada}]")
    return {ticket.id: ticket.status for ticket in load_context(folder).declared.tickets}


async def test_a_ticket_is_part_of_the_context_and_then_changes(client: Client, tmp_path: Path) -> None:
    answer = await client.post("/tickets", json=TICKET, headers=BEARER)
    assert (answer.status, await answer.json()) == (200, {"tickets": ["CHG-1"], "changed": ["CHG-1"]})
    again = await client.post("/tickets/auditwatch", json=[TICKET], headers=BEARER)
    assert (await again.json())["changed"] == []
    assert kept(tmp_path) == {"CHG-1": "open"}
    changed = [TICKET | {"status": "Rejected"}, TICKET | {"id": "CHG-2"}]
    assert (await client.post("/tickets", json=changed, headers=BEARER)).status == 200
    assert kept(tmp_path) == {"CHG-1": "rejected", "CHG-2": "open"}


async def test_a_signature_is_as_good_as_the_token(client: Client) -> None:
    body = json.dumps(TICKET).encode()
    signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
    signed = await client.post("/tickets", data=body, headers={"X-Hub-Signature": f"sha256={signature}"})
    assert signed.status == 200
    other = await client.post("/tickets", data=body + b" ", headers={"X-Hub-Signature": f"sha256={signature}"})
    assert other.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"X-Hub-Signature": "sha256="},
        {"Authorization": "Bearer \udcff"},
    ],
)
async def test_strangers_are_turned_away(client: Client, tmp_path: Path, headers: dict[str, str]) -> None:
    assert (await client.post("/tickets", json=TICKET, headers=headers)).status == 401
    assert list((tmp_path / "tickets").iterdir()) == []


async def test_a_header_that_is_no_text_is_a_strangers(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST /tickets HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\r\nContent-Length: 2\r\n\r\n{}")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "no JSON"),
        (b"[1]", 400, "not a JSON object"),
        (json.dumps([TICKET, TICKET | {"id": ""}]).encode(), 400, "no id"),
        (json.dumps([TICKET] * (MOST_TICKETS + 1)).encode(), 400, "at most 100"),
        (b"x" * (MOST_BYTES + 1), 413, "more than"),
    ],
)
async def test_what_cannot_be_used_is_refused_whole(
    client: Client, tmp_path: Path, body: bytes, status: int, why: str
) -> None:
    answer = await client.post("/tickets", data=body, headers=BEARER)
    assert answer.status == status
    assert why in (await answer.json())["error"]
    assert list((tmp_path / "tickets").iterdir()) == []


async def test_no_ticket_makes_the_context_unusable(client: Client, tmp_path: Path) -> None:
    assert (await client.post("/tickets", json=TICKET, headers=BEARER)).status == 200
    turned = TICKET | {"id": "CHG-3", "window_start": "2026-03-03T00:00:00Z", "window_end": "2026-03-02T00:00:00Z"}
    for bad, why in ((TICKET | {"id": "chg-1"}, "is known as CHG-1"), (turned, "is before window_start")):
        answer = await client.post("/tickets", json=[TICKET | {"id": "CHG-2"}, bad], headers=BEARER)
        assert answer.status == 400
        assert why in (await answer.json())["error"]
    assert kept(tmp_path) == {"CHG-1": "open"}, "and nothing of those requests"


def test_a_ticket_written_by_hand_is_not_declared_a_second_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path, ["CHG-1", "CHG-2"])
    with pytest.raises(BadTicket, match="ticket chg-1 is written in the context by hand"):
        folder.put(TICKET | {"id": "chg-1"})
    folder = Folder(tmp_path / "new")
    folder.put(TICKET)
    assert Folder(tmp_path / "new", ["CHG-1"]).put(TICKET | {"status": "done"}), "its own are among those it is told of"


async def test_news_that_is_sent_again_does_not_undo_what_came_later(client: Client, tmp_path: Path) -> None:
    early = TICKET | {"status": "approved", "updated": "2026-03-02T09:00:00Z"}
    late = TICKET | {"status": "rejected", "updated": "2026-03-02T10:00:00Z"}
    for row, status in ((early, "approved"), (late, "rejected"), (early, "rejected"), (TICKET, "open")):
        assert (await client.post("/tickets", json=row, headers=BEARER)).status == 200
        assert kept(tmp_path) == {"CHG-1": status}


async def test_who_sends_slowly_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.tickets.SLOWEST", 0.05)
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST /tickets HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_who_hangs_up_is_no_error_of_ours(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    _, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST /tickets HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert (await client.post("/tickets", json=TICKET, headers=BEARER)).status == 200


async def test_a_form_nobody_knows(client: Client) -> None:
    answer = await client.post("/tickets/remedy", json=TICKET, headers=BEARER)
    assert (answer.status, (await answer.json())["error"]) == (
        404,
        "no such form; there are auditwatch, jira, servicenow",
    )


async def test_many_at_once_are_all_kept(client: Client, tmp_path: Path) -> None:
    posts = [client.post("/tickets", json=TICKET | {"id": f"T-{n}"}, headers=BEARER) for n in range(40)]
    assert {answer.status for answer in await asyncio.gather(*posts)} == {200}
    assert len(kept(tmp_path)) == 40


async def test_a_full_disk_is_told_and_changes_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    await client.post("/tickets", json=TICKET, headers=BEARER)
    with monkeypatch.context() as patch:
        patch.setattr("streams.tickets.os.fsync", full)
        assert (await client.post("/tickets", json=TICKET | {"status": "done"}, headers=BEARER)).status == 503
    assert kept(tmp_path) == {"CHG-1": "open"}
    assert (await client.post("/tickets", json=TICKET | {"status": "done"}, headers=BEARER)).status == 200
    assert kept(tmp_path) == {"CHG-1": "done"}


def test_a_folder_knows_its_tickets_after_a_restart(tmp_path: Path) -> None:
    first = Folder(tmp_path)
    assert first.put(TICKET)
    second = Folder(tmp_path)
    assert len(second) == 1
    assert not second.put(TICKET)


def test_a_ticket_whose_day_changes_stays_in_its_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put(TICKET)
    assert folder.put(TICKET | {"opened": "2026-03-03T08:00:00Z"})
    assert not Folder(tmp_path).put(TICKET | {"opened": "2026-03-03T08:00:00Z"})
    assert [file.name for file in tmp_path.iterdir()] == ["2026-03-02.json"]


@pytest.mark.parametrize("text", ["{", "{}", '{"tickets": [{}]}', '{"tickets": [{"id": 1}]}', "[]"])
def test_a_file_that_is_not_ours_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "2026-03-02.json").write_text(text)
    with pytest.raises(BadTicket, match=r"2026-03-02\.json: "):
        Folder(tmp_path)
