"""Trains the model that comes with the package on the simulated organisation's ordinary life.

    python -m benchmarks.train_default

The same seeds give the same bytes on the same libraries (they are on the card); about two minutes.
"""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.simulated import context_of, events_of
from detectors.registry import DEFAULT, write_model
from detectors.train import Matrix, fit, matrix, stack
from streams.simulate.organisation import simulate


@click.command()
@click.option("--users", default=200, show_default=True)
@click.option("--days", default=28, show_default=True)
@click.option("--seeds", default="101,102,103", show_default=True, help="One organisation each.")
@click.option("--out", type=click.Path(file_okay=False, exists=True, path_type=Path), default=DEFAULT)
def main(users: int, days: int, seeds: str, out: Path) -> None:
    """Writes card.json and forest.bin; people of different organisations have nothing in common but the model."""
    table = stack([_table(users, days, seed) for seed in map(int, seeds.split(","))])
    model, card = fit(table, seed=1)
    write_model(out, model)
    click.echo(f"{out}: {model.hash}, {card.events} events of {card.principals} principals, above {card.threshold:.2f}")


def _table(users: int, days: int, seed: int) -> Matrix:
    organisation = simulate(users, days, seed)
    context = context_of(organisation)
    return matrix(events_of(organisation, context, attacks=False), context)


if __name__ == "__main__":
    main()
