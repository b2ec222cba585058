"""From a click to message, thread and verdict: the dispatcher with real sockets against a Slack of our own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote_plus

import aiohttp
import pytest

from alerting.alert import to_line
from alerting.route import Routing
from alerting.slack import SlackNotifier
from alerting.slack_http import PATH
from alerting.store_memory import MemoryAlertStore
from streams import teach
from streams.child import free_port
from streams.clicks import Current, Listener, listener_of
from streams.declared import Declared
from streams.dispatch import Dispatch
from streams.packet import Control
from streams.settings import Settings
from tests.alerting.clicking import ALICE, BOB, CAROL, STRANGER, payload
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.socket_server import APP_TOKEN, SocketServer

SECRET = "a-signing-secret"
ALERT = an_alert(1)
PEOPLE = f"""
users:
  - {{id: alice, identities: {{slack: [{ALICE}]}}}}
  - {{id: bob, identities: {{slack: [{BOB}]}}}}
  - {{id: carol, identities: {{slack: [{CAROL}]}}, team: security}}
"""


class Team:
    """A dispatcher with Slack on the other side, and the verdicts it sends."""

    def __init__(self, settings: Settings, slack: SlackServer, sockets: SocketServer) -> None:
        self.settings, self.slack, self.sockets = settings, slack, sockets
        self.store = MemoryAlertStore()
        self.notifier = SlackNotifier(TOKEN, "C1", slack.url)
        self.notifier.pace = 0.01
        current = Current(Routing, Declared(settings.context).now)
        listener = listener_of(settings, self.store, self.notifier, current)
        assert listener
        self.listener: Listener = listener
        self.dispatch = Dispatch(self.store, self.notifier, None, listener.run)
        self.verdicts: list[Control] = []

    async def send(self, settings: Settings, controls: list[Control]) -> None:
        self.verdicts += controls

    async def shown(self) -> None:
        await self.dispatch.put(to_line(ALERT))
        await until(lambda: self.slack.posts and self.sockets.open)

    @property
    def thread(self) -> list[str]:
        return self.slack.thread(self.slack.posts[0]["ts"])


async def until(reached: Callable[[], object], seconds: float = 10.0) -> None:
    for _ in range(int(seconds / 0.01)):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not reached")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.yml"
    file.write_text(PEOPLE)
    return file


@pytest.fixture
async def team(people: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Team]:
    sockets = SocketServer()
    async with SlackServer(sockets=sockets, now=time.time) as slack:
        settings = Settings(
            context=people,
            slack_channel="C1",
            slack_base_url=slack.url,
            slack_bot_token=TOKEN,
            slack_app_token=APP_TOKEN,
            slack_http=f"127.0.0.1:{free_port()}",
            slack_signing_secret=SECRET,
        )
        team = Team(settings, slack, sockets)
        monkeypatch.setattr(teach, "send", team.send)
        await team.dispatch.owns(True)
        yield team
        await asyncio.wait_for(team.dispatch.owns(False), 10)
        await team.notifier.close()
        assert sockets.open == []


async def test_a_click_over_socket_mode_changes_message_thread_and_baselines(team: Team) -> None:
    await team.shown()
    await team.sockets.send("e1", payload("case.ack", trigger="1"))
    await until(lambda: team.thread)
    assert team.thread[0].startswith("bob acknowledged it at ")
    assert team.slack.whispers == []
    assert team.verdicts == []
    await team.sockets.send("e2", payload("case.false_positive", CAROL, version=1, trigger="2"))
    await until(lambda: len(team.thread) == 2)
    assert team.thread[1].startswith("carol resolved it as false_positive at ")
    await until(lambda: team.verdicts)
    assert {(one.kind, one.principal, one.by) for one in team.verdicts} == {("learn", "alice", "carol")}
    assert "✅" in str(team.slack.posts[0]["blocks"])


async def test_a_stale_click_the_subject_and_a_stranger_are_told_and_nobody_else_is(team: Team) -> None:
    await team.shown()
    await team.sockets.send("e1", payload("case.ack", trigger="1"))
    await until(lambda: team.thread)
    await team.sockets.send("e2", payload("case.ack", CAROL, trigger="2"))
    await team.sockets.send("e3", payload("case.resolve", ALICE, version=1, trigger="3"))
    await team.sockets.send("e4", payload("case.resolve", STRANGER, version=1, trigger="4"))
    await until(lambda: len(team.slack.whispers) == 3)
    said = dict(team.slack.whispers)
    assert said[CAROL].startswith("Already done: bob acknowledged it at ")
    assert "about you" in said[ALICE]
    assert "declared people" in said[STRANGER]
    assert len(team.thread) == 1


async def test_the_same_envelope_twice_is_one_step_and_no_reproach(team: Team) -> None:
    await team.shown()
    for _ in range(3):
        await team.sockets.send("e1", payload("case.snooze", trigger="1"))
    await until(lambda: team.thread)
    await asyncio.sleep(0.1)
    case = await team.store.case(ALERT.id)
    assert case
    assert case.version == 1
    assert team.slack.whispers == []


async def test_over_http_the_same_happens(team: Team) -> None:
    await team.shown()
    body = b"payload=" + quote_plus(json.dumps(payload("case.resolve"))).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with aiohttp.ClientSession() as session:
        for wanted in (200, 401):
            url = f"http://{team.settings.slack_http}{PATH}"
            async with session.post(url, data=body, headers=headers) as answer:
                assert answer.status == wanted
    await until(lambda: team.thread)
    await until(lambda: team.verdicts)
    assert [one.kind for one in team.verdicts] == ["drop"]


async def test_only_who_delivers_listens(people: Path) -> None:
    sockets = SocketServer()
    async with SlackServer(sockets=sockets) as slack:
        settings = Settings(context=people, slack_base_url=slack.url, slack_app_token=APP_TOKEN)
        team = Team(settings, slack, sockets)
        await asyncio.sleep(0.1)
        assert sockets.opened == 0
        for _ in range(2):
            await team.dispatch.owns(True)
            await until(lambda: sockets.open)
            await asyncio.wait_for(team.dispatch.owns(False), 5)
            await until(lambda: not sockets.open)
        assert sockets.opened == 2
        await team.notifier.close()


def test_without_a_way_nothing_listens_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    slack = SlackNotifier(TOKEN, "C1")
    current = Current(Routing, Declared(None).now)
    assert listener_of(Settings(), MemoryAlertStore(), slack, current) is None
    assert "SLACK_APP_TOKEN" in caplog.text
    assert listener_of(Settings(slack_signing_secret=SECRET), MemoryAlertStore(), slack, current) is None


async def test_the_teams_of_the_settings_count(people: Path) -> None:
    settings = Settings(context=people, slack_app_token=APP_TOKEN, case_teams="security, fraud")
    current = Current(Routing, Declared(people).now)
    listener = listener_of(settings, store := MemoryAlertStore(), SlackNotifier(TOKEN, "C1"), current)
    assert listener
    await store.put(ALERT)
    told: list[str] = []
    slack = listener.clicks.slack

    async def team() -> str:
        return ""

    async def whisper(click: object, text: str) -> None:
        told.append(text)

    listener.clicks.slack = type(slack)(team, whisper)
    listener.clicks.accept(payload("case.ack", BOB))
    await listener.clicks.finish()
    assert told == ["Cases are for fraud, security."]
