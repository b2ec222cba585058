"""A long-lived process that stays small, and whose garbage collector keeps off the hot path."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

TIDY_SECONDS = 5.0


async def keep_tidy() -> None:
    """Collects garbage and gives free memory back to the system, every TIDY_SECONDS for ever, and not in between.

    What a batch makes dies by its reference counts; only errors and closed connections leave cycles. Looking for them
    after each few events was an eighth of the worker's CPU time. What exists at the start is not looked through again.
    Of free memory the C library by itself returns only what lies above all that is in use.
    """
    trim = _trim()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        while True:
            trim(0)
            await asyncio.sleep(TIDY_SECONDS)
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()


def _trim() -> Callable[[int], object]:
    """glibc's malloc_trim; nothing where there is another C library."""
    return getattr(ctypes.CDLL(None), "malloc_trim", bool)
