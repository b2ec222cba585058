from __future__ import annotations

import asyncio
import ctypes
import gc
import platform
import subprocess
import sys
import weakref
from contextlib import suppress

import pytest

from streams import memory

HOLES = """
import sys
from psutil import Process
from streams.memory import return_large_blocks
if sys.argv[1] == "tuned":
    assert return_large_blocks()
for size in (2**19, 2**19):  # the first one freed teaches glibc to put its like among the small ones
    bytearray(size)
before = Process().memory_info().rss
fetched, kept = [], []
for _ in range(100):
    fetched.append(bytearray(2**19 - 2**12))
    fetched[-1][:] = b"x" * len(fetched[-1])
    kept.append(b"x" * 50_000)
fetched.clear()
print((Process().memory_info().rss - before) // 2**20)
"""


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_buffers_go_back_to_the_system() -> None:
    left = {how: int(subprocess.check_output([sys.executable, "-c", HOLES, how])) for how in ("plain", "tuned")}
    assert left["tuned"] < 10
    assert left["plain"] > 20, "what this is for"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.return_large_blocks()


async def test_cycles_go_at_the_next_look_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TIDY_SECONDS", 0.1)
    duty = asyncio.create_task(memory.keep_tidy())
    await asyncio.sleep(0.01)
    assert not gc.isenabled()
    assert gc.get_freeze_count() > 0
    gone = weakref.ref(Node())
    _ = [[] for _ in range(10_000)]
    assert gone() is not None
    await asyncio.sleep(0.3)
    assert gone() is None
    await ended(duty)


async def test_it_leaves_the_collector_as_it_was() -> None:
    duty = asyncio.create_task(memory.keep_tidy())
    await asyncio.sleep(0.01)
    await ended(duty)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


async def ended(duty: asyncio.Task[None]) -> None:
    duty.cancel()
    with suppress(asyncio.CancelledError):
        await duty
