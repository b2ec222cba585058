"""A whole organisation: `simulate` makes one, `Organisation.events` lets it live."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec

from audit.event import parse_rfc3339
from streams.simulate.bypasses import add as add_bypasses
from streams.simulate.company import Company, company
from streams.simulate.context import context
from streams.simulate.life import person_day
from streams.simulate.model import DAY, HOUR, MINUTE, SECOND, Attack, Lookalike, SimEvent
from streams.simulate.plan import Plan, make_plan
from streams.simulate.scene import Paperwork, Stage
from streams.simulate.services import services_day
from streams.simulate.stories import tell

DEFAULT_START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""
DEMO_DAYS = 4
_SPILL = 12 * HOUR
"""How much of a local day can lie before the same UTC day begins, anywhere on earth people live here."""


class Organisation(msgspec.Struct):
    """A simulated company over some days; `attack_after` is the first day with attacks."""

    company: Company
    plan: Plan
    attack_after: int
    context: dict[str, Any]
    attacks: list[Attack]
    lookalikes: list[Lookalike]
    stories: list[SimEvent]

    def events(self) -> Iterator[SimEvent]:
        """All events in time order; only about a day of them is in memory at once."""
        pending: list[SimEvent] = []
        told = 0
        for day in range(self.plan.days):
            horizon = self.plan.start + (day + 1) * DAY - _SPILL
            for person in self.company.people:
                pending += person_day(self.plan, person, day)
            pending += services_day(self.plan, self.company, day)
            upto = bisect_left(self.stories, horizon, lo=told, key=_time)
            pending += self.stories[told:upto]
            told = upto
            pending.sort(key=_time)
            settled = bisect_left(pending, horizon, key=_time)
            yield from pending[:settled]
            del pending[:settled]
        yield from sorted(pending + self.stories[told:], key=_time)


class Demo(msgspec.Struct):
    """An organisation cut in two: days of history without attacks, then a part that begins with one."""

    organisation: Organisation
    cut: int

    def history(self) -> Iterator[SimEvent]:
        """What happened before the cut."""
        return (event for event in self.organisation.events() if event.time < self.cut)

    def live(self) -> Iterator[SimEvent]:
        """What happens from the cut on; the first attack begins within two minutes."""
        return (event for event in self.organisation.events() if event.time >= self.cut)


def simulate(
    users: int,
    days: int,
    seed: int,
    start: datetime | None = None,
    attack_after: int | None = None,
    *,
    loud: bool = False,
    bypasses: bool = False,
) -> Organisation:
    """An organisation of `users` people over `days` days; the same arguments always give the same bytes.

    `start` is a day (its midnight UTC counts); attacks begin after `attack_after` days, half of them by default. With
    `loud` they are over within hours and in their louder forms. With `bypasses` people also go round decisions
    (`streams.simulate.bypasses`); all else stays as it is without.

    Raises:
        ValueError: when users < 10, days < 1, or attack_after is not a day of the simulation.
    """
    after = attack_after if attack_after is not None else days // 2
    if days < 1:
        raise ValueError(f"a simulation needs at least one day, not {days}")
    if not 0 <= after < days:
        raise ValueError(f"attacks cannot begin after day {after} of {days}: choose 0 to {days - 1}")
    midnight = parse_rfc3339((start or DEFAULT_START).isoformat()) // DAY * DAY
    first_day = datetime.fromtimestamp(midnight // SECOND, UTC).date()
    people = company(users, days, Random(f"{seed}/company"), first_day)  # noqa: S311
    stage = Stage(people, make_plan(people, days, seed, midnight), Paperwork())
    told = tell(stage, after, loud)
    if bypasses:
        add_bypasses(stage, told, after)
    return Organisation(people, stage.plan, after, context(stage), told.attacks, told.lookalikes, told.events)


def demo_events(seed: int, users: int = 25, start: datetime | None = None) -> Demo:
    """Three days of history, then a day of loud attacks, cut two minutes before the first of them.

    Raises:
        ValueError: as `simulate` does.
    """
    organisation = simulate(users, DEMO_DAYS, seed, start, attack_after=DEMO_DAYS - 1, loud=True)
    return Demo(organisation, organisation.attacks[0].start - 2 * MINUTE)


def _time(event: SimEvent) -> int:
    return event.time
