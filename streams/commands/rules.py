"""auditwatch rules: check, test, list and match rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from audit.event import AuditEvent
from audit.sources import SOURCES
from rules.check import check
from rules.compile import RuleSet, match_lines
from rules.correlation import Correlation
from rules.rule import Rule
from rules.sigma import library, load
from rules.tests import TestResult, run_tests
from streams.commands.common import problems, source_file
from streams.commands.out import counting, echo_columns, echo_json, json_option, out_path, output, write_lines
from streams.load import declared
from streams.replay import EVENTS, Rejected, Source, events_of

_paths = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
_folder = click.Path(exists=True, path_type=Path)


@click.group()
def command() -> None:
    """Check, test, list and match rules. PATH is a rule file or a folder of them [default: the library that ships]."""


@command.command("check", short_help="say what is wrong with rules, with path:line:column")
@_paths
@json_option
def check_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Say what is wrong with rules: what keeps them from loading, and what is missing or doubtful.

    One problem a line, `path:line:column: message: what to do`. Exit code 1 when there is one.

    \b
    Examples:
      auditwatch rules check
      auditwatch rules check rules/ our-rules/root_login.yml
    """
    errors = check(paths or [library()])
    for error in errors:
        echo_json(error) if as_json else click.echo(str(error))
    click.echo(f"{len(errors)} problems" if errors else "nothing is wrong", err=True)
    if errors:
        raise click.exceptions.Exit(1)


@command.command("test", short_help="run the tests inside the rules")
@_paths
@json_option
def test_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Run the tests inside the rules: each record goes through the real normaliser and meets its rule.

    What failed is said with its place and why; exit code 1 then. Rules that cannot be loaded: exit code 2.

    \b
    Examples:
      auditwatch rules test
      auditwatch rules test rules/library/okta --json
    """
    with problems():
        results = run_tests(paths or [library()])
    failed = [result for result in results if not result.passed]
    for result in results if as_json else failed:
        echo_json(_test_line(result)) if as_json else click.echo(str(result))
    tested = len({result.rule_id for result in results})
    click.echo(f"{len(results)} tests of {tested} rules: {len(failed)} failed", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _test_line(result: TestResult) -> dict[str, object]:
    shown: dict[str, object] = {name: getattr(result, name) for name in result.__slots__}
    return shown | {"passed": result.passed}


@command.command("list", short_help="a table of rules")
@_paths
@json_option
def list_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """A table of rules and correlations: id, level, source, title.

    \b
    Examples:
      auditwatch rules list
      auditwatch rules list --json | jq -r 'select(.level == "critical") | .title'
    """
    with problems():
        rules = load(paths or [library()])
    everything: list[Rule | Correlation] = [*rules.rules, *rules.correlations]
    lines = [_rule_line(rule) for rule in everything]
    if as_json:
        for line in lines:
            echo_json(line)
    else:
        echo_columns(
            [("ID", "LEVEL", "SOURCE", "TITLE"), *((each.id, each.level, each.source, each.title) for each in lines)]
        )


class RuleLine(msgspec.Struct):
    """A rule or correlation as `rules list --json` shows it; `source` is where its events come from."""

    id: str
    level: str
    source: str
    title: str
    status: str
    attack: tuple[str, ...]
    path: Path


def _rule_line(rule: Rule | Correlation) -> RuleLine:
    source = "correlation" if isinstance(rule, Correlation) else "/".join(filter(None, (rule.product, rule.service)))
    return RuleLine(rule.id, rule.severity, source, rule.title, rule.status, rule.attack, rule.path)


@command.command("match", short_help="which stateless rules match which events, for comparing with other engines")
@click.argument("sources", metavar="SOURCE=FILE...", nargs=-1, required=True)
@click.option(
    "--rules", type=_folder, multiple=True, help="Rule file or folder; may be repeated [default: the library]."
)
@click.option("--context", type=_folder, help="What the company declares.")
@click.option("--out", type=out_path, default=Path("-"), help="Where the lines go [default: standard output].")
def match_command(sources: tuple[str, ...], rules: tuple[Path, ...], context: Path | None, out: Path) -> None:
    """Write {"event_id", "rule_id"}, one line for each event a stateless rule matches.

    Rules that are silent because a correlation counts their matches are included; correlations are not.

    \b
    Examples:
      auditwatch rules match cloudtrail=trail.jsonl.gz --rules sigma/rules/cloud/aws --out matches.jsonl
    """
    pairs = [Source(*source_file(each, set(SOURCES) | {EVENTS})) for each in sources]
    rejects: list[Rejected] = []
    with problems(), output(out) as stream, counting("matching") as tick:
        loaded = load(rules or [library()])
        events = events_of(pairs, declared(context), time.time_ns() // 1000, rejects)
        write_lines(stream, _matches(loaded, events, tick))
    if rejects:
        click.echo(f"{len(rejects)} records refused (first: line {rejects[0].line}: {rejects[0].error})", err=True)


def _matches(rules: RuleSet, events: Iterator[AuditEvent], tick: Callable[[int], None]) -> Iterator[bytes]:
    def with_records() -> Iterator[tuple[AuditEvent, dict[str, Any]]]:
        for event in events:
            tick(1)
            yield event, orjson.loads(event.raw)

    for event_id, rule_id in match_lines(rules, with_records()):
        yield msgspec.json.encode({"event_id": event_id, "rule_id": rule_id})
