"""What a worker does beside folding, with a log and a consumer of our own; with Kafka it is tested in tests/e2e."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import pytest
from faust.types import TP

from audit.context import EMPTY
from detectors.registry import default_model
from rules.compile import RuleSet
from streams import duties as module
from streams.detections import Detections
from streams.duties import Duties
from streams.engine import NORMALISE, Engine
from streams.kafka import EVENTS, FINDINGS
from streams.kafka_log import TopicsGone
from streams.metrics import REGISTRY, counted
from streams.settings import Settings
from streams.shadow import Report

RAW = "audit.raw.okta"
NOBODY = Detections(RuleSet(), default_model(), EMPTY)
MINE = {TP(RAW, 0), TP(EVENTS, 0), TP(FINDINGS, 0)}


class Halted(BaseException):
    """The process ended."""


class Consumer:
    """Has everything before `at` behind it; nothing is known of a partition that is not there."""

    def __init__(self, at: Mapping[TP, int]) -> None:
        self._at = at

    def assignment(self) -> set[TP]:
        return MINE

    async def reached(self, tp: TP) -> int | None:
        return self._at.get(tp)


class App:
    rebalancing = False

    def __init__(self, at: Mapping[TP, int]) -> None:
        self.consumer = Consumer(at)


class Log:
    """Each partition ends at 10; `now` is what the topics are."""

    now: Mapping[str, str] | None = None

    async def incarnations(self, topics: Iterable[str]) -> Mapping[str, str]:
        if self.now is None:
            raise TopicsGone("audit.events is gone")
        return self.now

    async def ends(self, places: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(places, 10)


class Shell:
    last_error = ""

    def __init__(self) -> None:
        self.checked = 0
        self.told: list[Any] = []

    async def check(self) -> None:
        self.checked += 1

    async def tick(self, now: Any, detections: Any) -> None:
        self.told.append(now)


def an_engine(at: Mapping[TP, int]) -> Engine:
    engine = Engine(App(at), Settings(), NOBODY, ["okta"])
    engine.log = Log()  # type: ignore[assignment]
    engine.incarnations = engine.log.now = {RAW: "a/1", EVENTS: "b/1", FINDINGS: "c/1"}  # type: ignore[attr-defined]
    engine.shells = {EVENTS: Shell(), FINDINGS: Shell()}  # type: ignore[dict-item]
    return engine


@pytest.fixture(autouse=True)
def halting(monkeypatch: pytest.MonkeyPatch) -> None:
    def halt(reason: str) -> NoReturn:
        raise Halted(reason)

    monkeypatch.setattr(module, "halt", halt)


def lag(stage: str) -> float | None:
    return REGISTRY.get_sample_value("auditwatch_lag", {"label": stage})


async def test_a_look_around_tells_how_far_each_stage_is_behind_and_checks_the_stores() -> None:
    engine = an_engine({TP(RAW, 0): 3, TP(EVENTS, 0): 10})
    await Duties(engine).look_around()
    assert (lag(NORMALISE), lag(EVENTS), lag(FINDINGS)) == (7, 0, 1)  # of findings nothing is known yet
    assert [shell.checked for shell in engine.shells.values()] == [1, 1]  # type: ignore[attr-defined]


async def test_what_a_shell_failed_with_is_what_the_watchdog_would_say() -> None:
    engine = an_engine({})
    engine.shells[EVENTS].last_error = "audit.events: gone"
    await Duties(engine).look_around()
    assert engine.watchdog._last_error == "audit.events: gone"


async def test_a_topic_created_anew_ends_the_process_at_once() -> None:
    engine = an_engine({})
    engine.log.now = {**engine.incarnations, EVENTS: "other/1"}  # type: ignore[attr-defined]
    with pytest.raises(Halted, match=r"^audit\.events: created anew"):
        await Duties(engine).look_around()


async def test_a_topic_that_is_missing_ends_the_process_when_it_is_missing_twice_in_a_row() -> None:
    engine = an_engine({})
    duties, there = Duties(engine), engine.log.now  # type: ignore[attr-defined]
    for seen in (None, there, None):
        engine.log.now = seen  # type: ignore[attr-defined]
        if seen is None:
            with pytest.raises(TopicsGone):
                await duties.look_around()
        else:
            await duties.look_around()
    with pytest.raises(Halted, match="gone"):
        await duties.look_around()


async def test_time_passes_for_correlate_once_all_that_was_read_came_through() -> None:
    engine = an_engine(dict.fromkeys(MINE, 10))
    duties = Duties(engine)
    for _ in range(4):
        await duties.pass_time()
    assert engine.shells[FINDINGS].told  # type: ignore[attr-defined]
    assert not engine.shells[EVENTS].told  # type: ignore[attr-defined]


async def test_time_waits_for_a_stage_that_is_behind() -> None:
    engine = an_engine({**dict.fromkeys(MINE, 10), TP(EVENTS, 0): 9})
    duties = Duties(engine)
    for _ in range(4):
        await duties.pass_time()
    assert not engine.shells[FINDINGS].told  # type: ignore[attr-defined]


async def test_a_comparison_is_counted_and_published(monkeypatch: pytest.MonkeyPatch) -> None:
    model = default_model()
    report = Report(shadow="b", current="a", events=5)
    asked: list[tuple[str, str]] = []
    published: list[Report] = []

    class Comparison:
        def take(self, current: str, shadow: str) -> Report:
            asked.append((current, shadow))
            return report

    async def publish(redis: Any, what: Report) -> None:
        published.append(what)

    engine = an_engine({})
    engine.redis = None  # type: ignore[assignment]
    engine.shells[EVENTS].processor = type("Processor", (), {"comparison": Comparison()})()
    monkeypatch.setattr(module, "publish", publish)
    await Duties(engine).compare()
    assert published == []  # nothing in the shadow
    engine.detections = Detections(RuleSet(), model, EMPTY, shadow=model)
    before = counted("compared", "events")
    await Duties(engine).compare()
    assert (asked, published) == ([(model.hash, model.hash)], [report])
    assert counted("compared", "events") - before == 5


async def test_a_duty_that_fails_is_counted_and_tried_again_and_rests_while_partitions_are_assigned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.engine.PATIENCE", (0.0,))
    engine, tries = an_engine({}), list[int]()

    async def duty() -> None:
        tries.append(1)
        raise ConnectionError("away")

    engine.app.rebalancing = True
    before = counted("errors", "pass time")
    task = asyncio.create_task(Duties(engine)._keep("pass time", 0.001, duty))
    await asyncio.sleep(0.02)
    assert tries == []
    engine.app.rebalancing = False
    while len(tries) < 3:
        await asyncio.sleep(0.001)
    task.cancel()
    assert counted("errors", "pass time") - before >= 2
