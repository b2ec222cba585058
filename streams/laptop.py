"""Broker and Redis for a laptop: `auditwatch worker` starts them where none is configured, other commands find them.

The worker writes their addresses to .auditwatch/embedded.json in the current folder and removes it when it ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from streams.embedded import Broker, RedisServer
from streams.settings import Settings, SettingsError

NOTE = Path(".auditwatch/embedded.json")
SESSION_SECONDS = 3
"""The embedded broker has the first worker wait half of this before it gets its partitions."""

Server = Literal["broker", "redis"]
_SERVERS: tuple[Server, ...] = ("broker", "redis")


@contextmanager
def serving(settings: Settings) -> Iterator[Settings]:
    """Settings with both addresses filled in: a worker's that runs in this folder, or new ones until the block ends."""
    there = _of_a_worker(settings)
    if there:
        yield there
        return
    with ExitStack() as stack:
        if not settings.broker:
            broker = stack.enter_context(Broker.start())
            settings = replace(settings, broker=broker.url, session_seconds=SESSION_SECONDS)
        if not settings.redis:
            settings = replace(settings, redis=stack.enter_context(RedisServer.start()).url)
        _write(settings)
        stack.callback(_forget)
        yield settings


def _of_a_worker(settings: Settings) -> Settings | None:
    try:
        return found(settings)
    except SettingsError:
        return None


def _write(settings: Settings) -> None:
    NOTE.parent.mkdir(mode=0o700, exist_ok=True)
    partial = NOTE.with_suffix(".new")
    partial.write_text(json.dumps({"broker": settings.broker, "redis": settings.redis, "pid": os.getpid()}))
    partial.rename(NOTE)


def _forget() -> None:
    """Removes the note, and its folder unless it holds something else (the trail)."""
    NOTE.unlink(missing_ok=True)
    with suppress(OSError):
        NOTE.parent.rmdir()


def found(settings: Settings, *needed: Server) -> Settings:
    """Settings with the addresses needed (none named: both): as configured, or of a worker that runs in this folder.

    Raises:
        SettingsError: one is in neither place.
    """
    missing = [name for name in needed or _SERVERS if not getattr(settings, name)]
    if not missing:
        return settings
    note = _read()
    if note is None:
        variables = " and ".join(f"AUDITWATCH_{name.upper()}" for name in missing)
        raise SettingsError(
            f"{' and '.join(missing)}: not configured: set {variables}, or run `auditwatch worker` in this folder "
            "first, which starts its own on this machine"
        )
    return replace(settings, broker=settings.broker or note["broker"], redis=settings.redis or note["redis"])


def _read() -> dict[str, str] | None:
    try:
        note = json.loads(NOTE.read_text())
        os.kill(int(note["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return {"broker": str(note["broker"]), "redis": str(note["redis"])}
