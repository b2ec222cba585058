from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from redis.asyncio import Redis

from audit.event import AuditEvent
from detectors.model import Model
from detectors.registry import default_model
from streams.detections import Detections
from streams.embedded import RedisServer
from streams.load import load_detections
from streams.replay import Replay, Run
from streams.settings import Settings
from streams.shadow import KEPT, SHOWN, Comparison, compare, compared, publish, published
from streams.stage import Compared
from streams.store import connect
from tests.detectors.company import AGENTS, MONDAY, event, usual

WEEKS = 4


def with_threshold(threshold: float) -> Model:
    model = default_model()
    return Model(model.forest, msgspec.structs.replace(model.card, threshold=threshold))


@pytest.fixture(scope="module")
def detections() -> Detections:
    return load_detections(None, [], None)


@pytest.fixture(scope="module")
def events() -> list[AuditEvent]:
    """A usual month, then one event that is not."""
    end = MONDAY + WEEKS * 7 * 86_400
    odd = event(end, "DeleteTrail", country="NL", asn=64500, source_ip="203.0.113.9", user_agent=AGENTS[2])
    return [*usual(WEEKS * 7), odd]


async def play(events: Sequence[AuditEvent], detections: Detections, batch: int = 1_000) -> Replay:
    run = Run(detections, keep_scores=True)
    await run.open()
    for start in range(0, len(events), batch):
        await run.feed(events[start : start + batch])
    await run.close()
    return run.result


async def test_it_changes_nothing_and_tells_what_it_alone_would_have_told(
    detections: Detections, events: list[AuditEvent]
) -> None:
    deaf = replaced(detections, model=with_threshold(99.0))
    alone = await play(events, deaf)
    beside = await play(events, replaced(deaf, shadow=default_model()))
    assert (beside.findings, beside.scores) == (alone.findings, alone.scores)
    report = beside.comparison.report("deaf", "shipped")
    assert (report.events, report.both, report.current_only) == (len(events), 0, 0)
    assert report.shadow_only >= 1
    assert report.disagreements[0].event_id == events[-1].id
    assert report.disagreements[0].told_by == "shadow"
    assert report.disagreements[0].current == report.disagreements[0].shadow  # the same forest


async def test_the_same_model_in_the_shadow_says_the_same_whatever_the_batch(
    detections: Detections, events: list[AuditEvent]
) -> None:
    twin = replaced(detections, shadow=detections.model)
    reports = [(await play(events, twin, batch)).comparison.report("a", "b") for batch in (1, 7, 1_000)]
    assert reports[0] == reports[1] == reports[2]
    assert reports[0].both >= 1
    assert reports[0].current_only == reports[0].shadow_only == 0


def test_without_a_shadow_nothing_is_compared() -> None:
    assert compare([], default_model()) == []
    assert compare([], None) == []
    assert Comparison().take("a", "b") is None


def test_taking_begins_anew_and_keeps_the_newest_that_differ() -> None:
    comparison = Comparison()
    comparison.add([_differing(number) for number in range(KEPT + 10)])
    report = comparison.take("a", "b")
    assert report is not None
    assert (report.events, report.current_only) == (KEPT + 10, KEPT + 10)
    assert [one.event_id for one in report.disagreements] == [f"e{number}" for number in range(KEPT + 9, 9, -1)]
    assert comparison.take("a", "b") is None
    assert len(compared(report)) == 2 + SHOWN


def test_text_of_a_log_stays_one_line() -> None:
    comparison = Comparison()
    comparison.add([_differing(1)._replace(event_id="e\n\x1b[31m" + "x" * 5_000)])
    lines = compared(comparison.report("a", "b"))
    assert not any("\n" in line or "\x1b" in line or len(line) > 400 for line in lines)


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(Settings(redis=redis_server.url))
    yield client
    await client.aclose()


async def test_what_workers_publish_adds_up_and_the_newest_come_first(client: Redis) -> None:
    for numbers in (range(3), range(3, 5)):
        comparison = Comparison()
        comparison.add([_differing(number) for number in numbers])
        report = comparison.take("current", "shadow")
        assert report is not None
        await publish(client, report)
    told = await published(client, "current", "shadow")
    assert (told.events, told.current_only, told.shadow_only, told.both) == (5, 5, 0, 0)
    assert [one.event_id for one in told.disagreements] == ["e4", "e3", "e2", "e1", "e0"]
    assert (await published(client, "current", "another")).events == 0


def _differing(number: int) -> Compared:
    return Compared(f"e{number}", "alice", MONDAY * 1_000_000, 3.0, 1.0, True, False)


def replaced(detections: Detections, model: Model | None = None, shadow: Model | None = None) -> Detections:
    return Detections(detections.rules, model or detections.model, detections.context, shadow=shadow)
