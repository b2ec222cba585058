"""History in, verdicts back: what a running worker makes of `backfill`, `baseline forget` and resolved alerts."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from audit.event import MICROSECONDS, AuditEvent
from streams.control import forgetting, packets, send
from streams.detections import Detections
from streams.embedded import Broker
from streams.kafka import EVENTS
from streams.load import load_detections
from streams.packet import Control, Signal, decode_events
from streams.principal import Principal, baseline_key, memory_key, terms_key
from streams.replay import Run, Source, events_of
from streams.simulate.organisation import simulate
from streams.simulate.output import write
from tests.e2e.conftest import ARRIVAL
from tests.e2e.exact import assert_exact
from tests.e2e.house import PARTITIONS, House, house
from tests.e2e.logbook import Logbook

DAY = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Life:
    """What one source wrote of an invented organisation, in one file and cut in two, early on the last day.

    No midnight lies in the tail, at which a replay would take another snapshot.
    """

    context: Path
    whole: Path
    history: Path
    tail: Path

    @property
    def detections(self) -> Detections:
        return load_detections(self.context, (), None)

    def events(self, file: Path | None = None) -> list[AuditEvent]:
        source = Source("cloudtrail", str(file or self.whole))
        return list(events_of([source], self.detections.context, ARRIVAL, []))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("life")
    write(simulate(20, 6, seed=12, attack_after=3), folder)
    life = Life(folder / "context.yml", *(folder / f"{name}.jsonl" for name in ("whole", "history", "tail")))
    records = gzip.decompress((folder / "cloudtrail.jsonl.gz").read_bytes()).splitlines(keepends=True)
    life.whole.write_bytes(b"".join(records))
    events = life.events()
    assert len(events) == len(records)
    cut = 10 + next(at for at, event in enumerate(events) if event.time // DAY == events[-1].time // DAY)
    life.history.write_bytes(b"".join(records[:cut]))
    life.tail.write_bytes(b"".join(records[cut:]))
    return life


@pytest.fixture
def own_house(own_broker: Broker, life: Life, tmp_path: Path) -> Iterator[House]:
    """A house whose worker builds no snapshot of its own: what is simulated is long past, so one would be due."""
    (tmp_path / "auditwatch.toml").write_text("snapshot_hours = 0\n")
    with house(own_broker, tmp_path, life.context) as built:
        yield built


async def replayed(life: Life) -> Run:
    run = Run(life.detections)
    await run.open()
    for start in range(0, len(events := life.events()), 500):
        await run.feed(events[start : start + 500])
    return run


async def test_a_worker_after_a_backfill_is_as_if_it_had_always_been_there(own_house: House, life: Life) -> None:
    backfill = own_house.start("backfill", f"cloudtrail={life.history}")
    assert await backfill.ended() == 0, backfill.said
    run = await replayed(life)
    assert run.detections.snapshot.made > 0
    worker = own_house.worker()
    await worker.ready()
    async with Logbook(own_house.settings) as book:
        await own_house.ingest("cloudtrail", life.tail)
        tail = {event.id for event in life.events(life.tail)}
        await book.until("the tail", lambda: book.event_ids == tail)
        await book.caught_up()
        signals = [msgspec.msgpack.decode(packed, type=Signal) for _, _, packed in book.signals]
        findings = {signal.finding.id for signal in signals if signal.finding}
        expected = {
            finding.id
            for finding in run.result.findings.values()
            if finding.kind != "correlation" and tail.issuperset(finding.event_ids)
        }
        assert findings == expected
        _, stored = await book.stored(EVENTS)
        ours = {key: value for (_, key), value in stored.items() if key[:2] in ("b:", "t:")}
        assert len(ours) > 20
        assert ours == {key: value for (_, key), value in run.stores[0].values.items() if key[:2] in ("b:", "t:")}
    worker.end()


async def test_verdicts_reach_redis_exactly_once_whoever_is_killed(own_house: House, life: Life) -> None:
    worker = own_house.worker()
    await worker.ready()
    async with Logbook(own_house.settings) as book:
        await own_house.ingest("cloudtrail", life.whole)
        ids = {event.id for event in life.events()}
        await book.until("all events", lambda: book.event_ids >= ids)
        await book.caught_up()
        states = await _states(book)
        waiting = [name for name, state in states.items() if state.held]
        assert len(waiting) >= 2
        learnt, dropped = waiting[:2]
        gone = next(name for name in states if name not in waiting[:2] and states[name].baseline.events)
        controls = [
            Control("c1", "learn", learnt, 1, events=tuple(held.event for held in states[learnt].held)),
            Control("c2", "drop", dropped, 2, since=0, until=1 << 60),
            forgetting(gone, 3, "bob", "left"),
        ]
        worker.kill()
        await send(own_house.settings, [*controls, *controls])
        again = own_house.worker()
        await again.ready()
        wanted = {payload for _, payload in packets(controls, PARTITIONS)}
        await book.until("controls", lambda: {each.value for each in book.records[EVENTS]} >= wanted)
        await assert_exact(book, life.detections, ids)
        after = await _states(book)
        assert after[learnt].held == after[dropped].held == []
        assert after[learnt].baseline.events == states[learnt].baseline.events + len(states[learnt].held)
        assert after[dropped].baseline.events == states[dropped].baseline.events
        assert after[gone].baseline.events == 0
        sent = [each.value or b"" for each in book.records[EVENTS]]
        assert sum(bool(decode_events(payload).controls) for payload in sent) == 6
        forget = own_house.start("baseline", "forget", learnt, "--reason", "taken over", "--yes")
        assert await forget.ended() == 0, forget.said
        await _until_forgotten(book, learnt)
    again.end()


async def _states(book: Logbook) -> dict[str, Principal]:
    _, stored = await book.stored(EVENTS)
    values = {key: value for (_, key), value in stored.items()}
    names = sorted(key[2:] for key in values if key.startswith("m:"))
    parts = (baseline_key, memory_key, terms_key)
    return {name: Principal.unpack(*[values.get(part(name)) for part in parts]) for name in names}


async def _until_forgotten(book: Logbook, name: str) -> None:
    for _ in range(100):
        if not (await _states(book))[name].baseline.events:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{name} is still known")
