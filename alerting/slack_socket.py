"""Clicks over Socket Mode: a WebSocket that we open, so that nothing of ours has to be reachable from outside.

The SDK's client speaks the protocol; that it stays connected is watched here. Left alone it retries one address for
ever, though each is good for one use and 30 s, and logs it, ticket and all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from alerting.interaction import Malformed

LOOK = 0.2
"""Seconds between two looks whether the connection stands."""
PING = 5.0
CONNECT_SECONDS = 6.0
PAUSES = (0.05, 0.5, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next attempt, after so many in a row that failed."""

_log = logging.getLogger(__name__)
_silenced = logging.getLogger(f"{__name__}.sdk")
_silenced.setLevel(logging.CRITICAL + 1)

_MEND = {
    "invalid_auth": "set SLACK_APP_TOKEN to a valid app-level token (xapp-...)",
    "not_allowed_token_type": "SLACK_APP_TOKEN takes an app-level token (xapp-...), not a bot token",
    "missing_scope": "give the app-level token the scope connections:write",
    "not_enabled": "turn on Socket Mode in the settings of the Slack app",
}


class SlackSocket:
    """Listens with an app-level token. `accept` takes a payload and raises Malformed."""

    def __init__(self, app_token: str, base_url: str, accept: Callable[[object], None]) -> None:
        self._token = app_token
        self._base_url = base_url
        self._accept = accept
        self._local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")

    def __repr__(self) -> str:
        return f"SlackSocket(base_url={self._base_url!r})"

    async def listen(self, stop: asyncio.Event) -> None:
        """Stays connected until `stop` is set; whatever fails is tried again.

        When Slack wants to end a connection, the next one stands before it is closed.
        """
        failures, client = 0, None
        try:
            while not stop.is_set():
                try:
                    client = await self._next(client)
                    failures = 0 if await _stood(client, stop) else failures + 1
                except Exception as error:  # also what the SDK raises at answers that are not Slack's
                    failures += 1
                    _log.error("Socket Mode cannot be opened: %s", _told(error))
                await _pause(stop, PAUSES[min(failures, len(PAUSES) - 1)])
        finally:
            await _close(client)

    async def _next(self, old: _Client | None) -> _Client:
        client = await self._opened()
        try:
            await asyncio.wait_for(client.connect(), CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        except BaseException:
            await _close(client)
            raise
        await _close(old)
        _log.info("listening for clicks over Socket Mode")
        return client

    async def _opened(self) -> _Client:
        """A client with a fresh address; it is not connected yet."""
        session = aiohttp.ClientSession(trust_env=not self._local)
        try:
            web = AsyncWebClient(base_url=self._base_url, session=session, retry_handlers=[], timeout=10)
            web.proxy = None
            address = str((await web.apps_connections_open(app_token=self._token))["url"])
        except BaseException:
            await session.close()
            raise
        client = _Client(self._token, _silenced, web, auto_reconnect_enabled=False, ping_interval=PING)
        await client.aiohttp_client_session.close()
        client.aiohttp_client_session, client.proxy = session, None  # the SDK ignores NO_PROXY, aiohttp does not
        client.wss_uri = address
        client.socket_mode_request_listeners.append(self._on_request)
        return client

    async def _on_request(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Taken, then acknowledged: what is not acknowledged comes again, and counts once."""
        if request.type == "interactive":
            try:
                self._accept(request.payload)
            except Malformed as error:
                _log.warning("an interaction over Socket Mode cannot be read: %s", error)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))


class _Client(SocketModeClient):
    """The SDK's, but for what it does when Slack announces the end: the next connection is opened by us."""

    leaving = False

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        """Notes that the end is near."""
        self.leaving = True


async def _stood(client: _Client, stop: asyncio.Event) -> bool:
    """Waits until a connection ends or is about to; whether it was of any use."""
    looks = 0
    while not stop.is_set() and not client.leaving and await client.is_connected():
        looks += 1
        await _pause(stop, LOOK)
    if not stop.is_set():
        _log.info("Socket Mode: %s, opening another", "Slack ends this connection" if client.leaving else "it broke")
    return looks * LOOK > PAUSES[2]


async def _close(client: _Client | None) -> None:
    if client:
        with suppress(Exception):
            await asyncio.wait_for(client.close(), 3.0)  # type: ignore[no-untyped-call]
        with suppress(Exception):
            await client.aiohttp_client_session.close()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _told(error: Exception) -> str:
    """What went wrong, without addresses (they hold a ticket)."""
    data = getattr(getattr(error, "response", None), "data", None)
    code = str(data.get("error")) if isinstance(data, dict) else ""
    return f"{code or type(error).__name__}; {_MEND.get(code, 'trying again')}"
