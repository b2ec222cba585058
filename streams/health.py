"""/metrics for Prometheus, /healthz (the process turns) and /readyz (it has its partitions and its stores answer)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.metrics import REGISTRY

log = logging.getLogger("auditwatch.health")


class Health:
    """A small HTTP server; `ready` answers None when ready, else what is missing."""

    def __init__(self, listen: str, ready: Callable[[], Awaitable[str | None]]) -> None:
        self._listen = listen
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listens on the configured address, or on a free port where that is taken; nothing when it is empty."""
        if not self._listen:
            return
        app = web.Application()
        app.add_routes(
            [web.get("/metrics", _metrics), web.get("/healthz", _alive), web.get("/readyz", self._answer_ready)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        try:
            await web.TCPSite(self._runner, host, int(port)).start()
        except OSError:
            await web.TCPSite(self._runner, host, 0).start()
            log.warning("%s is taken (another one of us?)", self._listen)
        log.info("metrics and health on http://%s:%s/", *self._runner.addresses[0][:2])

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _answer_ready(self, _: web.Request) -> web.Response:
        missing = await self._ready()
        return web.Response(text=f"{missing or 'ready'}\n", status=503 if missing else 200)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")
