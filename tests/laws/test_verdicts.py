"""Law 6, continued: a verdict decides what is held, at its offset: whatever the batches, crashes and repetitions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.event import MICROSECONDS, AuditEvent, Resource
from detectors.features import FEATURES, observe
from streams.control import packets
from streams.deed import Deed
from streams.detections import Detections
from streams.packet import Control, EventPacket, Output, Signal, decode_events, encode, mark, parcels
from streams.pipeline import Score
from streams.principal import TAUGHT, Principal, baseline_key, event_code, memory_key, terms_key
from streams.processor import Fault, Message, Processor
from streams.store import MemoryStateStore
from tests.laws.flow import PARTITIONS, SCORE, Flow
from tests.laws.test_learning import ALICE, OTHER, USUAL, at, detections, strange, weeks

__all__ = ["detections"]

Item = AuditEvent | Control
BEFORE = weeks()
NOW = BEFORE[-1].time
DEED = strange(1)


def decided(kind: str, *deeds: AuditEvent, name: str = "", **changes: object) -> Control:
    codes = tuple(event_code(deed.id) for deed in deeds)
    control = Control(name or f"{kind} {codes}", "learn", "alice", NOW, "bob", "because", codes)
    return replace(control, kind=kind, **changes)


def messages(items: Sequence[Item]) -> list[Message]:
    """A message an item, as two senders would write them."""
    payloads = [
        encode(EventPacket("", [], [], controls=(item,)))
        if isinstance(item, Control)
        else encode(EventPacket("raw/0@a", [mark(place)], [item]))
        for place, item in enumerate(items)
    ]
    return [Message(0, place, payload) for place, payload in enumerate(payloads)]


class Told:
    """What score made of a log: its store, and the ids of its findings."""

    def __init__(self, items: Sequence[Item], detections: Detections, batch: int = 64) -> None:
        self.store = MemoryStateStore()
        self.findings: list[str] = []
        self.faults: list[Fault] = []
        self.strangeness: dict[str, float] = {}
        asyncio.run(self._fold(messages(items), detections, batch))

    async def _fold(self, log: Sequence[Message], detections: Detections, batch: int) -> None:
        processor = Processor(Score(self._witness), self.store, self._emit)
        await processor.open(0)
        processor.begin(0, "a", 0)
        for start in range(0, len(log), batch):
            assert not await processor.step(log[start : start + batch], detections)

    async def _emit(self, outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        self.findings += [output.item.finding.id for output in outputs if output.item.finding]
        self.faults += faults

    def _witness(self, deeds: Sequence[Deed]) -> None:
        self.strangeness.update({deed.event.id: deed.strangeness for deed in deeds})

    @property
    def alice(self) -> Principal:
        parts = (baseline_key("alice"), memory_key("alice"), terms_key("alice"))
        return Principal.unpack(*[self.store.values.get((0, part)) for part in parts])

    def knows(self, deed: AuditEvent) -> bool:
        return all(token in self.alice.baseline.slots for token in observe(deed).tokens)


def test_what_is_held_is_learnt_at_once_by_one_verdict_and_dropped_by_the_other(detections: Detections) -> None:
    waiting = Told([*BEFORE, DEED], detections)
    assert [held.event for held in waiting.alice.held] == [event_code(DEED.id)]
    assert not waiting.knows(DEED)
    learnt = Told([*BEFORE, DEED, decided("learn", DEED)], detections)
    assert learnt.knows(DEED)
    assert learnt.alice.baseline.events == len(BEFORE) + 1
    dropped = Told([*BEFORE, DEED, decided("drop", DEED), at(40.5)], detections)
    assert not dropped.knows(DEED)
    assert dropped.alice.baseline.events == len(BEFORE) + 1  # that is the event after it
    assert learnt.alice.held == dropped.alice.held == []


def test_what_was_learnt_by_a_verdict_is_less_strange_from_then_on(detections: Detections) -> None:
    again = [replace(strange(3), id="s3"), replace(strange(5), id="s5")]
    suspected = Told([*BEFORE, DEED, *again], detections)
    cleared = Told([*BEFORE, DEED, decided("learn", DEED), *again], detections)
    assert cleared.strangeness[DEED.id] == suspected.strangeness[DEED.id]
    for deed in again:
        assert cleared.strangeness[deed.id] < suspected.strangeness[deed.id]


def test_what_a_rule_matched_is_learnt_when_somebody_says_so(detections: Detections) -> None:
    deed = at(2, account="forbidden", resource=Resource("bucket", "new"))
    told = Told([*BEFORE, deed, decided("learn", deed)], detections)
    assert told.findings
    assert told.knows(deed)


def test_a_verdict_is_about_its_events_alone(detections: Detections) -> None:
    other = replace(strange(2), id="other", action="StopLogging")
    told = Told([*BEFORE, DEED, other, decided("learn", DEED)], detections)
    assert [held.event for held in told.alice.held] == [event_code("other")]
    assert not told.knows(other)


def test_a_drop_reaches_what_its_alert_had_no_room_to_name(detections: Detections) -> None:
    others = [replace(strange(1 + number / 10), id=f"s{number}") for number in range(9)]
    end = others[5].time
    told = Told([*BEFORE, *others, decided("drop", since=others[0].time, until=end)], detections)
    assert [held.event for held in told.alice.held] == [event_code(each.id) for each in others[5:]]


def test_what_happens_now_counts_once_when_it_is_learnt_at_once(detections: Detections) -> None:
    """A burst cleared while it goes on is no burst of double its size."""
    burst = [replace(strange(1 + number / 3600), id=f"s{number}") for number in range(30)]
    waiting = Told([*BEFORE, *burst], detections)
    cleared = Told([*BEFORE, *burst, decided("learn", *burst)], detections)
    after = observe(at(1.2))
    now = [told.alice.row(after, after.time * MICROSECONDS) for told in (waiting, cleared)]
    rate, spread = (names().index(name) for name in ("rate_z", "spread_z"))
    assert now[1][rate] <= now[0][rate]
    assert now[1][spread] <= now[0][spread]


def names() -> list[str]:
    return [feature.name for feature in FEATURES]


def test_to_forget_is_to_begin_anew(detections: Detections) -> None:
    told = Told([*BEFORE, DEED, decided("forget")], detections)
    assert told.store.values.keys() == {(0, memory_key("alice"))}
    assert (told.alice.baseline.events, told.alice.terms.since, told.alice.held) == (0, -1, [])
    after = [replace(USUAL, id=f"n{number}", time=NOW + number * 10**9) for number in range(1, 9)]
    resumed = Told([*BEFORE, DEED, decided("forget"), *after], detections)
    fresh = Told(after, detections)
    assert resumed.alice.baseline == fresh.alice.baseline
    assert resumed.alice.terms.pack() == fresh.alice.terms.pack()


def test_what_is_forgotten_still_counts_once(detections: Detections) -> None:
    told = Told([*BEFORE, decided("forget"), *BEFORE[-5:]], detections)
    assert told.alice.baseline.events == 0


def test_a_control_that_comes_again_does_nothing(detections: Detections) -> None:
    """A second `forget` would lose what was learnt since the first."""
    after = [replace(USUAL, id=f"n{number}", time=NOW + number * 10**9) for number in range(1, 9)]
    once = Told([*BEFORE, decided("forget"), *after], detections)
    twice = Told([*BEFORE, decided("forget"), *after, decided("forget")], detections)
    assert twice.alice.baseline.events == once.alice.baseline.events == 8


def test_a_control_about_nobody_we_know_leaves_no_baseline(detections: Detections) -> None:
    told = Told([decided("learn", DEED, principal="nobody"), decided("drop", principal="nobody")], detections)
    assert told.store.values.keys() == {(0, memory_key("nobody"))}
    assert not told.faults


def test_what_an_older_version_held_is_decided_by_its_age_or_its_time(detections: Detections) -> None:
    """Stored without the code of its event."""
    state = Told([*BEFORE, DEED], detections).alice
    (held,) = state.held
    old = msgspec.msgpack.encode((b"", 0, [msgspec.to_builtins(held)[:3]]))
    restored = Principal.unpack(state.baseline.pack(), old)
    assert [(each.event, each.until) for each in restored.held] == [(0, held.until)]
    restored.obey(decided("learn", DEED))
    assert len(restored.held) == 1
    restored.obey(decided("drop", since=DEED.time, until=DEED.time + 1))
    assert restored.held == []


moves = st.lists(
    st.tuples(st.sampled_from(["usual", "strange", "forbidden", "learn", "drop", "forget"]), st.integers(0, 600)),
    max_size=25,
)


def story(drawn: Sequence[tuple[str, int]]) -> list[Item]:
    """Those weeks, then deeds so many minutes apart, and verdicts on the deed before them."""
    items: list[Item] = [*BEFORE]
    minutes = 0.0
    for place, (move, pause) in enumerate(drawn):
        minutes += pause
        last = next(item for item in reversed(items) if isinstance(item, AuditEvent))
        if move in ("learn", "drop", "forget"):
            items.append(decided(move, last, name=f"c{place}"))
        elif move == "strange":
            items.append(replace(strange(minutes / 60), id=f"d{place}"))
        else:
            account = "forbidden" if move == "forbidden" else None
            items.append(replace(at(minutes / 60), id=f"d{place}", account=account))
    return items


@given(moves, st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_the_size_of_batches_never_shows(detections: Detections, drawn: list[tuple[str, int]], batch: int) -> None:
    items = story(drawn)
    whole, cut = Told(items, detections, 1000), Told(items, detections, batch)
    assert cut.store.values == whole.store.values
    assert cut.findings == whole.findings
    assert not whole.faults


MOMENTS = ("", "before emit", "part of emit", "after emit", "before write", "answer lost", "restart", "memory")


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_changes_nothing(detections: Detections, seed: int) -> None:
    random = Random(seed)
    kinds = ["usual", "strange", "forbidden", "learn", "drop", "forget"]
    items = story([(random.choices(kinds, [5, 3, 1, 3, 2, 0.3])[0], random.randint(0, 300)) for _ in range(60)])
    flows = [Flow(detections), Flow(detections)]
    for flow in flows:
        send(flow, items)
    asyncio.run(flows[0].finish())
    asyncio.run(disturb(flows[1], random))
    assert flows[1].said() == flows[0].said()
    assert [store.values for store in flows[1].stores] == [store.values for store in flows[0].stores]


def send(flow: Flow, items: Sequence[Item]) -> None:
    """Events as normalise sends them; a control whenever somebody decides, twice where he is not sure it went out."""
    for place, item in enumerate(items):
        if isinstance(item, AuditEvent):
            flow.send([item])
        else:
            for target, payload in list(packets([item], PARTITIONS)) * (1 + place % 2):
                flow.logs[SCORE][target].append(payload)


async def disturb(flow: Flow, random: Random) -> None:
    for _ in range(60):
        moment = random.choice(MOMENTS)
        flow.trouble.moment, flow.trouble.random = moment, random
        worker = random.randrange(2)
        if moment == "restart":
            flow.workers[worker] = flow.worker()
        elif moment == "memory":
            await flow.lose_memory(random.randint(1, 6))
        await flow.step(worker, random.randrange(2), random.randrange(PARTITIONS), random.randint(1, 30))
    await flow.finish()


def test_controls_go_where_the_events_of_their_principal_go() -> None:
    for name in ("alice", "bob", "svc-ci", "ä"):
        ((target, payload),) = packets([decided("learn", principal=name)], 7)
        ((event_target, _),) = parcels([Output(0, 1, name, replace(USUAL, actor=ALICE))], {0: "o"}, 7)
        assert target == event_target
        (control,) = decode_events(payload).controls
        assert control.principal == name


def test_nobody_teaches_much_by_doing_it_often_in_a_day_and_waiting(detections: Detections) -> None:
    burst = [replace(strange(1 + number / 600), id=f"s{number}") for number in range(3 * TAUGHT)]
    told = Told([*BEFORE, *burst, OTHER], detections)
    assert told.alice.baseline.events == len(BEFORE) + TAUGHT
    said = Told([*BEFORE, *burst, decided("learn", *burst)], detections)
    assert said.alice.baseline.events == len(BEFORE) + len(burst)
