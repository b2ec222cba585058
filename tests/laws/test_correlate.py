"""Laws 2 and 3 in correlate: alerts and stored entities follow from the signals alone, wherever batches end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random

import msgspec
import pytest

from alerting.alert import Alert, to_line
from audit.context import EMPTY
from audit.event import AuditEvent, Principal
from detectors.registry import default_model
from rules import sigma
from streams.clock import Clock, Reading
from streams.detections import Detections
from streams.packet import Output, Packet, Signal, encode
from streams.pipeline import Correlate, Score
from streams.processor import Fault, Message, Processor
from streams.store import MemoryStateStore, Position
from streams.ticking import Ticking
from tests.laws.flow import Crash, FlakyStore, Trouble
from tests.laws.organisation import with_threshold

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_772_442_000 * SECOND
MOMENTS = ("", "before emit", "part of emit", "after emit", "before write", "answer lost", "restart")

RULES = """
title: Action a
id: aaaaaaaa-0000-4000-8000-000000000000
name: a
level: medium
logsource: {product: auditwatch}
detection: {s: {action: a}, condition: s}
---
title: Action b
id: bbbbbbbb-0000-4000-8000-000000000000
name: b
level: low
logsource: {product: auditwatch}
detection: {s: {action: b}, condition: s}
---
title: Action c
id: cccccccc-0000-4000-8000-000000000000
name: c
level: high
logsource: {product: auditwatch}
detection: {s: {action: [c, b]}, condition: s}
---
title: Deed a
id: eeeeeeee-0000-4000-8000-000000000000
level: medium
logsource: {product: auditwatch}
detection: {s: {action: a}, condition: s}
---
title: Deed c
id: ffffffff-0000-4000-8000-000000000000
level: high
logsource: {product: auditwatch}
detection: {s: {action: c}, condition: s}
"""
KINDS = {
    "event_count": "{type: event_count, rules: [a, c], group-by: [source_ip], timespan: 1h, condition: {gte: 4}}",
    "event_count per user": "{type: event_count, rules: [c], group-by: [actor.id], timespan: 10m, condition: {gt: 1}}",
    "value_count": """{type: value_count, rules: [a, b], group-by: [source_ip], timespan: 30m, generate: true,
        condition: {gte: 3, field: actor.name}}""",
    "value_sum": """{type: value_sum, rules: [a, b, c], group-by: [actor.id], timespan: 1d,
        condition: {field: raw.n, gte: 90}}""",
    "value_avg": """{type: value_avg, rules: [a, c], group-by: [actor.id], timespan: 10m, generate: true,
        condition: {field: raw.n, gte: 6}}""",
    "value_median": """{type: value_median, rules: [a, c], group-by: [source_ip], timespan: 20m,
        condition: {field: raw.n, gte: 7}}""",
    "value_percentile": """{type: value_percentile, rules: [b, c], group-by: [source_ip], timespan: 20m,
        condition: {field: raw.n, gte: 8, percentile: 90}}""",
    "temporal": "{type: temporal, rules: [a, b, c], group-by: [source_ip], timespan: 20m, generate: true}",
    "temporal_ordered": "{type: temporal_ordered, rules: [a, c], group-by: [actor.id], timespan: 6h}",
    "less than": "{type: event_count, rules: [a], group-by: [actor.id], timespan: 20m, condition: {lt: 3}}",
    "not followed": "{type: temporal, group-by: [actor.id], timespan: 10m, condition: c and not a}",
    "inner": "{type: event_count, rules: [b, c], group-by: [actor.id, source_ip], timespan: 10m, condition: {gte: 2}}",
    "outer": "{type: temporal_ordered, rules: [inner, a], group-by: [source_ip], timespan: 1h}",
    "outer count": "{type: event_count, rules: [inner], group-by: [source_ip], timespan: 9h, condition: {gte: 2}}",
    "many groups": """{type: event_count, rules: [a, c], group-by: [source_ip, target.id], timespan: 10m,
        condition: {gte: 2}, generate: true}""",
    "absent": "{type: event_count, rules: [a], group-by: [source_ip], timespan: 5m, condition: {gte: 1}}",
}


def rule_of(number: int, name: str, section: str) -> str:
    more = "auditwatch: {absent: b, within: 15m}\n" if name == "absent" else ""
    return (
        f"---\ntitle: {name}\nid: {number:08}-0000-4000-8000-000000000000\nname: {name}\n"
        f"level: {'medium' if number % 2 else 'high'}\ncorrelation:\n  {section}\n{more}"
    )


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(RULES + "".join(rule_of(at, *each) for at, each in enumerate(KINDS.items(), start=10)))
    return with_threshold(Detections(sigma.load([path]), default_model(), EMPTY), inf)


BOUNDS = {
    "EPISODES": 3,
    "SEEN": 5,
    "EVENTS": 6,
    "SPARSE": 4,
    "GRACE": HOUR,
    "MOST_ABSENTS": 4,
    "MOST_BINS": 2,
    "MOST_ENTRIES": 12,
    "MOST_EVENT_IDS": 6,
    "MOST_PRINCIPALS": 2,
    "MOST_VALUES": 4,
    "MOST_WINDOWS": 6,
}


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bound so low that each is met."""
    modules = [
        module for name, module in sys.modules.items() if name.startswith(("rules.correlation", "alerting.risk"))
    ]
    for name, value in BOUNDS.items():
        for module in modules:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def events_of(seed: int, count: int = 150, lateness: int = 0) -> list[AuditEvent]:
    """A day of five people at three addresses, in spells; each comes up to `lateness` microseconds late."""
    random = Random(seed)
    times = sorted(
        START + random.randrange(24) * HOUR + int(random.expovariate(1 / 600)) * SECOND for _ in range(count)
    )
    made = [
        AuditEvent(
            id=f"e{random.randrange(1 << 30):08x}",
            time=time,
            source=random.choice(("okta", "github")),
            action=random.choice("aabbc"),
            outcome="success",
            actor=Principal(who := f"p{random.randrange(5)}", who),
            target=Principal(f"t{random.randrange(9)}", ""),
            source_ip=f"198.51.100.{random.randrange(3)}",
            raw=msgspec.json.encode({"n": random.randrange(10)}),
        )
        for time in times
    ]
    return sorted(made, key=lambda event: event.time + random.randrange(lateness + 1))


