from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from alerting import slack_socket
from alerting.interaction import Click, Malformed, clicks
from alerting.slack_socket import SlackSocket
from tests.alerting.clicking import payload
from tests.alerting.conftest import NOON
from tests.alerting.socket_server import APP_TOKEN, SocketServer


class Ear:
    """A listener under way, and what it heard."""

    def __init__(self, server: SocketServer, token: str = APP_TOKEN) -> None:
        self.got: list[Click] = []
        self.stop = asyncio.Event()
        self.socket = SlackSocket(token, server.url, self.accept)
        self.task = asyncio.create_task(self.socket.listen(self.stop))

    def accept(self, told: object) -> None:
        self.got += clicks(told, NOON)


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with SocketServer() as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_socket, "LOOK", 0.02)
    monkeypatch.setattr(slack_socket, "PAUSES", (0.0, 0.02, 0.02))


@pytest.fixture
async def ear(server: SocketServer) -> AsyncIterator[Ear]:
    ear = Ear(server)
    yield ear
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


async def until(reached: Callable[[], object], seconds: float = 8.0) -> None:
    for _ in range(int(seconds / 0.01)):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not reached")


async def test_a_click_is_taken_and_acknowledged(server: SocketServer, ear: Ear) -> None:
    await until(lambda: server.open)
    await server.send("e1", payload("case.ack"))
    await until(lambda: server.acked)
    assert server.acked == ["e1"]
    assert [click.action for click in ear.got] == ["case.ack"]


async def test_a_dropped_connection_is_opened_anew_and_what_was_not_acknowledged_comes_again(
    server: SocketServer, ear: Ear
) -> None:
    await until(lambda: server.open)
    server.deaf = True
    await server.send("e1", payload("case.ack"))
    await until(lambda: ear.got)
    await server.drop()
    server.deaf = False
    await until(lambda: server.acked == ["e1"])
    assert len(ear.got) == 2, "the same click twice: Clicks knows it by its trigger"
    assert ear.got[0].id == ear.got[1].id
    assert server.opened == 2


async def test_when_slack_announces_the_end_the_next_connection_stands_first(server: SocketServer, ear: Ear) -> None:
    await until(lambda: server.open)
    seen: list[int] = []

    async def count() -> None:
        while True:
            seen.append(len(server.open))
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await server.say('{"type": "disconnect", "reason": "refresh_requested"}')
    await until(lambda: server.opened == 2 and len(server.open) == 1)
    counting.cancel()
    assert min(seen) == 1
    await server.send("e2", payload())
    await until(lambda: server.acked == ["e2"])


async def test_an_address_that_does_not_work_is_replaced(
    server: SocketServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slack_socket, "CONNECT_SECONDS", 0.1)
    server.broken = 2
    ear = Ear(server)
    await until(lambda: server.open)
    assert "secret-ticket" not in caplog.text
    assert "cannot be opened: TimeoutError" in caplog.text
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("invalid_auth", "xapp-"),
        ("missing_scope", "connections:write"),
        ("not_enabled", "turn on Socket Mode"),
        ("internal_error", "trying again"),
    ],
)
async def test_a_refusal_says_what_to_mend_and_is_tried_again(
    server: SocketServer, caplog: pytest.LogCaptureFixture, code: str, mend: str
) -> None:
    server.refusals = [code, code]
    ear = Ear(server)
    await until(lambda: server.open)
    assert code in caplog.text
    assert mend in caplog.text
    assert APP_TOKEN not in caplog.text + repr(ear.socket)
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


@pytest.mark.parametrize("page", ["<html>Bad gateway</html>", "{", "", "[]"])
async def test_an_answer_that_is_not_slacks_is_tried_again(
    server: SocketServer, caplog: pytest.LogCaptureFixture, page: str
) -> None:
    server.pages = [page, page]
    ear = Ear(server)
    await until(lambda: server.open)
    assert caplog.text.count("cannot be opened") == 2
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


async def test_a_connection_that_is_dead_without_a_word_is_noticed(
    server: SocketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_socket, "PING", 0.2)
    server.dead = True
    ear = Ear(server)
    await until(lambda: server.open)
    server.dead = False
    await until(lambda: server.opened == 2)
    await server.send("e1", payload())
    await until(lambda: server.acked == ["e1"])
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


async def test_an_outage_of_slack_is_outlasted(caplog: pytest.LogCaptureFixture) -> None:
    async with SocketServer() as gone:
        pass
    ear = Ear(gone)
    await until(lambda: caplog.text.count("cannot be opened") >= 3)
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)


@pytest.mark.parametrize(
    "junk",
    ["", "not JSON", "{", "[]", "{}", '{"type": "interactive"}', '{"a":' + "[" * 50_000, "null", '{"envelope_id": 7}'],
)
async def test_junk_on_the_line_harms_nothing(server: SocketServer, ear: Ear, junk: str) -> None:
    await until(lambda: server.open)
    await server.say(junk)
    await server.send("e1", payload())
    await until(lambda: server.acked == ["e1"])
    assert len(ear.got) == 1


@pytest.mark.parametrize(
    "told", [{}, {"type": "block_actions"}, "text", payload(value="x" * 1_000_000), payload(user=7)]
)
async def test_an_interaction_that_cannot_be_read_is_acknowledged_and_left(
    server: SocketServer, ear: Ear, told: object, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Malformed):
        clicks(told if isinstance(told, dict) else {"text": told}, NOON)
    await until(lambda: server.open)
    await server.send("e1", told)
    await until(lambda: server.acked == ["e1"])
    assert ear.got == []
    assert "cannot be read" in caplog.text
    assert len(caplog.text) < 5_000


async def test_other_envelopes_are_acknowledged_and_mean_nothing(server: SocketServer, ear: Ear) -> None:
    await until(lambda: server.open)
    await server.send("e1", {"event": {"type": "message"}}, kind="events_api")
    await server.send("e2", {"command": "/x"}, kind="slash_commands")
    await until(lambda: sorted(server.acked) == ["e1", "e2"])
    assert ear.got == []


async def test_it_ends_when_told_and_leaves_no_connection(server: SocketServer) -> None:
    ear = Ear(server)
    await until(lambda: server.open)
    ear.stop.set()
    await asyncio.wait_for(ear.task, 5)
    await until(lambda: not server.open)


async def test_a_connection_that_slack_ends_at_once_is_not_asked_for_in_a_hot_loop(
    server: SocketServer, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_socket, "PAUSES", (0.0, 0.3, 0.3))
    await until(lambda: server.open)
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        await server.drop()
        await until(lambda: not server.open)
        await until(lambda: server.open)
    assert asyncio.get_running_loop().time() - began >= 3 * 0.3
