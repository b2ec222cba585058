"""auditwatch rules test: the tests inside the rules."""

from __future__ import annotations

from pathlib import Path

import click

from rules.find import everything
from rules.sigma import load
from rules.tests import TestResult, lacking, run_tests
from streams.commands.common import problems
from streams.commands.out import echo_json, json_option
from streams.commands.rules.given import paths_argument, paths_of


@click.command("test")
@paths_argument
@json_option
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Run the tests inside the rules: each record goes through the real normaliser and meets its rule.

    What failed is said with its place and why; exit code 1 then. A rule without a test that must match, one that must
    not, and a near miss (near_miss: true) fails too. Rules that cannot be loaded: exit code 2.

    \b
    Examples:
      auditwatch rules test
      auditwatch rules test rules/library/okta --json
    """
    with problems():
        rules = load(paths_of(paths))
    results = run_tests(rules)
    failed = [result for result in results if not result.passed]
    untested = [(rule, kinds) for rule in everything(rules) if (kinds := lacking(rule))]
    for result in results if as_json else failed:
        echo_json(_line(result)) if as_json else click.echo(str(result))
    for rule, kinds in untested:
        if as_json:
            echo_json({"rule_id": rule.id, "title": rule.title, "path": rule.path, "lacks": kinds, "passed": False})
        else:
            click.echo(
                f"{rule.path}:1: {rule.title}: no test {', no test '.join(kinds)}: add it under auditwatch: tests:"
            )
    tested = len({result.rule_id for result in results})
    lacks = f", {len(untested)} rules lack tests" if untested else ""
    click.echo(f"{len(results)} tests of {tested} rules: {len(failed)} failed{lacks}", err=True)
    if failed or untested:
        raise click.exceptions.Exit(1)


def _line(result: TestResult) -> dict[str, object]:
    shown: dict[str, object] = {name: getattr(result, name) for name in result.__slots__}
    return shown | {"passed": result.passed}
