"""Ends a worker that no longer moves: better a restart than a process that looks alive and reads nothing.

A thread of its own watches, because what it watches for includes an event loop that no longer turns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

STUCK_SECONDS = 120.0
"""No offset moved for so long although messages wait (longer than any outage that mends itself)."""
FROZEN_SECONDS = 60.0
"""The event loop did not turn for so long."""
LOOK_SECONDS = 5.0


class Watchdog:
    """`beat` says the loop turns, `moved` that a stage did work or has none; `halt(reason)` ends the process."""

    def __init__(
        self, halt: Callable[[str], Any], stages: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._halt = halt
        self._clock = clock
        self._beat = clock()
        self._moves = dict.fromkeys(stages, clock())
        self._last_error = ""
        self._suspected = False

    def beat(self) -> None:
        """Called by the event loop every second or so."""
        self._beat = self._clock()

    def moved(self, stage: str) -> None:
        """Called when a batch of a stage is done, and when none waits for it."""
        self._moves[stage] = self._clock()

    def failed(self, error: str) -> None:
        """Remembers the last error, for the message."""
        self._last_error = error

    def start(self) -> None:
        """Watches from a daemon thread."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Ends the process when two looks in a row find it stuck (one look alone follows a suspended machine)."""
        reason = self._reason()
        if reason and self._suspected:
            self._halt(reason)
        self._suspected = bool(reason)

    def _reason(self) -> str:
        now = self._clock()
        if now - self._beat > FROZEN_SECONDS:
            return f"the event loop has not turned for {now - self._beat:.0f} s"
        stage, move = min(self._moves.items(), key=lambda item: item[1])
        if now - move > STUCK_SECONDS:
            last = f"; last error: {self._last_error}" if self._last_error else ""
            return f"{stage}: messages wait, but no offset moved for {now - move:.0f} s{last}"
        return ""
