"""auditwatch models evaluate: campaigns found at a fixed number of alerts a day, on organisations with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from rules import sigma
from streams.commands.common import Unusable, problems
from streams.commands.out import counting, out_path, output
from streams.evaluate import Measured
from streams.evaluate_figures import KindRow, OddRow, Summary, by_kind, by_lookalike, summarise
from streams.evaluate_jobs import Task, Unplayable, measure, model_of
from streams.evaluate_table import page
from streams.load import rule_folders
from streams.simulate.company import SMALLEST

try:
    from detectors.train import plain_forest
except ModuleNotFoundError as absent:
    if absent.name != "sklearn":
        raise
    plain_forest = None  # type: ignore[assignment]


class Numbers(click.ParamType):
    """Numbers with commas between them."""

    name = "N,N,..."

    def __init__(self, least: float) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of whole numbers, or of the wrong one's complaint."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(dict.fromkeys(int(part) for part in value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is not whole numbers with commas between them", param, ctx)
        if min(numbers) < self._least:
            self.fail(f"{min(numbers)} is less than {self._least:g}", param, ctx)
        return numbers


class Report(msgspec.Struct):
    """What --json writes."""

    model: str
    summaries: list[Summary]
    kinds: list[KindRow]
    lookalikes: list[OddRow]
    organisations: list[Measured]


@click.command("evaluate", short_help="campaigns found at a fixed number of alerts a day")
@click.option("--users", type=click.IntRange(min=SMALLEST), default=300, show_default=True, help="People.")
@click.option("--days", type=click.IntRange(min=2), default=28, show_default=True, help="Attacks begin after half.")
@click.option("--seeds", type=Numbers(0), default="21,22,23,24", show_default=True, help="One organisation each.")
@click.option("--budget", "budgets", type=Numbers(1), default="5,10,20", show_default=True, help="Alerts a day.")
@click.option(
    "--in", "folders", type=click.Path(exists=True, file_okay=False, path_type=Path), multiple=True,
    metavar="DIR", help="Instead: the output of `auditwatch simulate`; may be repeated.",
)  # fmt: skip
@click.option("--model", default="", metavar="ID|DIR", help="A model of the registry, or a folder with card.json.")
@click.option("--registry", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Its current model.")
@click.option(
    "--rules", type=click.Path(path_type=Path), multiple=True, metavar="DIR",
    help="Instead of the library; may be repeated; `library` stands for it.",
)  # fmt: skip
@click.option("--json", "out", type=out_path, help="Also write all figures as one JSON object; - for standard output.")
@click.option("--naive/--no-naive", default=True, show_default=True, help="Beside it, a forest on raw fields.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Organisations at a time.")
def command(
    users: int,
    days: int,
    seeds: tuple[int, ...],
    budgets: tuple[int, ...],
    folders: tuple[Path, ...],
    model: str,
    registry: Path | None,
    rules: tuple[Path, ...],
    out: Path | None,
    naive: bool,
    jobs: int,
) -> None:
    """Tell how many attacks are found at a fixed number of alerts a day, how fast, and what false alerts cost.

    Organisations with labelled attacks are simulated and replayed through the worker's own processor from a cold start,
    with rules, model, slow detectors and declared context together. Thresholds are set without hindsight: each day's by
    the days before it. Without --model and --registry the model that ships is measured.

    \b
    Examples:
      auditwatch models evaluate
      auditwatch models evaluate --users 100 --days 14 --seeds 1,2 --model ./trained
      auditwatch models evaluate --in acorn --no-naive --json figures.json
    """
    if naive and plain_forest is None:
        raise Unusable("the forest beside it needs scikit-learn: pip install 'auditwatch[training]', or --no-naive")
    with problems():
        name = model_of(model, registry).hash
        sigma.load(rule_folders(rules))  # mistakes show before the long work
    fit = plain_forest if naive else None
    task = Task(None, users, days, 0, budgets, rules, model, registry, fit)
    tasks = [task._replace(folder=each) for each in folders] or [task._replace(seed=seed) for seed in seeds]
    try:
        with counting("playing") as tick:
            measured = measure(tasks, jobs, tick)
    except Unplayable as error:
        raise Unusable(str(error)) from error
    if out is None or str(out) != "-":
        click.echo(f"model {name}")
        click.echo("\n".join(page(measured)))
    if out:
        own = [each for each in measured if each.system == "auditwatch"]
        report = Report(name, summarise(measured), [*by_kind(own)], [*by_lookalike(own)], measured)
        with output(out) as stream:
            stream.write(msgspec.json.encode(report) + b"\n")
