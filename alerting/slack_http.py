"""Clicks over HTTP: signed by Slack, answered at once, worked on afterwards. TLS is the proxy's in front of it.

What is not signed by Slack within five minutes, was here before, or is signed and no interaction is a 401; nothing
anybody sends is a 500.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from aiohttp import web
from slack_sdk.signature import Clock, SignatureVerifier

from alerting.interaction import MOST_BYTES, Malformed
from audit.event import MICROSECONDS

PATH = "/slack/interactions"
WINDOW = 5 * 60 * MICROSECONDS
"""How old a signature may be; Slack's own advice."""
REMEMBERED = 20_000
TOLD_EVERY = 10 * MICROSECONDS
READ_SECONDS = 5.0
PAUSE = 5.0
"""Seconds before an address that cannot be had is tried again."""

_log = logging.getLogger(__name__)


class SlackHttp:
    """An endpoint for interactions. `accept` takes a payload and raises Malformed; `clock` gives microseconds."""

    def __init__(self, secret: str, accept: Callable[[object], None], clock: Callable[[], int]) -> None:
        self._verifier = SignatureVerifier(secret, _Seconds(clock))
        self._accept = accept
        self._clock = clock
        self._used: OrderedDict[str, int] = OrderedDict()  # signature -> when it came
        self._strangers = 0  # since the log was told of them
        self._told = 0

    def __repr__(self) -> str:
        return "SlackHttp()"

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=2 * MOST_BYTES)  # percent-encoded
        app.router.add_post(PATH, self._handle)
        return app

    async def listen(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Serves until `stop` is set; an address that cannot be had is tried again."""
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            while not stop.is_set():
                try:
                    await web.TCPSite(runner, host, port).start()
                except OSError as error:
                    _log.error("AUDITWATCH_SLACK_HTTP=%s:%d cannot be listened on: %s", host, port, error.strerror)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), PAUSE)
                    continue
                _log.info("listening for clicks on http://%s:%d%s", host, port, PATH)
                await stop.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            body = await asyncio.wait_for(request.read(), READ_SECONDS)
        except TimeoutError:
            return web.Response(status=408)
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not self._signed(body, timestamp, signature):
            self._turned_away(request.remote)
            return web.Response(status=401, text="not signed by Slack, too old, or sent before")
        try:
            payload = _payload(body)
            if payload:
                self._accept(payload)
        except (Malformed, ValueError) as error:
            _log.warning("a signed request is no interaction: %s", error)
            return web.Response(status=401, text="no interaction")
        return web.Response()

    def _turned_away(self, address: str | None) -> None:
        """Anybody can send unsigned requests: the log hears of them every ten seconds."""
        self._strangers += 1
        if self._clock() - self._told >= TOLD_EVERY:
            self._told = self._clock()
            _log.warning(
                "%d requests, the last from %s, are not signed by Slack: SLACK_SIGNING_SECRET may be wrong",
                self._strangers,
                address,
            )
            self._strangers = 0

    def _signed(self, body: bytes, timestamp: str, signature: str) -> bool:
        """Whether Slack signed it lately and it was not here before; remembers it."""
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16 and signature.isascii()):
            return False
        try:
            if not self._verifier.is_valid(body, timestamp, signature):
                return False
        except UnicodeError:
            return False
        now = self._clock()
        while self._used and (len(self._used) >= REMEMBERED or next(iter(self._used.values())) < now - 2 * WINDOW):
            self._used.popitem(last=False)
        if signature in self._used:
            return False
        self._used[signature] = now
        return True


class _Seconds(Clock):
    """Our clock, as the SDK wants it."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock() / MICROSECONDS


def _payload(body: bytes) -> str:
    """The payload of a form; "" for Slack's check of the certificate (ssl_check)."""
    form = parse_qs(body.decode(), max_num_fields=20)
    if "ssl_check" in form:
        return ""
    if "payload" not in form:
        raise Malformed("a form without a payload")
    return form["payload"][0]
