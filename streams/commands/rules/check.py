"""auditwatch rules check: what is wrong with rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rules.check import check
from rules.document import RuleError, RuleErrors
from rules.reach import seen_fields
from rules.sigma import load
from rules.unreachable import unreachable
from streams.commands.common import problems
from streams.commands.out import counting, echo_json, json_option
from streams.commands.rules.given import Logs, logs_of, now, paths_argument, paths_of, ticked, view_of
from streams.load import declared
from streams.settings import Settings


@click.command("check")
@paths_argument
@click.option("--errors", "only_errors", is_flag=True, help="Only what keeps rules from loading.")
@click.option("--logs", multiple=True, metavar="SOURCE=FILE", help="Also say which rules can never fire on these logs.")
@click.option("--trail", type=click.Path(exists=True, path_type=Path), help="The same for the stored trail.")
@json_option
def command(
    paths: tuple[Path, ...], only_errors: bool, logs: tuple[str, ...], trail: Path | None, as_json: bool
) -> None:
    """Say what is wrong with rules: what keeps them from loading, what is missing or doubtful, what is there twice.

    One problem a line, `path:line:column: message: what to do`. Exit code 1 when there is one. With --logs or --trail
    also rules that need a field these logs never hold although they hold the events the rule is about.

    \b
    Examples:
      auditwatch rules check
      auditwatch rules check rules/ our-rules/root_login.yml
      auditwatch rules check our-rules --logs cloudtrail=trail.jsonl.gz
      auditwatch rules check sigma/rules --errors
    """
    where = paths_of(paths)
    errors = _load_errors(where) if only_errors else check(where, now())
    if logs or trail:
        with problems():
            given = logs_of(logs, Settings(), declared(None), trail, (None, None))
            if not given.again:
                raise click.UsageError("logs are read twice: give --logs a file, not -")
            errors = sorted({*errors, *_unreachable(where, given)})
    for error in errors:
        echo_json(error) if as_json else click.echo(str(error))
    click.echo(f"{len(errors)} problems" if errors else "nothing is wrong", err=True)
    if errors:
        raise click.exceptions.Exit(1)


def _load_errors(paths: Sequence[Path]) -> list[RuleError]:
    try:
        load(paths)
    except RuleErrors as found:
        return found.errors
    return []


def _unreachable(paths: Sequence[Path], logs: Logs) -> list[RuleError]:
    """Reads the logs twice: for the fields they hold, and for the events that lack only those."""
    try:
        rules = load(paths)
    except RuleErrors:
        return []  # check has said so
    seen: dict[str, set[str]] = {}
    with counting("reading fields") as tick:
        for event in logs.events():
            tick(1)
            seen_fields(view_of(event).record, seen.setdefault(event.source, set()))
    logs.complain()
    with counting("looking for rules that cannot fire") as tick:
        return unreachable(rules, paths, seen, ticked(map(view_of, logs.events()), tick))
