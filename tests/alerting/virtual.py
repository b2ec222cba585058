"""Hours in seconds: an event loop whose clock jumps over what is only waiting. Sockets of this process work as ever."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.alerting.conftest import NOON, SECOND

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(None if timeout is None else 0)  # loopback carries bytes at once
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` begins at 0 and knows no real second; what waits for another process or a thread is not for it."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def now() -> int:
    """The virtual time as the dispatcher's clock: microseconds since the epoch."""
    return NOON + round(asyncio.get_running_loop().time() * SECOND)


def lived(life: Coroutine[Any, Any, Result]) -> Result:
    """Runs it in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(life)
