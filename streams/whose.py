"""Whose an e-mail or a name in a ticket is, by the context as its files are now."""

from __future__ import annotations

import logging
from pathlib import Path

from audit.context import ContextErrors, load_context
from audit.context_people import People
from streams.reload import Print, fingerprint

log = logging.getLogger("auditwatch.tickets")


class Whose:
    """The declared people of a context; read anew when its files change, kept where the change cannot be used.

    `own` is a folder of it whose changes tell nothing of people.
    """

    def __init__(self, context: Path | None, own: Path | None = None) -> None:
        """Raises ContextErrors where the context cannot be used to begin with."""
        self._context, self._own = context, own
        self._print = self._look()
        self._people = load_context(context).people if context else People(())

    def person(self, name: str) -> str:
        """The id of the one declared person of that id, e-mail or name; the name itself where there is none."""
        self._read_anew()
        owners = self._people.called(name)
        return next(iter(owners)) if len(owners) == 1 else name

    def _read_anew(self) -> None:
        before, self._print = self._print, self._look()
        if self._context is None or self._print == before:
            return
        try:
            self._people = load_context(self._context).people
        except ContextErrors as error:
            log.error("the context changed and cannot be used; people are those from before:\n%s", error)

    def _look(self) -> Print:
        found = fingerprint([self._context]) if self._context else {}
        return {file: seen for file, seen in found.items() if self._own is None or self._own not in Path(file).parents}
