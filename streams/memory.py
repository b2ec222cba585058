"""A long-lived process that stays small: what large buffers leave behind, and a garbage collector off the hot path."""

from __future__ import annotations

import asyncio
import ctypes
import gc

LARGE = 128 * 1024
"""Bytes from which a block is given back to the system when it is freed."""
TIDY_SECONDS = 10.0

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def return_large_blocks() -> bool:
    """Has the C library keep large blocks apart from small ones; False where it is not glibc.

    Left to itself glibc learns from the first freed fetch to put the next among small objects, where one that lives on
    keeps all around it: 50 MB in a busy worker.
    """
    libc = _glibc()
    return libc is not None and all(libc.mallopt(option, LARGE) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))


async def keep_tidy() -> None:
    """Collects garbage and gives free memory back, every TIDY_SECONDS for ever, and not in between.

    What a batch makes dies by its reference counts; only errors and closed connections leave cycles. Looking for them
    after each few events was an eighth of the worker's CPU time. What exists at the start is not looked through again.
    """
    libc = _glibc()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        while True:
            if libc:
                libc.malloc_trim(0)
            await asyncio.sleep(TIDY_SECONDS)
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
