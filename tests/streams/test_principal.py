from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.event import MICROSECONDS, AuditEvent, Principal, Resource
from detectors.baseline import Baseline
from detectors.features import observe
from rules.access_use import Used
from streams.packet import Control
from streams.principal import (
    BASELINE_TTL,
    HELD,
    HOLD,
    MEMORY_TTL,
    RECENT,
    baseline_key,
    granted_in,
    memory_key,
    told_by_memory,
)
from streams.principal import Principal as State

START = 1_768_000_000 * MICROSECONDS


def event(number: int, **changes: object) -> AuditEvent:
    made = AuditEvent(
        f"e{number}", START + number * 60 * MICROSECONDS, "okta", f"act{number % 3}", "success",
        Principal("alice", "Alice"), resource=Resource("app", "mail"), source_ip="192.0.2.1",
    )  # fmt: skip
    return replace(made, **changes)


def stored(state: State) -> tuple[bytes | None, bytes | None]:
    values = {entry.key: entry.value or None for entry in state.pack("alice")}
    return values.get(baseline_key("alice")), values.get(memory_key("alice"))


def kept(state: State) -> dict[str, int]:
    """How many seconds each part of the state is kept; the parts to be removed are left out."""
    return {entry.key: entry.ttl for entry in state.pack("alice") if entry.value}


def live(state: State, number: int, suspected: bool = False, teaches: bool = True) -> None:
    one = event(number)
    assert not state.is_repeat(one)
    state.row(observe(one), one.time)
    if suspected:
        state.hold(observe(one), one.time, teaches)
    else:
        state.learn(observe(one))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.integers(0, 40))
def test_storing_it_in_between_never_shows(deeds: list[tuple[bool, bool]], at: int) -> None:
    straight, broken = State(Baseline()), State(Baseline())
    for number, (suspected, teaches) in enumerate(deeds):
        live(straight, 700 * number, suspected, teaches)
        live(broken, 700 * number, suspected, teaches)
        if number >= at:
            broken = State.unpack(*stored(broken))
    assert stored(broken) == stored(straight)


def test_a_new_one_knows_nothing() -> None:
    state = State.unpack(None, None)
    assert (state.baseline.events, state.held) == (0, [])
    assert not state.is_repeat(event(1))
    assert state.is_repeat(event(1))


def test_who_taught_nothing_has_no_baseline_and_is_soon_forgotten() -> None:
    state = State(Baseline())
    state.is_repeat(event(1))
    assert kept(state) == {memory_key("alice"): MEMORY_TTL}
    live(state, 2)
    assert kept(state) == {
        memory_key("alice"): BASELINE_TTL,
        baseline_key("alice"): BASELINE_TTL,
    }


def test_what_is_held_is_kept_as_long_as_a_baseline() -> None:
    state = State(Baseline())
    live(state, 1, suspected=True)
    assert kept(state) == {memory_key("alice"): BASELINE_TTL}


def test_what_is_held_is_decided_by_its_age() -> None:
    for teaches in (True, False):
        state = State(Baseline())
        live(state, 1)
        live(state, 2, suspected=True, teaches=teaches)
        due = event(2).time + HOLD
        state.release(due - 1)
        assert (state.baseline.events, len(state.held)) == (1, 1)
        state.release(due)
        assert (state.baseline.events, len(state.held)) == (1 + teaches, 0)


def test_what_is_held_is_bounded_and_the_oldest_is_dropped_unlearnt() -> None:
    state = State(Baseline())
    for number in range(HELD + 5):
        live(state, number, suspected=True)
    assert [held.observation.time for held in state.held] == [
        event(number).time // MICROSECONDS for number in range(5, HELD + 5)
    ]
    assert state.baseline.events == 0


def test_a_copy_of_the_usual_brings_it_back() -> None:
    state = State(Baseline())
    for number in range(5):
        live(state, number)
    live(state, 5, suspected=True)
    before = stored(state)
    usual = state.copy_of_usual()
    state.learn(observe(event(6)))
    state.hold(observe(event(7)), event(7).time, teaches=True)
    assert stored(state) != before
    state.restore(usual)
    assert stored(state) == before


@given(st.lists(st.integers(0, 400), max_size=700))
def test_of_the_last_ids_none_counts_twice(numbers: list[int]) -> None:
    state, order = State(Baseline()), list[int]()
    for number in numbers:
        repeat = state.is_repeat(event(number))
        assert repeat == (number in order[-RECENT:])
        if not repeat:
            order.append(number)
    assert len(state._recent) == 8 * min(RECENT, len(order))


