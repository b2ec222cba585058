import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.slow_days import IDS, IDS_A_DAY, KEPT, LONGEST_ID, MOST, SORTS, Days, Stored

STEPS = st.tuples(*[st.floats(-3, 3, allow_nan=False)] * SORTS)


def fresh(today: int = 100) -> Days:
    return Days(Stored(today=today))


def closed(counts: list[int], steps: float = 0.0) -> Days:
    """One sort's counts on past days."""
    days = fresh()
    for number, count in enumerate(counts):
        days.count(0, count)
        days.turn(101 + number, [steps] * SORTS)
    return days


def test_a_day_is_closed_and_becomes_part_of_the_usual() -> None:
    days = closed([3, 5])
    assert days.usual(0) == [3, 5]
    assert days.usual(1) == [0, 0]
    assert (days.today, days.now) == (102, [0] * SORTS)


def test_only_four_weeks_of_work_are_kept() -> None:
    days = closed(list(range(30)))
    assert days.usual(0) == list(range(30 - KEPT, 30))


def test_a_count_does_not_overflow() -> None:
    days = fresh()
    assert days.count(0, MOST + 7) == MOST
    days.turn(101, [0.0] * SORTS)
    assert days.usual(0) == [MOST]


def test_a_sum_never_falls_below_nothing() -> None:
    days = fresh()
    days.turn(101, [-2.0, 2.5, 0.0])
    days.turn(102, [1.0, -1.0, 0.0])
    assert days.sums == [1.0, 1.5, 0.0]


def test_days_of_what_has_spoken_are_no_part_of_the_usual_from_the_day_it_rose() -> None:
    days = closed([1, 1, 1])
    for number, count in enumerate([20, 30]):
        days.count(0, count)
        if number == 1:
            days.levels[0] = 7.0
        days.turn(110 + number, [3.0, 0.0, 0.0])
    assert days.usual(0) == [1, 1, 1]
    assert days.usual(1) == [0] * 5
    assert days.total(0) == 50


def test_what_has_not_spoken_stays_part_of_the_usual() -> None:
    days = closed([1, 1, 1])
    days.count(0, 20)
    days.turn(110, [3.0, 0.0, 0.0])
    assert days.usual(0) == [1, 1, 1, 20]


def test_once_accepted_all_its_days_are_usual() -> None:
    days = closed([1, 1])
    days.count(0, 20)
    days.levels[0] = 7.0
    days.turn(110, [3.0, 0.0, 0.0])
    days.accept(0)
    assert days.usual(0) == [1, 1, 20]
    assert (days.sums[0], days.levels[0], days.runs[0]) == (0.0, 0.0, 0)


def test_a_total_is_what_came_since_it_rose_today_included() -> None:
    days = closed([9, 9])
    for day, count in ((110, 4), (111, 5)):
        days.count(0, count)
        days.turn(day, [1.0, 0.0, 0.0])
    days.count(0, 6)
    assert days.total(0) == 15
    assert days.total(1) == 0


def test_ids_are_few_a_day_and_the_newest_of_all() -> None:
    days = fresh()
    for day in range(6):
        for number in range(9):
            days.note(0, f"{day}-{number}")
        days.turn(101 + day, [1.0, 0.0, 0.0])
    assert days.ids_of(0) == [f"{day}-{number}" for day in (3, 4, 5) for number in range(IDS_A_DAY)]
    assert len(days.ids) == IDS


def test_ids_go_when_the_sum_is_back_at_nothing() -> None:
    days = fresh()
    days.note(0, "a")
    days.note(1, "b")
    days.turn(101, [0.0, 1.0, 0.0])
    assert [event_id for _, _, event_id in days.ids] == ["b"]


def test_an_id_of_a_kilobyte_is_not_kept() -> None:
    days = fresh()
    days.note(0, "x" * (LONGEST_ID + 1))
    assert days.ids == []


def test_it_began_on_the_day_it_rose_from_nothing() -> None:
    days = fresh(200)
    days.note(0, "a")
    days.turn(201, [1.0, 0.0, 0.0])
    days.note(0, "b")
    assert days.began[0] == 200


def test_stored_it_stays_below_400_bytes_and_with_ids_below_1300() -> None:
    days = closed([MOST] * 40, 0.123)
    assert len(msgspec.msgpack.encode(days.stored())) < 400
    for day in range(4):
        for number in range(IDS_A_DAY):
            days.note(0, f"{number:064d}")
        days.turn(300 + day, [1.0] * SORTS)
    assert len(msgspec.msgpack.encode(days.stored())) < 1_300


def test_what_nobody_filled_takes_little() -> None:
    assert len(msgspec.msgpack.encode(Days(Stored()).stored())) < 100


@given(st.lists(st.tuples(st.lists(st.integers(0, 70_000), min_size=SORTS, max_size=SORTS), STEPS), max_size=30))
def test_stored_and_read_again_it_is_equal(history: list[tuple[list[int], tuple[float, ...]]]) -> None:
    days = fresh()
    decode = msgspec.msgpack.Decoder(Stored).decode
    for number, (counts, steps) in enumerate(history):
        for sort, count in enumerate(counts):
            days.count(sort, count)
            days.note(sort, f"e{number}")
        days.turn(101 + 2 * number, steps)
        again = Days(decode(msgspec.msgpack.encode(days.stored())))
        assert again.stored() == days.stored()
        days = again
