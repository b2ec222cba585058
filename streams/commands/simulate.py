"""auditwatch simulate: a sample organisation's raw logs, with labelled attacks and the context file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from streams.simulate.company import SMALLEST
from streams.simulate.organisation import DEFAULT_START, Organisation, simulate
from streams.simulate.output import write

_EVENTS_PER_USER_AND_DAY = 45


@click.command("simulate", short_help="A sample organisation's raw logs with labelled attacks and its context file.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write; made when missing.")
@click.option("--users", type=click.IntRange(min=SMALLEST), default=100, show_default=True, help="How many people.")
@click.option("--days", type=click.IntRange(min=1), default=14, show_default=True, help="How many days.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help=f"First day [default: {DEFAULT_START:%Y-%m-%d}].")
@click.option("--attack-after", type=click.IntRange(min=0), help="Days without attacks [default: half of the days].")
@click.option("--bypasses", is_flag=True, help="With people who go round decisions on access.")
def command(
    out: Path, users: int, days: int, seed: int, start: datetime | None, attack_after: int | None, bypasses: bool
) -> None:
    """Writes raw CloudTrail, Okta, GitHub and Kubernetes logs of an invented company, with labels and context.

    The files are cloudtrail.jsonl.gz, okta.jsonl.gz, github.jsonl.gz, kubernetes.jsonl.gz, context.yml, attacks.jsonl,
    lookalikes.jsonl and README.md.
    """
    try:
        first = start.replace(tzinfo=UTC) if start else None
        organisation = simulate(users, days, seed, first, attack_after, bypasses=bypasses)
        count = _write(organisation, out)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(
        f"{out}: {count} events of {users} people over {days} days, {len(organisation.attacks)} attacks, "
        f"{len(organisation.lookalikes)} look-alikes",
        err=True,
    )


def _write(organisation: Organisation, out: Path) -> int:
    console = Console(stderr=True)
    if not console.is_terminal:
        return write(organisation, out)
    expected = len(organisation.company.people) * organisation.plan.days * _EVENTS_PER_USER_AND_DAY
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("simulating", total=expected)
        return write(organisation, out, lambda count: bar.update(task, completed=count))
