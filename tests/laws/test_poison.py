"""Law 6, measured: how slowly somebody must move to make a theft look usual (all figures: benchmarks/poison.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from audit.event import AuditEvent
from benchmarks.poison import (
    DAY,
    STEPS,
    Account,
    Outcome,
    Plan,
    bare,
    burst,
    by_steps,
    every_day,
    repeat,
    theft,
    tried,
    undefended,
    victims,
)

MOST = 20
"""Days tried here."""


@pytest.fixture(scope="module")
def life() -> Sequence[AuditEvent]:
    (found,) = victims(users=20, seed=31, most=1)
    return found


@pytest.fixture
def outcome(life: Sequence[AuditEvent]) -> Callable[[Plan], Outcome]:
    return lambda plan: tried(plan, life, bare())


def test_a_burst_never_makes_a_deed_usual(outcome: Callable[[Plan], Outcome]) -> None:
    """Where all is learnt at once, it does by the next day."""
    plan = partial(burst, times=300)
    held = outcome(plan)
    assert held.days is None
    assert held.findings > 150  # it grows stranger while it is kept out of the usual
    with undefended():
        assert outcome(plan).days == 1


def test_once_a_day_takes_weeks_and_is_told_of_nearly_every_day(outcome: Callable[[Plan], Outcome]) -> None:
    """Here; of the benchmark's six accounts some take it for usual after four to five weeks."""
    held = outcome(partial(repeat, times=1, longest=MOST))
    assert held.days is None or held.days >= 14
    assert held.findings >= 0.8 * (held.days or MOST)


def test_many_a_day_takes_days_and_is_told_of_all_the_while(outcome: Callable[[Plan], Outcome]) -> None:
    plan = partial(repeat, times=10, longest=MOST)
    held = outcome(plan)
    with undefended():
        learnt = outcome(plan)
    assert learnt.days is not None
    assert held.days is None or held.days >= max(4, 2 * learnt.days)
    assert held.findings >= 3


def test_one_trait_after_the_other_is_no_way_around(outcome: Callable[[Plan], Outcome]) -> None:
    """Each of them costs a day at least, and findings."""
    held = outcome(partial(by_steps, times=5, longest=MOST))
    assert held.days is None or held.days >= len(STEPS)
    assert held.findings >= len(STEPS) - 1


def test_the_benchmark_does_what_it_says(life: Sequence[AuditEvent]) -> None:
    deed = theft(life)
    assert deed.actor == life[0].actor
    assert deed.resource not in {event.resource for event in life}
    times = [each.time for each in every_day(deed, 7, 3)]
    assert times == sorted(times)
    assert times[-1] - times[0] < DAY // 24
    assert len({each.id for day in range(3) for each in every_day(deed, 7, day)}) == 21


async def test_the_victim_s_own_life_goes_on_undisturbed(life: Sequence[AuditEvent]) -> None:
    account = Account(life, bare())
    await account.open()
    folded = account._processor.folded
    assert folded == len(life)
    assert await account.live([]) == []
    assert account._processor.folded > folded
    assert account._processor.repeats == 0
