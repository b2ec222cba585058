"""What a backtest has to say, as tables and as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from alerting.alert import Alert
from audit.event import rfc3339
from rules.backtest import Attack, Judgement, Tally, difference, judged, labels_of
from rules.correlation import Correlation
from rules.find import everything
from rules.rule import Rule
from streams.backtest import Backtest
from streams.commands.out import echo_json
from streams.commands.rules.table import Column, echo_table, heading

_SHOWN_USERS = 3
_SHOWN_EVENTS = 5
_ALWAYS = (
    Column("FIRES", True),
    Column("A DAY", True),
    Column("MOST", True),
    Column("USERS", True),
    Column("RESOURCES", True),
    Column("EXCUSED", True),
    Column("ALERTS", True),
    Column("ALONE", True),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say of a backtest: of the new rules, beside the old ones where they were run."""

    new: Backtest
    old: Backtest | None
    attacks: Sequence[Attack]

    def lines(self) -> list[dict[str, Any]]:
        """A line for each rule of either version, the loudest first."""
        rules = {rule.id: rule for test in (self.old, self.new) if test for rule in everything(test.rules)}
        lines = [self._line(rule) for rule in rules.values() if rule.stage != "off"]
        return sorted(lines, key=lambda line: (-line["fires"], line["title"]))

    def _line(self, rule: Rule | Correlation) -> dict[str, Any]:
        tally = self.new.tallies.get(rule.id, Tally())
        line: dict[str, Any] = {
            "rule_id": rule.id,
            "title": rule.title,
            "stage": "silent" if rule.silent and rule.stage == "live" else rule.stage,
            "severity": rule.severity,
            "fires": tally.fires,
            "fires_per_day": round(tally.fires / self.new.span.days, 2),
            "most_a_day": max(tally.days.values(), default=0),
            "excused": tally.excused,
            "users": len(tally.users),
            "resources": len(tally.resources),
            "alerts": self.new.parts[rule.id],
            "alerts_alone": self.new.alone[rule.id],
            "noisiest": [{"user": user, "fires": count} for user, count in tally.users.most_common(_SHOWN_USERS)],
        }
        if self.attacks:
            line |= _judgement(judged(tally.events, labels_of(self.attacks)))
        return line | self._difference(rule)

    def _difference(self, rule: Rule | Correlation) -> dict[str, Any]:
        if self.old is None:
            return {}
        changed = difference(self.old.tallies.get(rule.id), self.new.tallies.get(rule.id))
        return {
            "only_old": len(changed.only_old),
            "only_new": len(changed.only_new),
            "both": len(changed.both),
            "only_old_events": sorted(changed.only_old)[:_SHOWN_EVENTS],
            "only_new_events": sorted(changed.only_new)[:_SHOWN_EVENTS],
        }

    def summary(self, test: Backtest) -> dict[str, Any]:
        """One line for a version as a whole."""
        span = test.span
        line: dict[str, Any] = {
            "events": span.events.total(),
            "from": rfc3339(span.first),
            "to": rfc3339(span.last),
            "days": span.days,
            "rules": len(everything(test.rules)),
            "fired": sum(tally.fires > 0 for tally in test.tallies.values()),
            "alerts": len(test.alerts),
            "alerts_per_day": round(len(test.alerts) / span.days, 2),
            "slack_messages": len(test.alerts),
            "slack_edits_at_most": test.updates,
            "people_alerted_about": len({alert.entity for alert in test.alerts}),
            "alerts_of_anomalies_only": sum(_only_anomalies(alert) for alert in test.alerts),
        }
        return line | (self._hits(test) if self.attacks else {})

    def _hits(self, test: Backtest) -> dict[str, Any]:
        labels = labels_of(self.attacks)
        by_alert = [judged(alert.event_ids, labels) for alert in test.alerts]
        by_rule = judged((event for tally in test.tallies.values() for event in tally.events), labels)
        alerted = {attack for each in by_alert for attack in each.attacks}
        return {
            "attacks": len(self.attacks),
            "attacks_hit_by_rules": len(by_rule.attacks),
            "attacks_alerted": len(alerted),
            "attacks_missed": sorted(attack.id for attack in self.attacks if attack.id not in alerted),
            "true_alerts": sum(each.true > 0 for each in by_alert),
            "false_alerts": sum(each.true == 0 for each in by_alert),
        }


