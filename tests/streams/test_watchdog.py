from __future__ import annotations

import threading
import time

import pytest

from streams import watchdog
from streams.watchdog import FROZEN_SECONDS, STUCK_SECONDS, Watchdog


class Rig:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.halted: list[str] = []
        self.dog = Watchdog(self.halted.append, ["normalise", "score"], lambda: self.now)

    def after(self, seconds: float) -> Rig:
        self.now += seconds
        return self

    def look(self, times: int = 2) -> list[str]:
        for _ in range(times):
            self.dog.look()
        return self.halted


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_who_moves_is_left_alone(rig: Rig) -> None:
    for _ in range(100):
        rig.after(10).dog.beat()
        rig.dog.moved("normalise")
        rig.dog.moved("score")
        assert rig.look() == []


def test_a_stage_that_stands_still_ends_the_process_with_its_last_error(rig: Rig) -> None:
    rig.dog.failed("score: no Redis")
    for _ in range(13):
        rig.after(10).dog.beat()
        rig.dog.moved("normalise")
    (reason,) = rig.look()
    assert reason == "score: messages wait, but no offset moved for 130 s; last error: score: no Redis"


def test_a_loop_that_does_not_turn_ends_the_process(rig: Rig) -> None:
    rig.after(FROZEN_SECONDS + 1)
    rig.dog.moved("normalise")
    rig.dog.moved("score")
    assert rig.look() == [f"the event loop has not turned for {FROZEN_SECONDS + 1:.0f} s"]


def test_the_limits_themselves_are_allowed(rig: Rig) -> None:
    rig.after(STUCK_SECONDS).dog.beat()
    assert rig.look() == []
    assert "last error" not in rig.after(1).dog._reason()


def test_one_look_alone_does_not_count(rig: Rig) -> None:
    """A machine that was suspended finds its clock far ahead, once."""
    rig.after(10_000)
    assert rig.look(times=1) == []
    rig.dog.beat()
    rig.dog.moved("normalise")
    rig.dog.moved("score")
    assert rig.look() == []


def test_it_watches_from_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.001)
    looks: list[str] = []
    enough = threading.Event()

    class Counting(Watchdog):
        def look(self) -> None:
            looks.append(threading.current_thread().name)
            enough.wait(0 if len(looks) < 3 else None)  # then for good

    Counting(looks.append, ["score"]).start()
    while len(looks) < 3:
        time.sleep(0.001)
    assert set(looks) == {"watchdog"}
