"""One house for a test: a broker, a Redis, and auditwatch commands as processes of their own, as a user starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from streams.child import free_port
from streams.embedded import RedisServer
from streams.settings import Settings

AUDITWATCH = Path(sys.executable).with_name("auditwatch")
PATIENCE = 60.0
PARTITIONS, RAW_PARTITIONS = 4, 2
SESSION_SECONDS = 2
"""Shorter than in production, where most of each of these tests would be waiting for dead members to be missed."""


class Server(Protocol):
    """A broker a house can stand on."""

    @property
    def url(self) -> str:
        """Where clients find it."""


@dataclass(slots=True)
class Program:
    """One auditwatch command that runs; its standard error is in `log`, its standard output in `out`."""

    process: subprocess.Popen[bytes]
    log: Path
    out: Path
    listen: str
    started: float = field(default_factory=time.monotonic)

    def kill(self) -> None:
        """As a power loss would: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP, until `thaw`."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def end(self, within: float = 15.0) -> float:
        """Asks it to end in order (SIGTERM); returns the seconds that took. Fails where it does not, or not cleanly."""
        asked = time.monotonic()
        self.process.terminate()
        code = self.process.wait(within)
        assert code == 0, f"ended with {code}:\n{self.said[-3000:]}"
        return time.monotonic() - asked

    async def ended(self, within: float = PATIENCE) -> int:
        """Waits until it ends by itself; returns its exit code."""
        await until("its end", lambda: not self.alive, within)
        return self.process.returncode

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text("utf-8", "replace")

    @property
    def shown(self) -> str:
        """Its standard output so far."""
        return self.out.read_text("utf-8", "replace")

    def get(self, path: str) -> tuple[int, str]:
        """(status, body) of its HTTP server; (0, reason) while that does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.listen}{path}", timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, repr(error)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that bear these labels; 0 where there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))

    async def until(self, what: str, true: Callable[[], object], within: float = PATIENCE) -> float:
        """Waits until something holds while this program runs; returns the seconds since the program's start."""
        await until(what, true, within, self)
        return time.monotonic() - self.started

    async def ready(self, within: float = PATIENCE) -> float:
        """Waits for /readyz; returns the seconds since its start."""
        return await self.until("ready", lambda: self.get("/readyz")[0] == 200, within)

    async def folds(self, within: float = PATIENCE) -> None:
        """Waits until score has folded something."""
        await self.until("a batch", lambda: self.metric("auditwatch_folded_total"), within)


async def until(
    what: str, true: Callable[[], object], within: float = PATIENCE, program: Program | None = None
) -> None:
    """Waits until something holds; fails with the program's log when it ends or time is up."""
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(true):
        said = f":\n{program.said[-4000:]}" if program else ""
        assert program is None or program.alive, f"waiting for {what}: it ended with {program.process.returncode}{said}"
        assert time.monotonic() < deadline, f"waited {within:.0f} s for {what}{said}"
        await asyncio.sleep(0.05)


@dataclass(slots=True)
class House:
    """Broker and Redis of one test, and the programs it started."""

    broker: Server
    redis: RedisServer
    folder: Path
    context: Path | None = None
    rules: tuple[Path, ...] = ()
    snapshot_hours: int = 0
    """Never: they are taken by the clock on the wall, and no undisturbed run could take them at the same place."""
    programs: list[Program] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    """What else its programs find in theirs."""

    @property
    def settings(self) -> Settings:
        """What a command would read from the environment."""
        return Settings(broker=self.broker.url, redis=self.redis.url, context=self.context)

    def start(self, *arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> Program:
        """Starts `auditwatch ARGUMENTS`."""
        return self._start([str(AUDITWATCH)], arguments, stdin)

    def run(self, script: str, *arguments: str) -> Program:
        """Starts a Python script in place of `auditwatch`, with these arguments."""
        return self._start([sys.executable, "-c", script], arguments, subprocess.DEVNULL)

    def _start(self, command: Sequence[str], arguments: Sequence[str], stdin: IO[bytes] | int) -> Program:
        listen = f"127.0.0.1:{free_port()}"
        stem = self.folder / f"{len(self.programs)}-{arguments[0]}"
        log, out = stem.with_suffix(".log"), stem.with_suffix(".out")
        with log.open("wb") as errors, out.open("wb") as output:
            process = subprocess.Popen(
                [*command, *arguments],
                env=self._environment(listen),
                cwd=self.folder,
                stdin=stdin,
                stdout=output,
                stderr=errors,
            )
        program = Program(process, log, out, listen)
        self.programs.append(program)
        return program

    def worker(self, *options: str) -> Program:
        """Starts `auditwatch worker`."""
        return self.start("worker", *options)

    async def ingest(self, source: str, file: Path, *options: str) -> None:
        """Runs `auditwatch ingest SOURCE=FILE` to its end."""
        program = self.start("ingest", f"{source}={file}", *options)
        code = await asyncio.to_thread(program.process.wait, PATIENCE)
        assert code == 0, program.said

    def _environment(self, listen: str) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AUDITWATCH", "SLACK"))
        }
        environment |= {
            "AUDITWATCH_BROKER": self.broker.url,
            "AUDITWATCH_REDIS": self.redis.url,
            "AUDITWATCH_LISTEN": listen,
            "AUDITWATCH_SESSION_SECONDS": str(SESSION_SECONDS),
            "AUDITWATCH_PARTITIONS": str(PARTITIONS),
            "AUDITWATCH_RAW_PARTITIONS": str(RAW_PARTITIONS),
            "AUDITWATCH_SNAPSHOT_HOURS": str(self.snapshot_hours),
            "PYTHONUNBUFFERED": "1",
        }
        if self.rules:
            environment["AUDITWATCH_RULES"] = os.pathsep.join(map(str, self.rules))
        if self.context:
            environment["AUDITWATCH_CONTEXT"] = str(self.context)
        return environment | self.environment

    def close(self) -> None:
        """Ends what still runs."""
        for program in self.programs:
            if program.alive:
                program.kill()


@contextmanager
def house(broker: Server, folder: Path, context: Path | None = None) -> Iterator[House]:
    """A house on a broker that has none of our topics, with a Redis of its own."""
    with RedisServer.start(folder / "redis") as redis:
        built = House(broker, redis, folder, context)
        try:
            yield built
        finally:
            built.close()
