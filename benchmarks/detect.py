"""What is found in simulated organisations with labelled attacks, and at what price in false alerts.

    python -m benchmarks.detect --users 100 --days 14 --seeds 11,12,13

Each organisation is replayed through the worker's own processor from a cold start. A campaign is found when an alert
rests on one of its events; an alert that rests on no campaign's event is false.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click

from alerting.alert import Alert
from benchmarks.simulated import context_of, events_of
from detectors.registry import Registry, default_model
from rules import sigma
from streams.detections import Detections
from streams.replay import Replay, Run
from streams.simulate.model import Attack
from streams.simulate.organisation import Organisation, simulate

BATCH = 1_000
COLD = 3
"""Days from the start that count as cold."""
NAMES = 6
"""Detections named in one line."""


class Played(NamedTuple):
    """An organisation and what was said about it; `seconds` of processor time from events to alerts."""

    organisation: Organisation
    said: Replay
    seconds: float

    @property
    def alerts(self) -> list[Alert]:
        """All alerts, in their last revision."""
        return list(self.said.alerts.values())

    def found(self, attack: Attack) -> list[Alert]:
        """The alerts that rest on an event of a campaign."""
        events = set(attack.event_ids)
        return [alert for alert in self.alerts if not events.isdisjoint(alert.event_ids)]

    def false(self) -> list[Alert]:
        """The alerts that rest on no campaign's event."""
        events = {event for attack in self.organisation.attacks for event in attack.event_ids}
        return [alert for alert in self.alerts if events.isdisjoint(alert.event_ids)]

    def false_by_day(self) -> Counter[int]:
        """How many of them each day of the simulation has."""
        return Counter(self.organisation.plan.day_of(alert.time) for alert in self.false())

    def oddity(self, alert: Alert) -> str:
        """The kind of look-alike that a false alert rests on."""
        events = set(alert.event_ids)
        kinds = (odd.kind for odd in self.organisation.lookalikes if not events.isdisjoint(odd.event_ids))
        return next(kinds, "ordinary life")


def play(organisation: Organisation, detections: Detections) -> Played:
    """Replays an organisation from a cold start."""
    run = Run(detections)
    stream = events_of(organisation, detections.context)

    async def drive() -> float:
        await run.open()
        spent = 0.0
        while chunk := list(islice(stream, BATCH)):
            started = time.process_time()
            await run.feed(chunk)
            spent += time.process_time() - started
        await run.close()
        return spent

    seconds = asyncio.run(drive())
    return Played(organisation, run.result, seconds)


def report(plays: Sequence[Played]) -> str:
    """The plays of organisations of equal length as a page for people."""
    return "\n".join([*_price(plays), "", *_campaigns(plays), "", *_causes(plays)])


def _price(plays: Sequence[Played]) -> Iterator[str]:
    length, many = plays[0].organisation.plan.days, len(plays)
    events = sum(each.said.events for each in plays)
    seconds = sum(each.seconds for each in plays)
    anomalies = sum(finding.kind == "anomaly" for each in plays for finding in each.said.findings.values())
    by_day = sum((each.false_by_day() for each in plays), Counter[int]())
    cold = sum(count for day, count in by_day.items() if day < COLD)
    attacked = plays[0].organisation.attack_after
    late = sum(count for day, count in by_day.items() if day >= attacked)
    yield f"{events} events, {many} organisations of {length} days, {seconds / events * 1e6:.1f} us an event"
    yield f"alerts a day        {sum(len(each.alerts) for each in plays) / many / length:5.1f}"
    yield f"false alerts a day  {by_day.total() / many / length:5.1f}"
    yield f"  first {COLD} days      {cold / many / COLD:5.1f}"
    yield f"  from day {attacked} on     {late / many / (length - attacked):5.1f}"
    yield f"  day by day          {' '.join(f'{by_day[day] / many:.1f}' for day in range(length))}"
    yield f"anomaly findings    {anomalies / events:6.2%} of events"


def _campaigns(plays: Sequence[Played]) -> Iterator[str]:
    rows: dict[str, dict[str, list[list[Alert]]]] = {"easy": {}, "medium": {}, "hard": {}}
    for each in plays:
        for attack in each.organisation.attacks:
            rows[attack.difficulty].setdefault(attack.kind, []).append(each.found(attack))
    titles = _titles(plays)
    for difficulty, kinds in rows.items():
        campaigns = [alerts for found in kinds.values() for alerts in found]
        yield f"{difficulty}: {sum(map(bool, campaigns))} of {len(campaigns)} campaigns found"
        for kind, found in sorted(kinds.items()):
            by = Counter(finding.detection for alerts in found for alert in alerts for finding in alert.findings)
            yield f"  {kind:28}{sum(map(bool, found))} of {len(found)}  {_named(by, titles)}"


def _causes(plays: Sequence[Played]) -> Iterator[str]:
    titles, causes, oddities = _titles(plays), Counter[tuple[str, ...]](), Counter[str]()
    for each in plays:
        for alert in each.false():
            causes[tuple(sorted(finding.detection for finding in alert.findings))] += 1
            oddities[each.oddity(alert)] += 1
    yield "false alerts rest on"
    for detections, count in causes.most_common(15):
        yield f"  {count:4}  {_named(Counter(detections), titles)}"
    yield "false alerts by look-alike: " + ", ".join(f"{kind} {count}" for kind, count in oddities.most_common())


def _titles(plays: Sequence[Played]) -> dict[str, str]:
    findings = (finding for each in plays for finding in each.said.findings.values())
    return {finding.detection: finding.title for finding in findings if finding.kind != "anomaly"}


def _named(detections: Counter[str], titles: dict[str, str]) -> str:
    return ", ".join(titles.get(name, name) for name, _ in detections.most_common(NAMES))


@click.command()
@click.option("--users", default=100, show_default=True)
@click.option("--days", default=14, show_default=True, help="Attacks begin after half of them.")
@click.option("--seeds", default="11,12,13", show_default=True, help="One organisation each.")
@click.option("--rules", type=click.Path(exists=True, path_type=Path), multiple=True, help="Instead of the library.")
@click.option("--models", type=click.Path(exists=True, path_type=Path), help="Registry, instead of the shipped model.")
def main(users: int, days: int, seeds: str, rules: tuple[Path, ...], models: Path | None) -> None:
    """Prints detection by kind of attack, alerts and false alerts a day, and what the false ones rest on."""
    library = sigma.load(rules or [sigma.library()])
    model = Registry(models).load() if models else default_model()
    plays = []
    for seed in map(int, seeds.split(",")):
        organisation = simulate(users, days, seed)
        plays.append(play(organisation, Detections(library, model, context_of(organisation))))
    click.echo(report(plays))


if __name__ == "__main__":
    main()
