"""auditwatch rules list: which rules there are."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rules.correlation import Correlation
from rules.find import everything
from rules.health import Verdicts
from rules.rule import Rule
from streams.commands.common import config_option, problems, settings_of
from streams.commands.out import echo_json, json_option
from streams.commands.rules.given import paths_argument, rules_of
from streams.commands.rules.table import Column, echo_table
from streams.commands.rules.verdicts import shown, verdicts_of, verdicts_option


@click.command("list")
@paths_argument
@verdicts_option
@config_option
@json_option
def command(paths: tuple[Path, ...], verdicts: Path | None, config: Path | None, as_json: bool) -> None:
    """A table of rules and correlations: id, level, stage where it is not live, source, title.

    Where people have judged alerts, also how many of those each rule was in were real.

    \b
    Examples:
      auditwatch rules list
      auditwatch rules list --json | jq -r 'select(.level == "critical") | .title'
    """
    with problems():
        rules = rules_of(paths)
        told = verdicts_of(settings_of(config), verdicts)
    lines = [_line(rule, told.get(rule.id, Verdicts())) for rule in everything(rules)]
    if as_json:
        for line in lines:
            echo_json(line)
        return
    columns = [Column("ID"), Column("LEVEL"), Column("STAGE"), Column("SOURCE"), Column("TITLE")]
    columns += [Column("REAL", True)] if told else []
    echo_table(columns, [_row(one)[: len(columns)] for one in lines])


def _row(one: RuleLine) -> tuple[str, ...]:
    stage = "" if one.stage == "live" else one.stage
    return one.id, one.level, stage, one.source, one.title, shown(Verdicts(one.true, one.benign, one.false))


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
    true: int
    benign: int
    false: int


def _line(rule: Rule | Correlation, said: Verdicts) -> RuleLine:
    return RuleLine(
        id=rule.id,
        level=rule.severity,
        stage=rule.stage,
        source=source_of(rule),
        title=rule.title,
        status=rule.status,
        attack=rule.attack,
        path=rule.path,
        true=said.true,
        benign=said.benign,
        false=said.false,
    )


def source_of(rule: Rule | Correlation) -> str:
    """Where a rule's events come from, as its log source says."""
    return "correlation" if isinstance(rule, Correlation) else "/".join(filter(None, (rule.product, rule.service)))
