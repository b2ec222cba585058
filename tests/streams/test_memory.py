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
import asyncio
from contextlib import suppress
from psutil import Process
from streams.memory import keep_tidy

def resident():
    return Process().memory_info().rss // 2**20

async def main():
    start = resident()
    fetched, kept = [], []
    for _ in range(100):
        fetched.append(b"x" * 100_000)
        kept.append(b"x" * 1_000)
    for _ in range(100):
        fetched.append(b"x" * 100_000)
        kept.append(b"x" * 1_000)
    fetched.clear()
    with suppress(TimeoutError):
        await asyncio.wait_for(keep_tidy(), 0.1)
    print(resident() - start)

asyncio.run(main())
"""


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_free_memory_between_what_is_in_use_goes_back_to_the_system() -> None:
    assert int(subprocess.check_output([sys.executable, "-c", HOLES])) <= 8, "of 20 MB that were in use a moment ago"


async def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    duty = asyncio.create_task(memory.keep_tidy())
    await asyncio.sleep(0.01)
    assert not duty.done()
    await ended(duty)


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
