"""auditwatch rules match: which stateless rules match which events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from audit.event import AuditEvent
from rules.compile import RuleSet, match_lines
from streams.commands.common import problems, source_file
from streams.commands.out import counting, out_path, output, write_lines
from streams.commands.rules.given import KNOWN, folder, now, rules_of, view_of
from streams.load import declared
from streams.replay import Rejected, Source, events_of


@click.command("match")
@click.argument("sources", metavar="SOURCE=FILE...", nargs=-1, required=True)
@click.option(
    "--rules", type=folder, multiple=True, help="Rule file or folder; may be repeated [default: the library]."
)
@click.option("--context", type=folder, help="What the company declares.")
@click.option("--out", type=out_path, default=Path("-"), help="Where the lines go [default: standard output].")
def command(sources: tuple[str, ...], rules: tuple[Path, ...], context: Path | None, out: Path) -> None:
    """Write {"event_id", "rule_id"}, one line for each event a stateless rule matches.

    Rules that are silent because a correlation counts their matches are included; correlations are not.

    \b
    Examples:
      auditwatch rules match cloudtrail=trail.jsonl.gz --rules sigma/rules/cloud/aws --out matches.jsonl
    """
    pairs = [Source(*source_file(each, KNOWN)) for each in sources]
    rejects: list[Rejected] = []
    with problems(), output(out) as stream, counting("matching") as tick:
        loaded = rules_of(rules)
        events = events_of(pairs, declared(context), now(), rejects)
        write_lines(stream, _matches(loaded, events, tick))
    if rejects:
        click.echo(f"{len(rejects)} records refused (first: line {rejects[0].line}: {rejects[0].error})", err=True)


def _matches(rules: RuleSet, events: Iterator[AuditEvent], tick: Callable[[int], None]) -> Iterator[bytes]:
    def with_records() -> Iterator[tuple[AuditEvent, Any]]:
        for event in events:
            tick(1)
            yield event, view_of(event).record

    for event_id, rule_id in match_lines(rules, with_records()):
        yield msgspec.json.encode({"event_id": event_id, "rule_id": rule_id})
