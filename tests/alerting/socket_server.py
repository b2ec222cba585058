"""Slack's side of Socket Mode, misbehaving on command: a real WebSocket beside the Web API of SlackServer.

Each address it gives out is good for one connection. What is sent and not acknowledged is sent again to the next one.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

APP_TOKEN = "xapp-a-token-for-tests"


@dataclass
class SocketServer:
    refusals: list[str] = field(default_factory=list)  # errors that the next calls of apps.connections.open get
    broken: int = 0  # addresses to come that refuse the connection
    opened: int = 0
    open: list[web.WebSocketResponse] = field(default_factory=list)
    unacked: dict[str, dict[str, Any]] = field(default_factory=dict)
    acked: list[str] = field(default_factory=list)
    deaf: bool = False  # it acknowledges nothing
    dead: bool = False  # connections to come answer no ping
    pages: list[str] = field(default_factory=list)  # what the next calls of apps.connections.open get instead of JSON
    url: str = ""
    _tickets: set[str] = field(default_factory=set)

    async def __aenter__(self) -> SocketServer:
        app = web.Application()
        self.join(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/api/"
        return self

    def join(self, app: web.Application) -> None:
        """Its part of a server."""
        app.router.add_post("/api/apps.connections.open", self._ticket)
        app.router.add_get("/link/{ticket}", self._link)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self.open:
            await link.close()
        await self._runner.cleanup()

    async def _ticket(self, request: web.Request) -> web.Response:
        if self.pages:
            return web.Response(text=self.pages.pop(0), content_type="text/html", status=502)
        if self.refusals:
            return web.json_response({"ok": False, "error": self.refusals.pop(0)})
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        ticket = f"secret-ticket-{len(self._tickets)}"
        self._tickets.add(ticket)
        return web.json_response({"ok": True, "url": f"ws://{request.host}/link/{ticket}?ticket={ticket}"})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.match_info["ticket"]
        if ticket not in self._tickets or self.broken > 0:
            self.broken -= 1
            return web.Response(status=503)
        self._tickets.discard(ticket)
        self._tickets.add(ticket + " used")
        link = web.WebSocketResponse(autoping=not self.dead)
        await link.prepare(request)
        self.open.append(link)
        self.opened += 1
        await link.send_json({"type": "hello", "num_connections": len(self.open)})
        for envelope in list(self.unacked.values()):
            await link.send_json(envelope)
        async for message in link:
            if message.type == WSMsgType.TEXT and not self.deaf:
                envelope_id = json.loads(message.data)["envelope_id"]
                self.acked.append(envelope_id)
                self.unacked.pop(envelope_id, None)
        self.open.remove(link)
        return link

    async def send(self, envelope_id: str, payload: object, kind: str = "interactive") -> None:
        envelope = {"type": kind, "envelope_id": envelope_id, "payload": payload, "accepts_response_payload": False}
        self.unacked[envelope_id] = envelope
        for link in self.open[-1:]:
            await link.send_json(envelope)

    async def say(self, text: str) -> None:
        """Anything, to the newest connection."""
        await self.open[-1].send_str(text)

    async def drop(self) -> None:
        """Cuts every connection without a word."""
        for link in list(self.open):
            assert link._req is not None
            assert link._req.transport is not None
            link._req.transport.abort()
        await asyncio.sleep(0)
