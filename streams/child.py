"""A server as a child process: it ends with this one, however this one ends, and leaves nothing behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
ATTEMPTS = 3

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
def nothing_left(child: Child, home: Folder) -> Iterator[None]:
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


def must_be_free(name: str, port: int) -> None:
    """Refuse a port that somebody else listens on: their server would answer our readiness question."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise EmbeddedError(f"{name} cannot listen on {LOOPBACK}:{port}: {error}; choose another port") from error
