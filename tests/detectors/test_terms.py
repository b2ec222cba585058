"""Terms: exact for 90 days whatever comes in between, bounded, and the same after a trip through the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.terms import DAY, KINDS, ROOM, WINDOW, Terms

START = 20_000 * DAY
NOTHING = (0,) * len(KINDS)
events = st.lists(
    st.tuples(st.integers(0, 200), st.tuples(*(st.integers(0, 6) for _ in KINDS))), min_size=1, max_size=60
)


def only(kind: int, token: int) -> tuple[int, ...]:
    return tuple(token if each == kind else 0 for each in range(len(KINDS)))


@given(events)
def test_agrees_with_a_dictionary_of_last_days(history: list[tuple[int, tuple[int, ...]]]) -> None:
    """In time order, a term is new exactly when it was not seen in the 90 days before."""
    terms, last = Terms(), dict[tuple[int, int], int]()
    for day, tokens in sorted(history):
        expected = 0
        for kind, token in enumerate(tokens):
            if token and day - last.get((kind, token), -1000) > WINDOW:
                expected |= 1 << kind
            if token:
                last[kind, token] = day
        assert terms.meet(tokens, START + day * DAY) == expected


@given(events)
def test_storing_between_any_two_events_changes_nothing(history: list[tuple[int, tuple[int, ...]]]) -> None:
    """Law 2: what is in memory is what is stored."""
    kept, stored = Terms(), Terms()
    for day, tokens in history:
        assert kept.meet(tokens, START + day * DAY) == stored.meet(tokens, START + day * DAY)
        stored = Terms.unpack(stored.pack())
    assert kept.pack() == stored.pack()


def test_a_term_unseen_for_ninety_days_is_seen_and_for_ninety_one_is_new() -> None:
    for gap, new in ((WINDOW, 0), (WINDOW + 1, 1)):
        terms = Terms()
        assert terms.meet(only(0, 7), START) == 1
        assert terms.meet(only(0, 7), START + gap * DAY) == new


def test_a_late_event_moves_no_day_back() -> None:
    terms = Terms()
    terms.meet(only(2, 7), START + 80 * DAY)
    assert terms.meet(only(2, 7), START) == 0
    assert terms.meet(only(2, 7), START + 170 * DAY) == 0


def test_a_flood_of_resources_is_bounded_counted_and_pushes_out_no_country() -> None:
    terms = Terms()
    terms.meet(only(2, 99), START)
    for token in range(1, 3 * ROOM[1]):
        terms.meet(only(1, token), START + DAY)
    assert terms.dropped > 0
    assert len(terms.pack()) < ROOM[1] * 10 + 1_000
    assert terms.meet(only(2, 99), START + 2 * DAY) == 0


def test_what_was_seen_last_survives_a_full_table() -> None:
    terms = Terms()
    for token in range(1, ROOM[3] + 1):
        terms.meet(only(3, token), START)
    terms.meet(only(3, 5), START + DAY)
    terms.meet(only(3, ROOM[3] + 1), START + DAY)
    assert terms.meet(only(3, 5), START + DAY) == 0


def test_history_counts_whole_days_since_the_first_event() -> None:
    terms = Terms()
    assert terms.history(START) == 0
    terms.meet(only(0, 1), START)
    assert terms.history(START + 14 * DAY + 5) == 14
    terms.meet(only(0, 1), START - 2 * DAY)
    assert terms.history(START) == 2


@pytest.mark.parametrize("data", [b"", b"\x93", b"\x94\x02\x00\x00\x90", Terms().pack()[:-3], b"\x00" * 40])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"terms"):
        Terms.unpack(data)


def test_idle_counts_whole_days_since_the_newest_event() -> None:
    terms = Terms()
    assert terms.idle(5 * DAY) is None
    terms.meet((1, 0, 0, 0, 0, 0), 5 * DAY + 80_000)
    assert terms.idle(5 * DAY + 86_000) == 0
    assert terms.idle(6 * DAY) == 1
    terms.meet((1, 0, 0, 0, 0, 0), 9 * DAY)
    terms.meet((2, 0, 0, 0, 0, 0), 7 * DAY)
    assert terms.idle(10 * DAY) == 1, "a late event makes nobody seen earlier"
    assert terms.idle(3 * DAY) == 0
    assert Terms.unpack(terms.pack()).idle(10 * DAY) == 1
