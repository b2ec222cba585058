"""How often the slow detectors speak of organisations in which nothing but ordinary life happens.

    python -m benchmarks.slow        # a minute and a half

Trips, moves, migrations and access requests are left in, attacks out: every alarm is a false one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import click

from audit.context import Context
from audit.event import AuditEvent
from benchmarks.simulated import context_of, events_of
from detectors.features import observe
from detectors.slow import WATCHES, Alarm, sorts_of
from streams.principal import Principal
from streams.simulate.organisation import simulate


def alarms(events: Iterable[AuditEvent], context: Context) -> Iterator[tuple[Alarm, str]]:
    """What the slow detectors say of events, and whose deeds it is about."""
    principals: dict[str, Principal] = {}
    for event in events:
        actor = event.actor
        if actor.identity == "anonymous":
            continue
        principal = principals.setdefault(actor.id, Principal.unpack(None, None))
        observation = observe(event, context)
        history = principal.meet(observation)
        for alarm in principal.slow.see(event, sorts_of(event, history.new, observation.privileged)).alarms:
            yield alarm, actor.id


@click.command()
@click.option("--users", default=300, show_default=True)
@click.option("--days", default=28, show_default=True)
@click.option("--seeds", default="31,32,33", show_default=True)
def main(users: int, days: int, seeds: str) -> None:
    """Prints for each detector its alarms in all, a day of one organisation, and how many rest on look-alikes."""
    told: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    numbers = [int(seed) for seed in seeds.split(",")]
    for seed in numbers:
        organisation = simulate(users, days, seed)
        known = {event for lookalike in organisation.lookalikes for event in lookalike.event_ids}
        context = context_of(organisation)
        for alarm, _ in alarms(events_of(organisation, context, attacks=False), context):
            told[alarm.watch.detection] += 1
            odd[alarm.watch.detection] += any(event in known for event in alarm.event_ids)
    click.echo(f"{len(numbers)} organisations of {users} people, {days} days, no attacks")
    for watch in WATCHES:
        count = told[watch.detection]
        rate = count / days / len(numbers)
        click.echo(
            f"{watch.detection:16}{count:4} alarms, {rate:.3f} a day; {odd[watch.detection]} rest on look-alikes"
        )


if __name__ == "__main__":
    main()
