"""The context as its files are now, for services that work with people and paper and need no rules."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from audit.context import Context
from streams.load import declared
from streams.metrics import count
from streams.reload import Print, fingerprint

log = logging.getLogger("auditwatch.context")

LOOK_SECONDS = 2.0


class Declared:
    """What a file or folder declares, read anew when it changes; a change that cannot be used leaves it as it was.

    `own` is a folder in it that this process writes: what changes there is not read.
    """

    def __init__(self, context: Path | None, own: Path | None = None) -> None:
        """Raises ContextErrors where the context cannot be used to begin with."""
        self._file, self._own = context, own
        self._print = self._look()
        self._context = declared(context)

    def now(self) -> Context:
        """As it was read last."""
        return self._context

    def person(self, name: str) -> str:
        """The id of the one declared person of that id, e-mail or name; the name itself where there is none."""
        owners = self._context.people.called(name)
        return next(iter(owners)) if len(owners) == 1 else name

    async def keep(self, stop: asyncio.Event) -> None:
        """Looks every two seconds until `stop` is set."""
        while self._file and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Reads the files if they are others now; nobody waits for the disk meanwhile."""
        seen = await asyncio.to_thread(self._look)
        if seen == self._print:
            return
        self._print = seen
        try:
            self._context = await asyncio.to_thread(declared, self._file)
            log.info("the context changed and is in use")
        except Exception as error:  # whatever is wrong with files people edit, what was read before stays
            count("errors", "context")
            log.error("the context changed and cannot be used; it stays as it was:\n%s", error)

    def _look(self) -> Print:
        found = fingerprint([self._file]) if self._file else {}
        return {file: seen for file, seen in found.items() if self._own is None or self._own not in Path(file).parents}
