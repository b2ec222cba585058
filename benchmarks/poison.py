"""How slowly must somebody move who holds an account and wants a theft to look usual, before he commits it?

    python -m benchmarks.poison

Each victim is a person of a simulated organisation, whose life goes on every day. Among it the thief does the same deed
again and again: he reads another bucket, with another tool, from another country. The deed has become usual once it is
not suspected any more. Beside what auditwatch does, with what is suspected held, the figure without it: everything
is learnt at once. Rules, which would speak as well, are left out, and so are peers and verdicts: nobody ever looks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import click
from msgspec.structs import replace

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, Resource
from benchmarks.simulated import context_of, events_of
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.deed import Deed
from streams.detections import Detections
from streams.packet import Packet, encode, mark
from streams.pipeline import Score
from streams.processor import Message, Processor
from streams.simulate.organisation import simulate
from streams.store import MemoryStateStore

DAY, MINUTE = 86_400 * MICROSECONDS, 60 * MICROSECONDS
SEASON = 14
"""Days of life before the thief comes; they come again and again."""
LONGEST = 120
"""Days after which he gives up."""
BUSY = 300
"""Events within these days that make a person a victim: who hardly acts has no usual."""
STEPS = ("user_agent", "source_ip", "country", "resource")
"""What a patient thief changes one after another; with the address comes its autonomous system."""


class Outcome(NamedTuple):
    """Until the deed was usual: days (None: not within LONGEST), deeds done, and the findings that told of them.

    What repeats a pending finding is suspected, and not told again.
    """

    days: int | None
    deeds: int
    findings: int


class Account:
    """A victim's account day by day: its owner's life, and what the thief does in it."""

    def __init__(self, life: Sequence[AuditEvent], detections: Detections) -> None:
        self.life = life
        self._start = life[0].time // DAY * DAY
        self._detections = detections
        self._processor = Processor(Score(self._hear), MemoryStateStore(), self._emit)
        self._judged: dict[str, Deed] = {}
        self._suspected: set[str] = set()
        self.findings = 0
        self._offset = 0
        self.day = 0

    async def open(self) -> None:
        """Lives through the season before the thief comes."""
        await self._processor.open(0)
        self._processor.begin(0, "poison", 0)
        for _ in range(SEASON):
            await self.live([])

    async def live(self, deeds: Sequence[AuditEvent]) -> list[bool]:
        """One day with these deeds at their time of day; whether each was suspected."""
        turn, shift = self.day // SEASON, self.day * DAY
        begin = self._start + self.day % SEASON * DAY
        own = [event for event in self.life if begin <= event.time < begin + DAY]
        today = [replace(event, id=f"{event.id}-{turn}", time=event.time + turn * SEASON * DAY) for event in own]
        mine = [replace(deed, time=self._start + shift + deed.time % DAY) for deed in deeds]
        for event in sorted([*today, *mine], key=lambda event: event.time):
            await self._fold(event)
        self.day += 1
        return [deed.id in self._suspected for deed in mine]

    async def _fold(self, event: AuditEvent) -> None:
        payload = encode(Packet("raw", [mark(self._offset)], [event]))
        await self._processor.step([Message(0, self._offset, payload)], self._detections)
        self._offset += 1

    def _hear(self, deeds: Sequence[Deed]) -> None:
        self._suspected |= {deed.event.id for deed in deeds if deed.findings or deed.repeats}
        self.findings += sum(bool(deed.findings) and deed.event.id.startswith("theft") for deed in deeds)

    async def _emit(self, *_: Any) -> None:
        """Nobody is told."""


def theft(life: Sequence[AuditEvent]) -> AuditEvent:
    """The deed, at the hour at which its victim is busiest."""
    (hour, _), *_ = Counter(event.time % DAY // (60 * MINUTE) for event in life).most_common(1)
    return AuditEvent(
        "theft", hour * 60 * MINUTE, "cloudtrail", "GetObject", "success", life[0].actor,
        resource=Resource("AWS::S3::Object", "payroll-archive"), source_ip="203.0.113.66", country="NL", asn=64_500,
        user_agent="rclone/1.65", account=life[0].account,
    )  # fmt: skip


def every_day(deed: AuditEvent, times: int, day: int) -> list[AuditEvent]:
    """The deed so many times within an hour of a day."""
    return [
        replace(deed, id=f"theft-{day}-{number}", time=deed.time + number * 60 * MINUTE // times)
        for number in range(times)
    ]


async def repeat(account: Account, deed: AuditEvent, times: int, longest: int = LONGEST) -> Outcome:
    """The deed so many times a day, until its first time of a day is not suspected."""
    for day in range(longest):
        suspected = await account.live(every_day(deed, times, account.day))
        if not suspected[0]:
            return Outcome(day, day * times, account.findings)
    return Outcome(None, longest * times, account.findings)


async def burst(account: Account, deed: AuditEvent, times: int) -> Outcome:
    """The deed many times in one hour, then once a day for a week: has it become usual?"""
    await account.live(every_day(deed, times, account.day))
    after = await repeat(account, deed, 1, 7)
    return after._replace(days=None if after.days is None else after.days + 1, deeds=times + after.deeds)


async def by_steps(account: Account, deed: AuditEvent, times: int, longest: int = LONGEST) -> Outcome:
    """One trait of the deed after the other: the next as soon as the one before is usual."""
    usual = account.life[-1]
    current = replace(usual, id="step", time=deed.time)
    days = done = 0
    for step in STEPS:
        current = replace(current, **{step: getattr(deed, step)})
        current = replace(current, asn=deed.asn) if step == "source_ip" else current
        if step == "resource":
            current = replace(current, source=deed.source, action=deed.action)
        outcome = await repeat(account, current, times, longest - days)
        done += outcome.deeds
        if outcome.days is None:
            return Outcome(None, done, account.findings)
        days += outcome.days
    return Outcome(days, done, account.findings)


def victims(users: int, seed: int, most: int) -> Iterator[list[AuditEvent]]:
    """Two peaceful weeks of each of the first people that are busy enough."""
    organisation = simulate(users, SEASON + 1, seed, attack_after=SEASON)
    lives: dict[str, list[AuditEvent]] = {}
    for event in events_of(organisation, context_of(organisation)):
        if event.actor.kind == "human" and event.actor.identity != "anonymous":
            lives.setdefault(event.actor.id, []).append(event)
    start = min(life[0].time for life in lives.values()) // DAY * DAY
    for _, life in sorted(lives.items())[: 4 * most]:
        season = [event for event in life if event.time < start + SEASON * DAY]
        if len(season) >= BUSY and season[0].time < start + DAY and most > 0:
            most -= 1
            yield season


def undefended() -> AbstractContextManager[Any]:
    """While it lasts, everything is learnt at once, suspected or not."""
    return patch.object(Deed, "take", lambda deed, suspected: deed.principal.learn(deed.observation))


def bare() -> Detections:
    """The shipped model, no rules, nobody declared."""
    return Detections(RuleSet([]), default_model(), EMPTY)


Plan = Callable[[Account, AuditEvent], Any]
PLANS: dict[str, Plan] = {
    "a burst of 1,000, once": partial(burst, times=1_000),
    "once a day": partial(repeat, times=1),
    "10 times a day": partial(repeat, times=10),
    "100 times a day": partial(repeat, times=100, longest=60),
    "one trait after the other, 5 times a day": partial(by_steps, times=5),
}


def tried(plan: Plan, life: Sequence[AuditEvent], detections: Detections) -> Outcome:
    """What comes of a plan against one victim."""

    async def drive() -> Outcome:
        account = Account(life, detections)
        await account.open()
        outcome: Outcome = await plan(account, theft(life))
        return outcome

    return asyncio.run(drive())


def row(outcomes: Sequence[Outcome]) -> str:
    """Outcomes against several victims in one line."""
    usual = [outcome for outcome in outcomes if outcome.days is not None]
    if not usual:
        return f"never ({median(each.findings for each in outcomes):.0f} findings)"
    days = sorted(outcome.days for outcome in usual if outcome.days is not None)
    told = median(each.findings for each in usual)
    span = f"after {days[0]} to {days[-1]} days, median {median(days):.0f}"
    return f"{len(usual)} of {len(outcomes)}: {span}; {told:.0f} findings"


@click.command()
@click.option("--users", default=40, show_default=True)
@click.option("--seed", default=31, show_default=True)
@click.option("--victims", "most", default=6, show_default=True)
def main(users: int, seed: int, most: int) -> None:
    """Prints for each plan in how many accounts the deed became usual, after how long, and how often it was told of."""
    lives = list(victims(users, seed, most))
    click.echo(f"{len(lives)} victims, {sum(map(len, lives)) / len(lives) / SEASON:.0f} events a day each")
    for name, plan in PLANS.items():
        for title, defence in (("held", nullcontext), ("learnt", undefended)):
            with defence():
                click.echo(f"{name:42}{title:8}{row([tried(plan, life, bare()) for life in lives])}")


if __name__ == "__main__":
    main()