def test_what_lies_across_two_ids_is_none() -> None:
    state = State(Baseline())
    first, second = b"aaaabbbb", b"ccccdddd"
    across = int.from_bytes(b"bbbbcccc", "little")
    assert not any(state._is_repeat(int.from_bytes(code, "little")) for code in (first, second))
    assert not state._is_repeat(across)
    assert all(state._is_repeat(int.from_bytes(code, "little")) for code in (first, second, b"bbbbcccc"))


@pytest.mark.parametrize(
    "changes",
    [{"source": "github"}, {"id": "x"}, {"action": "x"}, {"resource": None}, {"time": START + MICROSECONDS}],
    ids=str,
)
def test_another_deed_under_the_same_id_is_no_repeat(changes: dict[str, object]) -> None:
    state = State(Baseline())
    state.is_repeat(event(0))
    assert not state.is_repeat(event(0, **changes))


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({}, {"raw": b'{"a": 1}'}),
        ({}, {"time": START + MICROSECONDS - 1}),
        ({}, {"outcome": "failure", "user_agent": "x"}),
        ({"marks": ("time_replaced",)}, {"marks": ("time_replaced",), "time": START + 10**9}),
    ],
    ids=str,
)
def test_the_same_deed_told_a_little_differently_is_a_repeat(
    first: dict[str, object], again: dict[str, object]
) -> None:
    state = State(Baseline())
    state.is_repeat(event(0, **first))
    assert state.is_repeat(event(0, **again))


def test_half_a_surrogate_pair_in_an_id_is_an_id() -> None:
    state = State(Baseline())
    assert not state.is_repeat(event(1, id="\ud800"))
    assert state.is_repeat(event(1, id="\ud800"))


def test_damage_is_an_error_not_a_new_baseline() -> None:
    state = State(Baseline())
    live(state, 1)
    baseline, memory = stored(state)
    assert baseline is not None
    assert memory is not None
    for pair in (
        (baseline[:-1], memory),
        (baseline[:-1] + b"\x00\x01", memory),
        (baseline, b"\xc1"),
        (baseline, memory[:-2]),
    ):
        with pytest.raises(ValueError, match=r"."):
            State.unpack(*pair)


def test_its_size_is_bounded() -> None:
    state = State(Baseline())
    for number in range(2000):
        live(state, number, suspected=number % 2 == 0)
    assert len(msgspec.msgpack.encode([entry.value for entry in state.pack("alice")])) < 16_000


def test_the_highest_strangeness_of_each_day_is_kept_with_the_kind() -> None:
    state, day = State(Baseline()), 86_400 * MICROSECONDS
    live(state, 1)
    for number, strangeness in enumerate((2.5, 3.5, 3.0)):
        state.score(START + number, strangeness)
    state.score(START + 2 * day, 2.25)
    again = State.unpack(*stored(state))
    today = START // day
    assert again.peaks == state.peaks == [(today, 3.5), (today + 2, 2.25)]
    assert told_by_memory(stored(state)[1]) == ("unknown", again.peaks)
    state.meet(observe(event(2, actor=Principal("alice", "Alice", "service"))))
    assert told_by_memory(stored(state)[1])[0] == "service"
    assert told_by_memory(None) == ("unknown", [])


def test_a_memory_stored_before_there_were_peaks_is_read() -> None:
    old = msgspec.msgpack.encode([b"", 0, []])
    assert State.unpack(None, old).peaks == []
    assert told_by_memory(old) == ("unknown", [])


def test_what_adds_up_over_days_survives_the_store() -> None:
    state = State(Baseline())
    for day in range(4):
        state.slow.see(event(1440 * day, action="GetObject"), (0,))
    again = State.unpack(*stored(state))
    assert again.slow.days.stored() == state.slow.days.stored()
    assert again.slow.days.usual(0) == [1, 1, 1]


def test_a_memory_from_before_there_was_any_is_read() -> None:
    old = msgspec.msgpack.encode((b"", 0, []))
    assert State.unpack(None, old).slow.days.today == -1


def test_what_was_done_under_grants_is_kept_and_no_forgetting_of_the_usual_takes_it() -> None:
    state = State(Baseline())
    state.granted = [Used(7, 900, "", 100, 200, 2, 1, 0, [(5, "s3:GetObject on q", 2)])]
    live(state, 3)
    state.obey(Control("c1", "forget", "alice", 0, "grace", "why"))
    assert state.baseline.events == 0
    again = State.unpack(*stored(state))
    assert again.granted == state.granted == granted_in(stored(state)[1])
    assert len(again.granted) == 1


def test_a_memory_stored_before_grants_were_counted_is_read() -> None:
    state = State(Baseline())
    live(state, 3)
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(stored(state)[1] or b"")[:-1])
    assert State.unpack(None, old).granted == granted_in(old) == granted_in(None) == []