def signals_of(events: Sequence[AuditEvent], detections: Detections) -> list[Signal]:
    """What score makes of the events."""
    made: list[Signal] = []

    async def emit(outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        assert not faults
        made.extend(output.item for output in outputs)

    async def drive() -> None:
        score = Processor(Score(), MemoryStateStore(), emit)
        await score.open(0)
        score.begin(0, "a", 0)
        packet = Packet("raw", list(range(len(events))), list(events))
        await score.step([Message(0, 0, encode(packet))], detections)

    asyncio.run(drive())
    return made


@dataclass
class Told:
    """Every revision of every alert in the order they were told, and what is stored in the end."""

    revisions: list[Alert] = field(default_factory=list)
    store: MemoryStateStore = field(default_factory=MemoryStateStore)

    def last(self) -> dict[str, bytes]:
        """The line of each alert that outputs end up with: the highest revision; of equals the last."""
        found: dict[str, Alert] = {}
        for alert in self.revisions:
            if alert.id not in found or alert.revision >= found[alert.id].revision:
                found[alert.id] = alert
        return {key: to_line(alert) for key, alert in found.items()}

    async def emit(self, outputs: Sequence[Output[Alert]], faults: Sequence[Fault]) -> None:
        assert not faults
        self.revisions.extend(output.item for output in outputs)


def folded(signals: Sequence[Signal], detections: Detections, cuts: set[int], ticks: dict[int, Reading]) -> Told:
    """The signals folded in batches that end at `cuts`, time told at some of them and at the end."""
    told = Told()

    async def drive() -> None:
        stage = Ticking(Correlate(), told.store, told.emit)
        await stage.open(0)
        stage.begin(0, "a", 0)
        for low, high in pairwise(sorted({0, len(signals), *cuts, *ticks})):
            messages = [message(signals, at) for at in range(low, high)]
            await stage.step(messages, detections)
            if high in ticks:
                await stage.tick(ticks[high], detections)

    asyncio.run(drive())
    return told


def message(signals: Sequence[Signal], at: int) -> Message:
    return Message(0, at, encode(Packet("a", [at], [signals[at]])))


def cuts_of(signals: Sequence[Signal], batch: int) -> set[int]:
    return set(range(0, len(signals), batch))


def ticks_of(signals: Sequence[Signal], seed: int) -> dict[int, Reading]:
    """The time as told at some places between signals, and at the end."""
    clock, random = Clock(), Random(seed)
    ticks: dict[int, Reading] = {}
    for at, signal in enumerate(signals, start=1):
        if signal.match:
            entry = signal.match.entry
            clock.see([AuditEvent("x", entry.time, entry.source, "a", "success", Principal("p", "p"))])
        if random.random() < 0.05:
            ticks[at] = clock.read()
    return {**ticks, len(signals): clock.read().closed()}


def assert_same(one: Told, other: Told) -> None:
    assert one.last() == other.last()
    assert one.store.values == other.store.values


def assert_grows(told: Told) -> None:
    """A revision that says something else is a higher one, and a later one is never lower."""
    known: dict[str, Alert] = {}
    for alert in told.revisions:
        before = known.get(alert.id)
        assert before is None or alert == before or alert.revision > before.revision
        known[alert.id] = alert


LATE = {"in order": 0, "late": 4 * 60 * SECOND, "beyond the lateness": 9 * HOUR}


@pytest.mark.parametrize("lateness", LATE)
def test_every_kind_has_something_to_say(detections: Detections, lateness: str) -> None:
    signals = signals_of(events_of(1, lateness=LATE[lateness]), detections)
    told = folded(signals, detections, cuts_of(signals, 7), ticks_of(signals, 1))
    assert {one.title for alert in told.revisions for one in alert.findings} >= KINDS.keys() - {"inner"}
    assert sum(signal.finding is not None for signal in signals) > 10


@pytest.mark.parametrize("lateness", LATE)
@pytest.mark.parametrize("seed", range(4))
def test_where_batches_end_never_shows(detections: Detections, seed: int, lateness: str) -> None:
    _where_batches_end_never_shows(detections, seed, LATE[lateness])


@pytest.mark.parametrize("lateness", LATE)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("little_room")
def test_where_batches_end_never_shows_with_little_room(detections: Detections, seed: int, lateness: str) -> None:
    _where_batches_end_never_shows(detections, seed, LATE[lateness])


def _where_batches_end_never_shows(detections: Detections, seed: int, lateness: int) -> None:
    signals = signals_of(events_of(seed, lateness=lateness), detections)
    ticks = ticks_of(signals, seed) if seed % 2 else {}
    single = folded(signals, detections, cuts_of(signals, 1), ticks)
    assert_grows(single)
    random = Random(seed)
    cuts = [cuts_of(signals, batch) for batch in (7, 64, 1000)]
    cuts += [set(random.sample(range(len(signals)), random.randint(1, 40))) for _ in range(2)]
    for each in cuts:
        assert_same(folded(signals, detections, each, ticks), single)


@pytest.mark.parametrize("lateness", LATE)
@pytest.mark.parametrize("seed", range(3))
def test_where_workers_crash_never_shows(detections: Detections, seed: int, lateness: str) -> None:
    signals = signals_of(events_of(seed, lateness=LATE[lateness]), detections)
    undisturbed = folded(signals, detections, cuts_of(signals, 64), {})
    assert_same(crashed(signals, detections, Random(seed)), undisturbed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("little_room")
def test_where_workers_crash_never_shows_with_little_room(detections: Detections, seed: int) -> None:
    signals = signals_of(events_of(seed, lateness=LATE["late"]), detections)
    undisturbed = folded(signals, detections, cuts_of(signals, 64), {})
    assert_same(crashed(signals, detections, Random(seed)), undisturbed)


def crashed(signals: Sequence[Signal], detections: Detections, random: Random) -> Told:
    """The signals folded by two workers of which now one, now the other works, and fails at any moment of a step."""
    trouble = Trouble()
    told = Told(store=FlakyStore(trouble))

    async def emit(outputs: Sequence[Output[Alert]], faults: Sequence[Fault]) -> None:
        if trouble.meets("before emit"):
            raise Crash
        some = trouble.meets("part of emit")
        await told.emit([output for output in outputs if not some or random.random() < 0.5], faults)
        if some or trouble.meets("after emit"):
            raise Crash

    async def drive() -> None:
        workers = [Ticking(Correlate(), told.store, emit) for _ in range(2)]
        while (start := await reached(told.store)) < len(signals):
            trouble.moment, place = random.choice(MOMENTS), random.randrange(2)
            if trouble.moment == "restart":
                workers[place] = Ticking(Correlate(), told.store, emit)
            worker = workers[place]
            if 0 not in worker.owned and await worker.open(0) is None:
                worker.begin(0, "a", 0)
            start = max(0, start - random.choice((0, 0, 1, 9)))
            until = min(len(signals), start + random.choice((1, 2, 20, 200)))
            with suppress(Crash):
                for gap in await worker.step([message(signals, at) for at in range(start, until)], detections):
                    worker.forget(gap.partition)

    asyncio.run(drive())
    return told


async def reached(store: MemoryStateStore) -> int:
    """The next offset to be folded."""
    (raw,) = await store.positions([0])
    return msgspec.msgpack.decode(raw, type=Position).offset + 1 if raw else 0
