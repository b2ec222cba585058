"""auditwatch rules coverage: ATT&CK techniques the rules prove to cover."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rules.coverage import Technique, by_tactic, coverage, navigator
from rules.tests import run_tests
from streams.commands.common import problems
from streams.commands.out import echo_json, json_option, out_path, output
from streams.commands.rules.given import paths_argument, rules_of
from streams.commands.rules.table import Column, echo_table, heading


@click.command("coverage")
@paths_argument
@click.option("--out", type=out_path, help="Write a layer for ATT&CK Navigator (format 4.5).")
@click.option("--name", default="auditwatch", show_default=True, help="What the layer is called.")
@json_option
def command(paths: tuple[Path, ...], out: Path | None, name: str, as_json: bool) -> None:
    """ATT&CK techniques, by tactic, and how many rules prove to cover each.

    A rule proves what it names when it has a test that must match and all its tests pass. What rules only claim is
    listed apart, and has score 0 in the layer. Open the layer at https://mitre-attack.github.io/attack-navigator/.

    \b
    Examples:
      auditwatch rules coverage
      auditwatch rules coverage rules/library our-rules --out navigator.json
    """
    with problems():
        rules = rules_of(paths)
    techniques = coverage(rules, run_tests(rules))
    if out:
        with output(out) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(navigator(techniques, name)), indent=2) + b"\n")
    if str(out) == "-":
        return
    if as_json:
        for one in techniques:
            echo_json(_line(one))
    else:
        _show(techniques)
    proved = sum(bool(one.proved) for one in techniques)
    click.echo(f"{proved} techniques proved, {len(techniques) - proved} only claimed", err=True)


def _show(techniques: list[Technique]) -> None:
    columns = [Column("TACTIC"), Column("PROVED", True), Column("CLAIMED", True), Column("TECHNIQUES (RULES)")]
    rows = [
        (
            tactic or "not known",
            sum(bool(one.proved) for one in ones),
            sum(not one.proved for one in ones),
            "  ".join(f"{one.id} ({len(one.proved)})" for one in ones if one.proved),
        )
        for tactic, ones in by_tactic(techniques).items()
    ]
    echo_table(columns, rows)
    claims = [(one.id, title, why) for one in techniques if not one.proved for title, why in one.claimed]
    if claims:
        heading("only claimed: no test proves these")
        echo_table([Column("TECHNIQUE"), Column("RULE"), Column("WHY")], claims)


def _line(one: Technique) -> dict[str, object]:
    claimed = [{"rule": title, "why": why} for title, why in one.claimed]
    return {"technique": one.id, "tactics": one.tactics, "proved": one.proved, "claimed": claimed}
