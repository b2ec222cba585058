"""What is found of the same campaigns done half as much: how far the rules' thresholds lie from the simulated attacks.

    python -m benchmarks.halved        # some minutes

Whoever wrote the rules knew the attacks: forty objects are many where seventy are taken. So every second time that a
campaign does the same is left out, the labels stay, and the organisation is played like `auditwatch models evaluate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import click

from audit.event import AuditEvent
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.evaluate import evaluate
from streams.evaluate_labels import Labelled, simulated
from streams.evaluate_table import page
from streams.simulate.organisation import simulate


def halved(labelled: Labelled) -> Labelled:
    """The organisation in which every campaign does each thing half as often: the first time, the third, ..."""
    return replace(labelled, events=partial(_half, labelled))


def _half(labelled: Labelled) -> Iterator[AuditEvent]:
    times: Counter[tuple[str, str]] = Counter()
    for event in labelled.events():
        attack = labelled.attack_of.get(event.id)
        if attack:
            deed = attack.id, event.action
            times[deed] += 1
            if times[deed] % 2 == 0:
                continue
        yield event


@click.command()
@click.option("--users", default=300, show_default=True)
@click.option("--days", default=28, show_default=True)
@click.option("--seeds", default="11,12", show_default=True)
@click.option("--budget", default=10.0, show_default=True)
def main(users: int, days: int, seeds: str, budget: float) -> None:
    """Prints what `auditwatch models evaluate` would."""
    measured = []
    for seed in map(int, seeds.split(",")):
        labelled = halved(simulated(simulate(users, days, seed)))
        detections = Detections(sigma.load([sigma.library()]), default_model(), labelled.context)
        measured += evaluate(labelled, detections, [budget])
    for line in page(measured):
        click.echo(line)


if __name__ == "__main__":
    main()