def _only_anomalies(alert: Alert) -> bool:
    return all(finding.kind == "anomaly" for finding in alert.findings)


def _judgement(found: Judgement) -> dict[str, Any]:
    share = found.precision
    return {
        "true": found.true,
        "false": found.false,
        "precision": None if share is None else round(share, 3),
        "attacks_hit": found.attacks,
    }


def echo_report(report: Report) -> None:
    """A JSON line for each rule, then one for the whole (`"summary": true`), of the old rules `"against": true`."""
    for line in report.lines():
        echo_json(line)
    for test in [report.old, report.new]:
        if test:
            echo_json({"summary": True, "against": test is report.old, **report.summary(test)})


def show_report(report: Report) -> None:
    """Tables: the rules that fired or changed, who made the most of it, and the whole."""
    lines = report.lines()
    loud = [line for line in lines if line["fires"] or line["excused"] or line.get("only_old")]
    _show_rules(report, loud)
    noisy = [(line["title"], *_noisiest(line)) for line in loud if line["fires"] > 1 and line["noisiest"]]
    if noisy:
        heading("who makes the most of it")
        echo_table([Column("RULE"), Column("NOISIEST"), Column("SHARE", True)], noisy)
    if report.old:
        _show_changes(loud)
    heading("all together")
    summaries = [report.summary(test) for test in (report.new, report.old) if test]
    columns = [Column(""), Column("NEW" if report.old else ""), *([Column("AGAINST")] if report.old else [])]
    echo_table(columns, [(key.replace("_", " "), *(_plain(one[key]) for one in summaries)) for key in summaries[0]])
    quiet = sum(not line["fires"] for line in lines)
    click.echo(f"{quiet} of {len(lines)} rules did not fire", err=True)


def _show_rules(report: Report, lines: Sequence[dict[str, Any]]) -> None:
    columns = [Column("RULE"), Column("STAGE"), *_ALWAYS]
    columns += [Column("TRUE", True), Column("FALSE", True), Column("ATTACKS", True)] if report.attacks else []
    echo_table(columns, [_row(line, bool(report.attacks)) for line in lines])


def _row(line: dict[str, Any], labelled: bool) -> list[object]:
    keys = ("fires", "fires_per_day", "most_a_day", "users", "resources", "excused", "alerts", "alerts_alone")
    stage = "" if line["stage"] == "live" else line["stage"]
    judgement = [line["true"], line["false"], len(line["attacks_hit"])] if labelled else []
    return [line["title"], stage, *(line[key] for key in keys), *judgement]


def _noisiest(line: dict[str, Any]) -> tuple[str, str]:
    users = ", ".join(f"{one['user']} ({one['fires']})" for one in line["noisiest"])
    return users, f"{sum(one['fires'] for one in line['noisiest']) / line['fires']:.0%}"


def _show_changes(lines: Sequence[dict[str, Any]]) -> None:
    changed = [line for line in lines if line["only_old"] or line["only_new"]]
    heading("what the change changes" if changed else "the change changes nothing: the same events are hit")
    columns = [
        Column("RULE"),
        Column("ONLY OLD", True),
        Column("ONLY NEW", True),
        Column("BOTH", True),
        Column("EVENTS"),
    ]
    rows = [(line["title"], line["only_old"], line["only_new"], line["both"], _events(line)) for line in changed]
    if rows:
        echo_table(columns, rows)


def _events(line: dict[str, Any]) -> str:
    parts = [("old", line["only_old_events"]), ("new", line["only_new_events"])]
    return "; ".join(f"{name}: {', '.join(events)}" for name, events in parts if events)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
