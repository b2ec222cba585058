"""Where a process's CPU time goes, stage by stage, by sampling: a few thousand looks, nothing in between.

The kernel sends SIGPROF at each tick (4 ms as a rule) of CPU time the process uses, and the main thread answers between
two bytecodes. What each thread used since the last look, by its own clock, is booked to the innermost of its frames a
stage is named for. So the sum is the process's CPU time, whichever thread held the interpreter. Collections of garbage
are timed one by one, for a look cannot fall into them.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

TICK = 0.001
"""Seconds of CPU time between looks, asked for; the kernel rounds up to its own tick."""
COLLECTOR, SAMPLER, OUTSIDE, REST = "garbage collection", "this sampler", "threads without Python", "the rest"

Booked = Callable[[FrameType | None, bool], str]
"""The stage of a frame; whether it is the main thread's."""


class Sampler:
    """Books nanoseconds of CPU time to stages from `start` to `stop`; of the main thread only, since signals are."""

    def __init__(self, stage: Booked) -> None:
        self.booked: Counter[str] = Counter()
        self.looks = 0
        self._stage = stage
        self._main = threading.get_ident()
        self._clocks: dict[int, int] = {}
        self._used: dict[int, int] = {}
        self._process = 0
        self._collecting: dict[int, int] = {}
        self._collected: Counter[int] = Counter()
        self._late = False

    def start(self) -> None:
        """Begins to look; what was used so far is nobody's."""
        self._process = time.process_time_ns()
        for thread in sys._current_frames():
            self._spent(thread)
        gc.callbacks.append(self._collect)
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, TICK, TICK)

    def stop(self) -> dict[str, int]:
        """Ends; returns what each stage used, the sum being what the process used."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        gc.callbacks.remove(self._collect)
        self._look(0, sys._getframe())
        self.booked[OUTSIDE] += time.process_time_ns() - self._process - self.booked.total()
        return dict(self.booked)

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        if self._main in self._collecting:  # the signal waited for the collector: look once it is done
            self._late = True
            return
        self.looks += 1
        frames: dict[int, FrameType | None] = {**sys._current_frames()}
        frames[self._main] = frame  # not this one: it would hold itself, and with it all that its callers hold
        for thread, at in frames.items():
            used, collected = self._spent(thread), self._collected.pop(thread, 0)
            self.booked[COLLECTOR] += collected
            self.booked[self._stage(at, thread == self._main)] += used - collected
        self.booked[SAMPLER] += self._spent(self._main)

    def _spent(self, thread: int) -> int:
        """What a thread used since it was asked last; all of it the first time."""
        try:
            if thread not in self._clocks:
                self._clocks[thread] = time.pthread_getcpuclockid(thread)
            now = time.clock_gettime_ns(self._clocks[thread])
        except OSError:  # it ended meanwhile
            return 0
        before, self._used[thread] = self._used.get(thread, 0), now
        return now - before

    def _collect(self, phase: str, _info: dict[str, Any]) -> None:
        thread, now = threading.get_ident(), time.thread_time_ns()
        if phase == "start":
            self._collecting[thread] = now
            return
        self._collected[thread] += now - self._collecting.pop(thread, now)
        if self._late and thread == self._main:
            self._late = False
            self._look(0, sys._getframe().f_back)


class Stages:
    """The stage of a frame by a table: that of its function, else of its file, else of its caller.

    The callers of last resort (the event loop) count only where nobody nearer is named.

    Args:
        table: "file.py:qualified.name", "file.py", or how the path of several goes on behind a folder -> stage.
        outer: the same, of frames that count only where no other does.
        others: the stage of threads that are not the main one.
    """

    def __init__(self, table: dict[str, str], outer: dict[str, str], others: str) -> None:
        self._table, self._outer, self._others = table, outer, others
        self._known: dict[CodeType, tuple[str | None, str | None]] = {}

    def __call__(self, frame: FrameType | None, main: bool) -> str:
        """See Booked."""
        if not main:
            return self._others
        resort: str | None = None
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = _find(code, self._table), _find(code, self._outer)
            near, far = self._known[code]
            if near:
                return near
            resort = resort or far
            frame = frame.f_back
        return resort or REST


def _find(code: CodeType, table: dict[str, str]) -> str | None:
    """A function's own entry comes before its file's, and that before one for many; of those the longest."""
    path = code.co_filename
    fitting = [
        place
        for place in table
        if f"{path}:{code.co_qualname}".endswith(f"/{place}")
        or path.endswith(f"/{place}")
        or (".py" not in place and f"/{place}" in path)
    ]
    return table[max(fitting, key=lambda place: (":" in place, ".py" in place, len(place)))] if fitting else None
