from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import pytest

from benchmarks.sampler import COLLECTOR, SAMPLER, Sampler, Stages


def burn(seconds: float) -> None:
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        sum(range(200))


def first(seconds: float) -> None:
    burn(seconds)


def second(seconds: float) -> None:
    burn(seconds)


def names(frame: FrameType | None, main: bool) -> str:
    while frame is not None:
        if frame.f_code.co_name in ("first", "second", "elsewhere"):
            return frame.f_code.co_name
        frame = frame.f_back
    return "other"


def booked(work: Callable[[], object], stage: Callable[[FrameType | None, bool], str] = names) -> dict[str, float]:
    sampler = Sampler(stage)
    sampler.start()
    work()
    return {stage: used / 1e9 for stage, used in sampler.stop().items()}


def test_two_functions_are_told_apart_by_what_they_use() -> None:
    def work() -> None:
        for _ in range(20):
            first(0.015)
            second(0.005)

    found = booked(work)
    assert found["first"] == pytest.approx(0.3, rel=0.25)
    assert found["second"] == pytest.approx(0.1, rel=0.5)


def test_the_rows_add_up_to_the_process() -> None:
    before = time.process_time()
    found = booked(lambda: first(0.2))
    assert sum(found.values()) == pytest.approx(time.process_time() - before, rel=0.05)
    assert found[SAMPLER] < 0.05 * found["first"]


def test_waiting_costs_nothing() -> None:
    assert sum(booked(lambda: time.sleep(0.3)).values()) < 0.05


def test_another_thread_is_booked_by_its_own_clock() -> None:
    def elsewhere() -> None:
        burn(0.2)

    def work() -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        first(0.2)
        thread.join()

    found = booked(work, lambda frame, main: names(frame, main) if main else "thread")
    assert found["thread"] == pytest.approx(0.2, abs=0.08)
    assert found["first"] == pytest.approx(0.2, abs=0.08)


def test_collections_are_a_row_of_their_own() -> None:
    kept = [[place] for place in range(200_000)]

    def work() -> None:
        for _ in range(8):
            gc.collect()

    found = booked(work)
    assert kept
    assert found[COLLECTOR] > 5 * max(used for stage, used in found.items() if stage != COLLECTOR)
    assert min(found.values()) > -0.005


def test_it_leaves_nothing_for_the_collector() -> None:
    booked(lambda: first(0.05))
    gc.collect()
    booked(lambda: first(0.1))
    assert gc.collect() < 50


HERE = sys._getframe().f_code.co_filename.rpartition("/tests/")[2]


def test_the_innermost_named_frame_counts() -> None:
    stages = Stages({f"{HERE}:inner": "inner", HERE: "file", "pytest/": "never"}, {}, "others")

    def inner() -> str:
        return stages(sys._getframe(), True)

    def caller() -> str:
        return stages(sys._getframe(), True)

    assert caller() == "file"
    assert inner() == "file", "its qualified name is another"
    assert stages(_named(), True) == "file"
    assert Stages({f"{HERE}:_named": "named", HERE: "file"}, {}, "others")(_named(), True) == "named"
    assert stages(None, True) == "the rest"
    assert stages(sys._getframe(), False) == "others"


def _named() -> FrameType:
    return sys._getframe()


def test_callers_of_last_resort_count_only_where_nobody_nearer_is_named() -> None:
    mine = {f"{HERE}:test_callers_of_last_resort_count_only_where_nobody_nearer_is_named": "mine"}
    assert Stages(mine, {f"{HERE}:_named": "loop"}, "others")(_named(), True) == "mine"
    assert Stages({}, {f"{HERE}:_named": "loop"}, "others")(_named(), True) == "loop"


def test_what_is_no_file_is_how_a_path_goes_on() -> None:
    assert Stages({"benchmarks/": "folder"}, {}, "others")(_named(), True) == "folder"
    assert Stages({"benchmarks/test_sam": "some"}, {}, "others")(_named(), True) == "some"
    assert Stages({"marks/": "folder"}, {}, "others")(_named(), True) == "the rest"
