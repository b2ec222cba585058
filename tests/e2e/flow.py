"""Raw logs on their way at a pace, through one `auditwatch ingest SOURCE=-` a source: what a collector does."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path

from streams.files import records
from tests.e2e.house import PATIENCE, House, Program

TICK = 0.05


class Flow:
    """Lines of several sources, sent side by side; `send` goes on from where the last one ended."""

    def __init__(self, house: House, files: Mapping[str, Path]) -> None:
        self._lines = {source: [line for _, line in records(str(path))] for source, path in files.items()}
        self._sent = dict.fromkeys(files, 0)
        self._share = 0.0
        self._programs = {source: _pipe(house, source) for source in files}

    async def send(self, upto: float, seconds: float = 0.0) -> None:
        """Sends the lines up to a share of each file (0 to 1), spread over some seconds."""
        start, ticks = self._share, max(1, round(seconds / TICK))
        for tick in range(1, ticks + 1):
            self._share = start + (upto - start) * tick / ticks
            await asyncio.to_thread(self._write)
            await asyncio.sleep(TICK if ticks > 1 else 0)

    def _write(self) -> None:
        for source, lines in self._lines.items():
            sent, due = self._sent[source], round(len(lines) * self._share)
            pipe = self._programs[source].process.stdin
            assert pipe is not None
            pipe.write(b"".join(line + b"\n" for line in lines[sent:due]))
            pipe.flush()
            self._sent[source] = due

    async def close(self) -> None:
        """Sends what is left and waits until the broker has all of it."""
        await self.send(1.0)
        for program in self._programs.values():
            assert program.process.stdin is not None
            program.process.stdin.close()
        for program in self._programs.values():
            assert await asyncio.to_thread(program.process.wait, PATIENCE) == 0, program.said


def _pipe(house: House, source: str) -> Program:
    return house.start("ingest", f"{source}=-", "--pack", "20", stdin=subprocess.PIPE)
