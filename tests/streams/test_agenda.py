from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agenda import INDEX, MINUTE, Agenda, name_of, pieces_named, read_agenda

KEYS = ("user:a", "user:b", "ip:1.2.3.4")
STEPS = st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 5 * MINUTE))), max_size=30)


def stored(agenda: Agenda, store: dict[str, bytes]) -> Agenda:
    """What comes back after the agenda's entries were written over what was stored before."""
    for entry in agenda.entries():
        if entry.value:
            store[entry.key] = entry.value
        else:
            store.pop(entry.key, None)
    numbers = pieces_named(store.get(INDEX))
    return read_agenda(numbers, [store.get(name_of(number)) for number in numbers])


def test_keys_come_up_when_they_are_due_the_first_first() -> None:
    agenda = Agenda()
    assert agenda.next() is None
    assert agenda.due(1 << 62, 10) == []
    for key, due in (("a", 5 * MINUTE), ("b", 70), ("c", 60), ("d", 3 * MINUTE)):
        agenda.set(key, due)
    assert agenda.next() == 60
    assert agenda.due(59, 10) == []
    assert agenda.due(70, 10) == ["c", "b"]
    assert agenda.due(5 * MINUTE - 1, 2) == ["c", "b"]
    assert agenda.due(5 * MINUTE, 10) == ["c", "b", "d", "a"]
    agenda.set("c", None)
    agenda.set("b", 4 * MINUTE)
    assert agenda.next() == 3 * MINUTE


def test_who_was_asked_too_early_sleeps_until_its_due_time_changes() -> None:
    agenda = Agenda()
    agenda.set("a", 10)
    agenda.set("b", 20)
    agenda.sleep("a", 30)
    assert agenda.next() == 20
    assert agenda.due(25, 10) == ["b"]
    assert agenda.due(30, 10) == ["a", "b"]
    agenda.sleep("a", 100)
    agenda.set("a", 15)
    assert agenda.due(25, 10) == ["a", "b"]
    agenda.mute("a")
    assert agenda.due(1 << 60, 10) == ["b"]


def test_a_batch_rewrites_only_the_pieces_it_changed() -> None:
    agenda = Agenda()
    for at in range(100):
        agenda.set(f"k{at}", at * MINUTE)
    assert len(agenda.entries()) == 101
    assert agenda.entries() == []
    agenda.set("k5", 6 * MINUTE)
    assert [entry.key for entry in agenda.entries()] == [name_of(5), name_of(6), INDEX]
    agenda.set("k7", 7 * MINUTE)
    assert agenda.entries() == []


@given(STEPS, st.integers(1, 5))
def test_what_is_stored_is_what_was_set(steps: list[tuple[str, int | None]], every: int) -> None:
    agenda, store = Agenda(), dict[str, bytes]()
    expected: dict[str, int] = {}
    for at, (key, due) in enumerate(steps):
        agenda.set(key, due)
        expected.pop(key, None)
        if due is not None:
            expected[key] = due
        if at % every == 0:
            agenda = stored(agenda, store)
    agenda = stored(agenda, store)
    assert {key: agenda.get(key) for key in KEYS} == {key: expected.get(key) for key in KEYS}
    assert sorted(agenda.due(5 * MINUTE, 10)) == sorted(expected)
    assert agenda.next() == min(expected.values(), default=None)
    for key in KEYS:
        agenda.set(key, None)
    stored(agenda, store)
    assert store == {}


@given(STEPS)
def test_the_way_there_does_not_show(steps: list[tuple[str, int | None]]) -> None:
    straight, crooked = dict[str, bytes](), dict[str, bytes]()
    one, other = Agenda(), Agenda()
    for key, due in steps:
        other.set(key, due)
        other = stored(other, crooked)
    for key, due in sorted(dict(steps).items()):
        one.set(key, due)
    stored(one, straight)
    assert straight == crooked


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(msgspec.DecodeError):
        pieces_named(b"\xff")
    with pytest.raises(msgspec.DecodeError):
        read_agenda([1], [b"\xc1"])
