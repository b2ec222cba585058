"""A receiver of webhooks that misbehaves on command; it checks signatures and takes each key once.

`plan` holds what the next calls meet, in order: ok, reset, reset_done (taken, then the connection breaks), a status, or
a status with seconds for Retry-After ("429:7").
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

from alerting.webhook_sign import signed_by
from tests.alerting.conftest import NOON

SECRET = "a-secret-for-tests"


@dataclass
class WebhookServer:
    now: Callable[[], int] = lambda: NOON
    plan: deque[str] = field(default_factory=deque)
    calls: int = 0
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)  # idempotency key -> body
    largest: int = 1_000_000
    url: str = ""

    async def __aenter__(self) -> WebhookServer:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/hook/secret-path", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/hook/secret-path"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        body = await request.read()
        step = self.plan.popleft() if self.plan else "ok"
        if step == "reset":
            return self._reset(request)
        status, _, after = step.partition(":")
        if status.isdecimal():
            headers = {"Retry-After": after} if after else {}
            return web.Response(status=int(status), headers=headers, text="no: <script>\x1b[31m" + "x" * 5_000)
        if not signed_by(SECRET, request.headers["Auditwatch-Signature"], body, self.now()):
            return web.Response(status=401)
        if len(body) > self.largest:
            return web.Response(status=413)
        self.taken.setdefault(request.headers["Idempotency-Key"], json.loads(body))
        return self._reset(request) if step == "reset_done" else web.Response(status=202)

    def _reset(self, request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()
