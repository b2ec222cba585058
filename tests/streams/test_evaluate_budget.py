from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerting.alert import Alert
from audit.finding import RISK, Finding, FindingKind, Severity, Version
from detectors.anomaly import DETECTION
from detectors.budget import DAY, RECENT_DAYS
from streams.evaluate_budget import Candidate, Step, rank, told

START = 20_000 * DAY
HOUR = DAY // 24


def says(severity: Severity, kind: FindingKind = "rule", detection: str = "r") -> Finding:
    risk = RISK[severity]
    return Finding("f", START, kind, detection, "title", severity, risk, "ada", "user:ada", ("e",))


def rests_on(*findings: Finding, risk: int = 60) -> Alert:
    return Alert(
        "a", START, "high", risk, "ada", "user:ada", "title", "", findings, ("e",), (), (), Version(), "user:ada"
    )


def test_what_people_call_grave_comes_before_whatever_the_forest_says() -> None:
    forest = says("high", "anomaly", DETECTION)
    ascending = [
        rank(rests_on(says("medium")), 0.0),
        rank(rests_on(forest, risk=62), 3.4),
        rank(rests_on(says("medium"), forest, risk=95), 4.0),
        rank(rests_on(says("high")), 0.0),
        rank(rests_on(says("high", "correlation")), 2.5),
        rank(rests_on(says("high"), forest, risk=100), 3.0),
        rank(rests_on(says("critical"), risk=90), 0.0),
    ]
    assert ascending == sorted(set(ascending))


def test_a_slow_campaign_ranks_with_the_rules() -> None:
    assert rank(rests_on(says("high", "anomaly", "slow.download")), 0.0) == rank(rests_on(says("high")), 0.0)


def alert(day: int, rank: float, hour: int = 9, name: str = "ada") -> Candidate:
    return Candidate(f"user:{name}", name, [Step(START + day * DAY + hour * HOUR, rank)])


def days(candidates: list[Candidate], budget: float) -> list[int]:
    return [(one.time - START) // DAY for one in told(candidates, budget, START)]


def test_without_history_the_first_of_a_day_are_told() -> None:
    early = [alert(0, 10, hour) for hour in range(5)] + [alert(1, 90, hour) for hour in range(5)]
    passed = told(early, 2, START)
    assert [(one.time - START) // HOUR for one in passed] == [0, 1, 24, 25]


def test_a_quiet_history_sets_no_bar() -> None:
    assert days([alert(day, 60) for day in range(10)], 2) == list(range(10))


def test_a_busy_history_keeps_the_lesser_out() -> None:
    history = [alert(day, 60 + hour, hour) for day in range(5) for hour in range(10)]
    candidates = [*history, alert(5, 62), alert(5, 70, 10), alert(5, 99, 11)]
    assert [one.candidate.steps[0].rank for one in told(candidates, 2, START) if one.time >= START + 5 * DAY] == [
        70,
        99,
    ]


def test_a_day_may_bring_more_than_the_budget_and_raises_the_bar_of_the_next() -> None:
    quiet = [alert(day, 60) for day in range(6)]
    burst = [alert(6, 80, hour) for hour in range(24)]
    passed = days([*quiet, *burst, alert(7, 80), alert(7, 81)], 1)
    assert passed.count(6) == 24
    assert passed.count(7) == 1


def test_an_alert_that_grows_is_told_once_when_it_passes() -> None:
    history = [alert(day, 70, hour) for day in range(4) for hour in range(6)]
    at = START + 4 * DAY
    growing = Candidate(
        "user:bob", "bob", [Step(at, 60), Step(at + HOUR, 71, frozenset({"a"})), Step(at + 2 * HOUR, 99)]
    )
    (one,) = [each for each in told([*history, growing], 1, START) if each.candidate is growing]
    assert (one.time, one.since, len(one.heard)) == (at + HOUR, 1, 2)


def test_what_comes_later_changes_nothing_said_before() -> None:
    before = [alert(day, 60 + hour, hour) for day in range(6) for hour in range(8)]
    after = [alert(day, 100, hour) for day in range(6, 9) for hour in range(20)]
    known = len(told(before, 3, START))
    assert told([*before, *after], 3, START)[:known] == told(before, 3, START)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 23), st.integers(0, 100)), max_size=80), st.integers(1, 5))
def test_more_budget_tells_no_less(rows: list[tuple[int, int, int]], budget: int) -> None:
    candidates = [alert(day, rank, hour) for day, hour, rank in rows]
    less, more = (told(candidates, each, START) for each in (budget, budget + 3))
    assert {id(one.candidate) for one in less} <= {id(one.candidate) for one in more}
    cold = [one for one in less if one.time < START + RECENT_DAYS * DAY]
    assert len(cold) <= RECENT_DAYS * budget
