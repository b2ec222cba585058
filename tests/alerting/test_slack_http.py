from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import aiohttp.web
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting import slack_http
from alerting.interaction import MOST_BYTES, Click, clicks
from alerting.slack_http import PATH, SlackHttp
from tests.alerting.clicking import payload
from tests.alerting.conftest import NOON, SECOND

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


class Slack:
    """Slack's side: signs what it sends, or not; and the clicks that came of it."""

    def __init__(self) -> None:
        self.now = NOON
        self.got: list[Click] = []
        self.http = SlackHttp(SECRET, self.accept, lambda: self.now)
        self.url = ""

    def accept(self, told: object) -> None:
        self.got += clicks(told, self.now)

    async def send(self, body: bytes, at: int | None = None, secret: str = SECRET, **headers: str) -> tuple[int, str]:
        timestamp = str((self.now if at is None else at) // SECOND)
        signature = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        signed = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={signature}"}
        return await self.post(body, signed | {key.replace("_", "-"): value for key, value in headers.items()})

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body, headers=kind | headers) as answer,
        ):
            return answer.status, await answer.text()


def form(told: Any) -> bytes:
    return b"payload=" + quote_plus(json.dumps(told)).encode()


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slack, stop = Slack(), asyncio.Event()
    slack.url = f"http://127.0.0.1:{port}{PATH}"
    serving = asyncio.create_task(slack.http.listen("127.0.0.1", port, stop))
    while not serving.done():
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        except OSError:
            await asyncio.sleep(0.01)
    yield slack
    stop.set()
    await asyncio.wait_for(serving, 5)


async def test_what_slack_signed_is_taken_and_answered_empty(slack: Slack) -> None:
    assert await slack.send(form(payload("case.ack"))) == (200, "")
    assert [click.action for click in slack.got] == ["case.ack"]


async def test_a_body_in_any_script_is_signed_over_its_bytes(slack: Slack) -> None:
    told = json.dumps(payload("case.ack") | {"user": {"id": "U1", "name": "Zoë 🔥"}}, ensure_ascii=False)
    assert (await slack.send(b"payload=" + quote_plus(told).encode()))[0] == 200
    assert len(slack.got) == 1


async def test_the_same_request_a_second_time_is_refused(slack: Slack) -> None:
    body = form(payload())
    assert (await slack.send(body))[0] == 200
    assert (await slack.send(body))[0] == 401
    slack.now += 4 * 60 * SECOND
    assert (await slack.send(body, at=NOON))[0] == 401
    assert (await slack.send(body))[0] == 200, "signed anew it is another request"
    assert len(slack.got) == 2


@pytest.mark.parametrize("shift", [-301, 301, -86_400, 10**9])
async def test_an_old_or_a_future_signature_is_refused(slack: Slack, shift: int) -> None:
    assert (await slack.send(form(payload()), at=NOON + shift * SECOND))[0] == 401
    assert slack.got == []


@pytest.mark.parametrize("shift", [-299, 299])
async def test_clocks_may_differ_by_minutes(slack: Slack, shift: int) -> None:
    assert (await slack.send(form(payload()), at=NOON + shift * SECOND))[0] == 200


async def test_a_forged_signature_is_refused_and_the_log_says_what_to_look_at(
    slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await slack.send(form(payload()), secret="another secret"))[0] == 401
    assert slack.got == []
    assert "SLACK_SIGNING_SECRET" in caplog.text
    assert SECRET not in caplog.text + repr(slack.http)


