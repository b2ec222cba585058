"""What the rules say of one event: findings, and matches for the correlations that count them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from audit.finding import at_least
from rules.compile import RuleSet
from rules.correlation import match_of
from rules.fields import History, View
from rules.rule import Rule, finding_of
from streams.deed import Deed
from streams.detections import Detections


def apply_rules(deed: Deed, history: History | None, detections: Detections) -> list[str]:
    """Adds findings and matches to the deed; returns what went wrong: a rule never costs an event, nor another rule."""
    event, rules = deed.event, detections.rules
    try:
        record = orjson.loads(event.raw)
    except orjson.JSONDecodeError as error:
        return [f"its raw record is no JSON: {error}"]
    view = View(event, record if isinstance(record, dict) else {}, history)
    errors: list[str] = []
    try:
        matching: Sequence[Rule] = rules.matching(view)
    except Exception:
        matching = _matching_alone(view, rules, errors)
    for rule in matching:
        try:
            _apply(rule, deed, view, detections)
        except Exception as error:
            errors.append(f"rule {rule.id} failed: {error!r}")
    return errors


def _matching_alone(view: View, rules: RuleSet, errors: list[str]) -> list[Rule]:
    matching = []
    for rule in rules.of(view.event.source):
        try:
            if rule.matches(view):
                matching.append(rule)
        except Exception as error:
            errors.append(f"rule {rule.id} failed: {error!r}")
    return matching


def _apply(rule: Rule, deed: Deed, view: View, detections: Detections) -> None:
    event, record, rules = deed.event, view.record, detections.rules
    if rule.stage == "shadow":
        deed.unheard.append((rule.id, "shadow"))
    elif rules.excused(rule.id, event, record):
        deed.unheard.append((rule.id, "excused"))
    elif not rule.silent:
        deed.grave = deed.grave or at_least(rule.severity, "medium")
        deed.findings.append(finding_of(rule, view, detections.version))
    for feed in rules.feeds_of(rule.id):
        excused = any(rules.excused(one, event, record) for one in feed.concerns)
        if not excused and (match := match_of(feed, event, record)):
            deed.matches.append(match)
