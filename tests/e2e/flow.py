"""Raw logs on their way in the order of their times, through one `auditwatch ingest SOURCE=-` a source, at a pace."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path

from audit.context import EMPTY
from audit.sources.reader import read
from streams.files import records
from tests.e2e.house import PATIENCE, House, Program

TICK = 0.05


class Flow:
    """Lines of several sources, sent as they happened; `send` goes on from where the last one ended."""

    def __init__(self, house: House, files: Mapping[str, Path]) -> None:
        timed = [each for source, path in files.items() for each in _timed(source, path)]
        self._lines = [(source, line) for _, source, line in sorted(timed, key=itemgetter(0))]
        self._sent = 0
        self._share = 0.0
        self._programs = {source: _pipe(house, source) for source in files}

    async def send(self, upto: float, seconds: float = 0.0) -> None:
        """Sends the lines up to a share of all (0 to 1), spread over some seconds."""
        start, ticks = self._share, max(1, round(seconds / TICK))
        for tick in range(1, ticks + 1):
            self._share = start + (upto - start) * tick / ticks
            await asyncio.to_thread(self._write)
            await asyncio.sleep(TICK if ticks > 1 else 0)

    def _write(self) -> None:
        due = round(len(self._lines) * self._share)
        lines, self._sent = self._lines[self._sent : due], due
        for source, program in self._programs.items():
            pipe = program.process.stdin
            assert pipe is not None
            pipe.write(b"".join(line + b"\n" for of, line in lines if of == source))
            pipe.flush()

    async def close(self) -> None:
        """Sends what is left and waits until the broker has all of it."""
        await self.send(1.0)
        for program in self._programs.values():
            assert program.process.stdin is not None
            program.process.stdin.close()
        for program in self._programs.values():
            assert await asyncio.to_thread(program.process.wait, PATIENCE) == 0, program.said


def _timed(source: str, path: Path) -> list[tuple[int, str, bytes]]:
    """The lines of a file with their source and their time, never earlier than that of a line before."""
    timed: list[tuple[int, str, bytes]] = []
    latest = 0
    for _, line in records(str(path)):
        answers = read(source, line, 1 << 60, EMPTY)
        latest = max([latest, *(event.time for answer in answers if isinstance(answer, list) for event in answer)])
        timed.append((latest, source, line))
    return timed


def _pipe(house: House, source: str) -> Program:
    return house.start("ingest", f"{source}=-", "--pack", "20", stdin=subprocess.PIPE)
