"""What is found in simulated organisations with labelled attacks, and at what price in false alerts.

    python -m benchmarks.detect --users 100 --days 14 --seeds 11,12,13

Each organisation is replayed through the worker's own processor from a cold start. A campaign is found when an alert
rests on one of its events; an alert that rests on no campaign's event is false.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click

from alerting.alert import Alert
from benchmarks.simulated import context_of, events_of
from detectors.registry import Registry, default_model
from rules import sigma
from rules.compile import RuleSet
from streams.detections import Detections
from streams.replay import Replay, Run
from streams.simulate.model import Attack
from streams.simulate.organisation import Organisation, simulate

BATCH = 1_000
COLD = 3
"""Days from the start that count as cold."""


class Played(NamedTuple):
    """An organisation and what was said about it; `seconds` of processor time from events to alerts."""

    organisation: Organisation
    said: Replay
    seconds: float

    def day(self, moment: int) -> int:
        """The day of the simulation a time (microseconds) falls into."""
        return self.organisation.plan.day_of(moment)

    def found(self, attack: Attack) -> list[Alert]:
        """The alerts that rest on an event of a campaign."""
        events = set(attack.event_ids)
        return [alert for alert in self.said.alerts.values() if not events.isdisjoint(alert.event_ids)]

    def false(self) -> list[Alert]:
        """The alerts that rest on no campaign's event."""
        events = {event for attack in self.organisation.attacks for event in attack.event_ids}
        return [alert for alert in self.said.alerts.values() if events.isdisjoint(alert.event_ids)]

    def oddity(self, alert: Alert) -> str:
        """The kind of look-alike a false alert rests on."""
        events = set(alert.event_ids)
        kinds = (odd.kind for odd in self.organisation.lookalikes if not events.isdisjoint(odd.event_ids))
        return next(kinds, "ordinary life")


def play(organisation: Organisation, detections: Detections) -> Played:
    """Replays an organisation from a cold start."""
    run = Run(detections, keep_scores=True)
    stream = events_of(organisation, detections.context)
    seconds = 0.0

    async def drive() -> float:
        await run.open()
        spent = 0.0
        while chunk := list(islice(stream, BATCH)):
            started = time.process_time()
            await run.feed(chunk)
            spent += time.process_time() - started
        return spent

    seconds = asyncio.run(drive())
    return Played(organisation, run.result, seconds)


def report(plays: Sequence[Played]) -> list[str]:
    """Lines for people."""
    return [*_price(plays), "", *_campaigns(plays), "", *_causes(plays)]


def _price(plays: Sequence[Played]) -> Iterable[str]:
    days = sum(each.organisation.plan.days for each in plays)
    events = sum(each.said.events for each in plays)
    alerts = sum(len(each.said.alerts) for each in plays)
    false = [(each.day(alert.time), alert) for each in plays for alert in each.false()]
    strange = sum(finding.kind == "anomaly" for each in plays for finding in each.said.findings.values())
    cold = sum(day < COLD for day, _ in false)
    cold_strange = sum(day < COLD and _kinds(alert) == {"anomaly"} for day, alert in false)
    after = [(each.organisation.attack_after, each.organisation.plan.days) for each in plays]
    watched = sum(days - first for first, days in after)
    late = sum(day >= first for (day, _), first in ((pair, after[0][0]) for pair in false))
    seconds = sum(each.seconds for each in plays)
    yield f"{events} events in {days} days of {len(plays)} organisations, {seconds / events * 1e6:.1f} us an event"
    yield f"alerts a day            {alerts / days:6.1f}"
    yield f"false alerts a day      {len(false) / days:6.1f}   while attacked {late / watched:.1f}"
    yield f"  in the first {COLD} days   {cold / COLD / len(plays):6.1f}   from anomalies alone {cold_strange / COLD / len(plays):.1f}"
    yield f"anomaly findings        {strange / events:6.2%} of events"
    for day in range(max(each.organisation.plan.days for each in plays)):
        pass
    by_day = Counter(day for day, _ in false)
    yield "false by day            " + " ".join(f"{by_day[day] / len(plays):.0f}" for day in range(after[0][1]))


def _kinds(alert: Alert) -> set[str]:
    return {finding.kind for finding in alert.findings}


def _campaigns(plays: Sequence[Played]) -> Iterable[str]:
    rows: dict[tuple[str, str], list[list[Alert]]] = {}
    for each in plays:
        for attack in each.organisation.attacks:
            rows.setdefault((attack.difficulty, attack.kind), []).append(each.found(attack))
    for difficulty in ("easy", "medium", "hard"):
        own = {kind: found for (level, kind), found in rows.items() if level == difficulty}
        hits, many = sum(bool(one) for found in own.values() for one in found), sum(map(len, own.values()))
        yield f"{difficulty:8}{hits} of {many} campaigns found"
        for kind, found in sorted(own.items()):
            by = Counter(finding.detection for alerts in found for alert in alerts for finding in alert.findings)
            yield f"  {kind:28}{sum(map(bool, found))} of {len(found)}   {_named(by, plays)}"


def _causes(plays: Sequence[Played]) -> Iterable[str]:
    causes: Counter[tuple[str, ...]] = Counter()
    oddities: Counter[str] = Counter()
    for each in plays:
        for alert in each.false():
            causes[tuple(sorted(finding.detection for finding in alert.findings))] += 1
            oddities[each.oddity(alert)] += 1
    yield "false alerts rest on"
    for detections, count in causes.most_common(15):
        yield f"  {count:4}  {_named(Counter(detections), plays)}"
    yield "false alerts by look-alike: " + ", ".join(f"{kind} {count}" for kind, count in oddities.most_common())


def _named(detections: Counter[str], plays: Sequence[Played]) -> str:
    titles = {
        one.detection: one.title for each in plays for one in each.said.findings.values() if one.kind != "anomaly"
    }
    return ", ".join(f"{titles.get(name, name)}" for name, _ in detections.most_common(6))


@click.command()
@click.option("--users", default=100, show_default=True)
@click.option("--days", default=14, show_default=True, help="Attacks begin after half of them.")
@click.option("--seeds", default="11,12,13", show_default=True, help="One organisation each.")
@click.option("--rules", type=click.Path(exists=True, path_type=Path), multiple=True, help="Instead of the library.")
@click.option("--models", type=click.Path(exists=True, path_type=Path), help="Registry, instead of the shipped model.")
def main(users: int, days: int, seeds: str, rules: tuple[Path, ...], models: Path | None) -> None:
    """Prints detection by kind of attack, alerts and false alerts a day, and what the false ones rest on."""
    library: RuleSet = sigma.load(rules or [sigma.library()])
    model = Registry(models).load() if models else default_model()
    plays = []
    for seed in map(int, seeds.split(",")):
        organisation = simulate(users, days, seed)
        plays.append(play(organisation, Detections(library, model, context_of(organisation))))
    print("\n".join(report(plays)))


if __name__ == "__main__":
    main()
