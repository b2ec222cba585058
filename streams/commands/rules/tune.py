"""auditwatch rules tune: the smallest exception for false positives."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from audit.event import rfc3339
from audit.sources import SOURCES
from rules.backtest import labels_of
from rules.correlation import Correlation, feeds_of
from rules.exceptions import LONGEST_DAYS
from rules.find import closure, find
from rules.rule import Rule
from rules.sigma import load
from rules.tune import Matches, NoProposal, Proposal, exception_yaml, propose, split
from rules.view import View
from streams.backtest import chosen, matches_of
from streams.commands.common import Unusable, config_option, settings_of
from streams.commands.out import counting, echo_json, json_option, out_path, output
from streams.commands.rules.backtest import attacks_of, labels_option
from streams.commands.rules.given import answers, file, logs_of, logs_options, now, paths_of, rules_option, view_of
from streams.commands.rules.marks import Marks, marks_of
from streams.commands.rules.table import Column, echo_table, heading
from streams.detections import Detections
from streams.load import load_detections

_SAMPLE = 5
_USERS = 5


@click.command("tune")
@click.argument("rule", metavar="RULE")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@click.option("--false-positives", type=file, help="Marked events: ids, alerts, AuditEvents or raw records.")
@click.option("--user", "users", multiple=True, help="All matches of this user are false positives; may be repeated.")
@click.option("--true-positives", type=file, help="Events that are real, in the same forms: none of them is hidden.")
@labels_option
@logs_options
@rules_option
@click.option("--owner", default=getpass.getuser, help="Who answers for the exception [default: you].")
@click.option("--reason", help="Why these events are all right.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, LONGEST_DAYS), help="How long it lasts.")
@click.option("--out", type=out_path, help="Write the exception there; without it nothing is written.")
@config_option
@json_option
def command(rule: str, sources: tuple[str, ...], **given: Any) -> None:
    """Propose the smallest exception that takes marked false positives of a rule away and hides nothing real.

    Of all fields the marked events have in common it finds the at most three that hide the least besides, shows what
    they would have hidden in the logs given, and prints the exception as YAML. It refuses (exit code 1) when every
    exception would hide an event of --true-positives or --labels, and says which. Nothing is written without --out.

    \b
    Examples:
      auditwatch rules tune "admin policy attached" cloudtrail=trail.jsonl.gz --user terraform-prod
      auditwatch rules tune 1fe47e05 --trail .auditwatch/trail --since 30d --false-positives alert.json \\
          --labels attacks.jsonl --owner alice@example.com --out rules/exceptions/terraform.yml
    """
    if not given["false_positives"] and not given["users"]:
        raise click.UsageError("which matches are false positives? give --false-positives FILE or --user USER")
    settings = settings_of(given["config"])
    with answers():
        paths = paths_of(given["rules"], settings)
        detections = load_detections(given["context"] or settings.context, paths, settings.models)
        one = find(detections.rules, rule)
        false, true = (
            marks_of(given[name], _sources(one, detections), detections.context, now())
            for name in ("false_positives", "true_positives")
        )
        true.ids |= set(labels_of(attacks_of(given["labels"])))
        matches = _matches(one, detections, sources, given, (false, true))
        proposal = _proposed(matches)
        text = exception_yaml(one, proposal, given["owner"], given["reason"] or _reason(proposal), now(), given["days"])
        _prove(one, paths, text, matches, proposal)
    if given["out"]:
        with output(given["out"]) as stream:
            stream.write(text.encode())
    if given["as_json"]:
        _echo_line(one, text, matches, proposal)
    else:
        _show(text, matches, proposal, unwritten=given["out"] is None)


def _sources(one: Rule | Correlation, detections: Detections) -> list[str]:
    counted = {feed.rule_id for feed in feeds_of(one)} if isinstance(one, Correlation) else {one.id}
    found = {source for rule in detections.rules.rules if rule.id in counted for source in rule.sources}
    return sorted(found & set(SOURCES)) or sorted(SOURCES)


def _matches(
    one: Rule | Correlation, detections: Detections, sources: Sequence[str], given: Any, marks: tuple[Marks, Marks]
) -> Matches:
    """The matches of the rule in the logs and among marked events that came whole, by what is known of them."""
    false, true = marks
    alone = chosen(detections, closure([one]))
    ids = {feed.rule_id for feed in feeds_of(one)} if isinstance(one, Correlation) else {one.id}
    seen: set[str] = set()
    views: list[View] = []
    if sources or given["trail"] or not false.events:
        where = logs_of(
            sources, settings_of(given["config"]), detections.context, given["trail"], (given["since"], given["until"])
        )
        with counting("matching") as tick:

            def passed(chunk: Sequence[Any]) -> None:
                tick(len(chunk))
                seen.update({event.id for event in chunk} & (false.ids | true.ids))

            views = matches_of(where.events(), alone, ids, passed)
        where.complain()
    for event in [*false.events, *true.events]:
        if event.id not in seen:
            seen.add(event.id)
            view = view_of(event)
            views += [view] if {rule.id for rule in alone.rules.matching(view)} & ids else []
    _complain(false.ids - seen, false.ids & seen - {view.event.id for view in views})
    false.ids |= {view.event.id for view in views if view.event.actor.id in given["users"]}
    _refuse(false.ids & true.ids)
    return split(views, false.ids, true.ids)


def _refuse(both: set[str]) -> None:
    if both:
        named = ", ".join(sorted(both)[:_SAMPLE])
        click.echo(f"refused: {len(both)} events are marked false and known to be real: {named}", err=True)
        raise click.exceptions.Exit(1)


def _complain(missing: set[str], other: set[str]) -> None:
    if missing:
        named = ", ".join(sorted(missing)[:_SAMPLE])
        raise Unusable(f"{len(missing)} marked events are not in these logs: {named}; add the logs that hold them")
    if other:
        named = ", ".join(sorted(other)[:_SAMPLE])
        click.echo(f"{len(other)} marked events are no matches of this rule and left out: {named}", err=True)


def _proposed(matches: Matches) -> Proposal:
    try:
        return propose(matches)
    except NoProposal as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from error


def _reason(proposal: Proposal) -> str:
    users = ", ".join(user for user, _ in proposal.hidden.users.most_common(3))
    return f"Marked as false positives: {proposal.hidden.marked} events of {users}. Say here why they are all right."


def _prove(one: Rule | Correlation, paths: Sequence[Path], text: str, matches: Matches, proposal: Proposal) -> None:
    """Loads the exception as the worker would: it must hide what was promised, and no more."""
    with tempfile.TemporaryDirectory(prefix="auditwatch-tune-") as place:
        written = Path(place) / "exception.yml"
        written.write_text(text, "utf-8")
        loaded = load([*paths, written])
    (holds,) = [excuse.checks[one.id] for excuse in loaded.exceptions if excuse.path == written]
    hidden = {view.event.id for view in matches.all if holds(view)}
    promised = {view.event.id for view in (*matches.false, *proposal.hidden.others)}
    if hidden != promised:
        other = ", ".join(sorted(hidden ^ promised)[:_SAMPLE])
        raise Unusable(
            f"the exception, loaded, hides other events than promised ({other}); please report this:\n{text}"
        )


def _show(text: str, matches: Matches, proposal: Proposal, unwritten: bool) -> None:
    if unwritten:
        click.echo(text, nl=False)
    hidden, everything = proposal.hidden, len(matches.all)
    click.echo(
        f"\nIt would have hidden {hidden.marked + len(hidden.others)} of {everything} matches in these logs: "
        f"{hidden.marked} marked, {len(hidden.others)} others; {len(matches.true)} true positives stay",
        err=True,
    )
    users = ", ".join(f"{user} ({count})" for user, count in hidden.users.most_common(_USERS))
    click.echo(f"of {len(hidden.users)} users: {users}", err=True)
    if not matches.true:
        what = "No true positive is among these matches: nothing proves that it hides none"
        click.echo(f"{what} (--true-positives, --labels).", err=True)
    if not any(test.anchors for test in proposal.tests):
        click.echo(
            "It names nobody and nothing: whoever fits is excused. A change of the rule may be better.", err=True
        )
    if hidden.others:
        heading("others it would have hidden: look at them before you take it", err=True)
        columns = [Column("TIME"), Column("USER"), Column("ACTION"), Column("RESOURCE"), Column("EVENT")]
        echo_table(columns, [_row(view) for view in hidden.others[:_SAMPLE]], err=True)


def _row(view: View) -> tuple[str, ...]:
    event = view.event
    resource = f"{event.resource.type} {event.resource.name}" if event.resource else ""
    return rfc3339(event.time), event.actor.id, event.action, resource, event.id


def _echo_line(one: Rule | Correlation, text: str, matches: Matches, proposal: Proposal) -> None:
    hidden = proposal.hidden
    echo_json(
        {
            "rule_id": one.id,
            "exception": text,
            "selection": {test.field: test.values for test in proposal.tests},
            "matches": len(matches.all),
            "hidden": hidden.marked + len(hidden.others),
            "marked": hidden.marked,
            "others": len(hidden.others),
            "other_event_ids": [view.event.id for view in hidden.others[:100]],
            "true_positives": len(matches.true),
            "users": dict(hidden.users.most_common()),
        }
    )
