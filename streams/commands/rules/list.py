"""auditwatch rules list: which rules there are."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rules.correlation import Correlation
from rules.find import everything
from rules.rule import Rule
from streams.commands.common import problems
from streams.commands.out import echo_json, json_option
from streams.commands.rules.given import paths_argument, rules_of
from streams.commands.rules.table import Column, echo_table


@click.command("list")
@paths_argument
@json_option
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """A table of rules and correlations: id, level, stage where it is not live, source, title.

    \b
    Examples:
      auditwatch rules list
      auditwatch rules list --json | jq -r 'select(.level == "critical") | .title'
    """
    with problems():
        rules = rules_of(paths)
    lines = [_line(rule) for rule in everything(rules)]
    if as_json:
        for line in lines:
            echo_json(line)
        return
    columns = [Column("ID"), Column("LEVEL"), Column("STAGE"), Column("SOURCE"), Column("TITLE")]
    shown = [(one.id, one.level, "" if one.stage == "live" else one.stage, one.source, one.title) for one in lines]
    echo_table(columns, shown)


class RuleLine(msgspec.Struct):
    """A rule or correlation as `rules list --json` shows it; `source` is where its events come from."""

    id: str
    level: str
    stage: str
    source: str
    title: str
    status: str
    attack: tuple[str, ...]
    path: Path


def _line(rule: Rule | Correlation) -> RuleLine:
    return RuleLine(
        rule.id, rule.severity, rule.stage, source_of(rule), rule.title, rule.status, rule.attack, rule.path
    )


def source_of(rule: Rule | Correlation) -> str:
    """Where a rule's events come from, as its log source says."""
    return "correlation" if isinstance(rule, Correlation) else "/".join(filter(None, (rule.product, rule.service)))
