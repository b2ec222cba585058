from __future__ import annotations

import asyncio

import pytest

from streams.loop import complete


async def double(number: int) -> int:
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError(number)
    return 2 * number


def test_from_plain_code() -> None:
    assert complete(double(2)) == 4
    with pytest.raises(ValueError, match="-1"):
        complete(double(-1))


async def test_from_within_a_running_loop() -> None:
    assert complete(double(3)) == 6
    with pytest.raises(ValueError, match="-1"):
        complete(double(-1))
