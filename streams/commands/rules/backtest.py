"""auditwatch rules backtest: what rules would have done to logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rules.backtest import Attack, read_attacks
from rules.correlation import Correlation
from rules.find import closure, find_all
from rules.rule import Rule
from streams.backtest import Backtest, as_live, backtest, chosen
from streams.commands.common import Unusable, config_option, settings_of
from streams.commands.out import counting, json_option
from streams.commands.rules.given import answers, folder, logs_of, logs_options, paths_of, rules_option, told_apart
from streams.commands.rules.report import Report, echo_report, show_report
from streams.detections import Detections
from streams.load import load_detections

labels_option = click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Labelled attacks, as simulate writes them.",
)


@click.command("backtest")
@click.argument("words", metavar="SOURCE=FILE... [RULE]...", nargs=-1)
@logs_options
@rules_option
@click.option("--against", type=folder, help="The same rules before a change: another file or folder to compare with.")
@labels_option
@click.option("--models", type=folder, help="Model registry [default: AUDITWATCH_MODELS, else the shipped model].")
@click.option("--live", is_flag=True, help="Count rules in shadow as if they were live.")
@config_option
@json_option
def command(
    words: tuple[str, ...],
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    rules: tuple[Path, ...],
    against: Path | None,
    labels: Path | None,
    models: Path | None,
    live: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """What rules would have done to files or the trail: fires a day, people hit, alerts and Slack messages.

    The logs go through the worker's own processor, anomalies included. With --against what a change of rules changes:
    events that only the old, only the new or both hit. With --labels what was really an attack. RULE is an id, a file
    name or a part of the title; without one, all rules are run. An alert is one message in Slack; while it grows, the
    message is edited.

    \b
    Examples:
      auditwatch rules backtest cloudtrail=trail.jsonl.gz
      auditwatch rules backtest --trail .auditwatch/trail --since 30d "console login" --live
      auditwatch rules backtest okta=okta.jsonl --rules our-rules --against our-rules.before --labels attacks.jsonl
    """
    settings = settings_of(config)
    with answers():
        sources, names = told_apart(words)
        who, model = context or settings.context, models or settings.models
        versions = [load_detections(who, paths_of(each, settings), model) for each in _versions(rules, against)]
        if names:
            versions = [_only(version, names, needed=place == 0) for place, version in enumerate(versions)]
        versions = [as_live(version) for version in versions] if live else versions
        attacks = attacks_of(labels)
        logs = logs_of(sources, settings, versions[0].context, trail, (since, until))
        with counting("backtesting") as tick:
            tests = backtest(logs.events(), versions, on_events=lambda chunk: tick(len(chunk)))
        report = Report(tests[0], tests[1] if against else None, attacks)
        echo_report(report) if as_json else show_report(report)
        logs.complain()
    _complain(tests)


def _versions(rules: tuple[Path, ...], against: Path | None) -> list[tuple[Path, ...]]:
    return [rules, *([(against,)] if against else [])]


def _only(version: Detections, names: Sequence[str], needed: bool) -> Detections:
    """Only the rules named; an older version may lack some."""
    found: list[Rule | Correlation] = []
    for name in names:
        try:
            found += find_all(version.rules, name)
        except LookupError:
            if needed:
                raise
    return chosen(version, closure(found))


def attacks_of(labels: Path | None) -> list[Attack]:
    """The labelled attacks of a file; none without one. Raises Unusable."""
    try:
        return read_attacks(labels.read_bytes().splitlines()) if labels else []
    except (OSError, ValueError) as error:
        raise Unusable(f"{labels}: {error}") from error


def _complain(tests: Sequence[Backtest]) -> None:
    for test in tests:
        if test.faults:
            click.echo(f"{len(test.faults)} faults (first: {test.faults[0].error})", err=True)
