"""What the rules say of one event: findings, and matches for the correlations that count them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from audit.context_schema import Person
from audit.finding import at_least
from detectors.baseline import YOUNG_SECONDS
from detectors.peers import Snapshot
from rules.compile import RuleSet
from rules.correlation import match_of
from rules.fields import History, View
from rules.rule import Rule, finding_of
from streams.deed import Deed
from streams.detections import Detections
from streams.store import DAY

YOUNG_DAYS = YOUNG_SECONDS // DAY
"""After so many days of history somebody is taken for one of the members of a group."""


def apply_rules(deed: Deed, history: History | None, detections: Detections) -> list[str]:
    """Adds findings and matches to the deed; returns what went wrong: a rule never costs an event, nor another rule."""
    event, rules = deed.event, detections.rules
    try:
        record = orjson.loads(event.raw)
    except orjson.JSONDecodeError as error:
        return [f"its raw record is no JSON: {error}"]
    person = detections.context.person(event.actor.id)
    if history is not None and detections.snapshot.groups:
        team = partial(_team_share, deed, person, history, detections.snapshot)
        history = History(history.new, history.days, history.idle, team)  # _replace costs twice as much
    view = View(event, record if isinstance(record, dict) else {}, history, person, detections.context)
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


def _team_share(deed: Deed, person: Person | None, history: History, snapshot: Snapshot, kind: int) -> float | None:
    """How many of the actor's narrowest peers know a thing of the event; None without peers, or without the thing.

    What the actor knows is asked of its terms and not of its baseline: that is behind by the rest of the batch.
    """
    token = deed.observation.tokens[kind]
    peers = snapshot.peers_of(person, deed.event.actor.kind) if token else ()
    if not peers:
        return None
    own = not history.new >> kind & 1
    return round(peers[0].share(kind, token, own, member=history.days >= YOUNG_DAYS), 3)


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