async def test_a_signature_of_another_body_is_refused(slack: Slack) -> None:
    timestamp = str(NOON // SECOND)
    signature = hmac.new(SECRET.encode(), f"v0:{timestamp}:payload=1".encode(), hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={signature}"}
    assert (await slack.post(form(payload()), headers))[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Request-Timestamp": "abc", "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "-1", "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "1" * 5_000, "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "1769860800.5", "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "²", "X-Slack-Signature": "v0=00"},
        {"X-Slack-Request-Timestamp": "1769860800", "X-Slack-Signature": ""},
        {"X-Slack-Request-Timestamp": "1769860800", "X-Slack-Signature": "v0=ü"},
        {"X-Slack-Request-Timestamp": "١٧٦٩٨٦٠٨٠٠", "X-Slack-Signature": "v0=00"},
    ],
)
async def test_whatever_stands_in_the_headers_it_is_a_401(slack: Slack, headers: dict[str, str]) -> None:
    assert (await slack.post(form(payload()), headers))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload=%7B%7D",
        b"something=else",
        b"payload=%FF%FE",
        b"payload=" + b"%5B" * 50_000,
        b"&".join(b"a%d=1" % number for number in range(500)),
        form({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "case.ack", "value": "no"}]}),
        form(payload(value='{"alert_id": []}')),
    ],
)
async def test_what_is_signed_and_no_interaction_is_a_401_too(slack: Slack, body: bytes) -> None:
    assert await slack.send(body) == (401, "no interaction")
    assert slack.got == []


async def test_bytes_that_are_no_text_are_refused(slack: Slack) -> None:
    assert (await slack.send(b"payload=\xff\xfe"))[0] == 401


@pytest.mark.parametrize("size", [2 * MOST_BYTES + 1, 10 * MOST_BYTES])
async def test_a_body_is_bounded(slack: Slack, size: int) -> None:
    assert (await slack.send(b"payload=" + b"x" * size))[0] == 413
    assert slack.got == []


async def test_slacks_check_of_the_certificate_is_answered(slack: Slack) -> None:
    assert await slack.send(b"ssl_check=1&token=x") == (200, "")


async def test_an_address_that_is_taken_is_waited_for(
    slack: Slack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slack_http, "PAUSE", 0.02)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, stop = taken.getsockname()[1], asyncio.Event()
        waiting = asyncio.create_task(SlackHttp(SECRET, slack.accept, lambda: NOON).listen("127.0.0.1", port, stop))
        while "cannot be listened on" not in caplog.text:
            await asyncio.sleep(0.01)
    slack.url = f"http://127.0.0.1:{port}{PATH}"
    for _ in range(100):
        try:
            assert (await slack.send(form(payload())))[0] == 200
            break
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(waiting, 5)
    assert len(slack.got) == 1


async def test_other_paths_and_methods_are_not_there(slack: Slack) -> None:
    async with aiohttp.ClientSession() as session:
        for url, wanted in ((slack.url, 405), (slack.url.removesuffix(PATH) + "/", 404)):
            async with session.get(url) as answer:
                assert answer.status == wanted


async def test_who_sends_slowly_is_not_waited_for(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_http, "READ_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(slack.url.split(":")[2].split("/")[0]))
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npay".encode())
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_what_is_remembered_is_bounded(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_http, "REMEMBERED", 3)
    for number in range(6):
        await slack.send(form(payload(trigger=str(number))))
    assert len(slack.http._used) == 3
    slack.now += 11 * 60 * SECOND
    await slack.send(form(payload()))
    assert len(slack.http._used) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), signed=st.booleans())
def test_nothing_anybody_sends_is_a_500(body: bytes, signed: bool) -> None:
    async def talk() -> int:
        slack = Slack()
        runner = aiohttp.web.AppRunner(slack.http.app())
        await runner.setup()
        try:
            await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
            slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
            return (await (slack.send(body) if signed else slack.post(body, {})))[0]
        finally:
            await runner.cleanup()

    assert asyncio.run(talk()) in ((200, 401) if signed else (401,))


async def test_a_flood_of_strangers_is_a_line_in_ten_seconds(slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        assert (await slack.send(form(payload()), secret="another"))[0] == 401
    assert caplog.text.count("SLACK_SIGNING_SECRET") == 1
    slack.now += 10 * SECOND
    await slack.send(form(payload()), secret="another")
    assert "5 requests, the last from 127.0.0.1, are not signed" in caplog.text
