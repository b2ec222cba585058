"""What the rules say of one event: findings, and matches for the correlations that count them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from audit.context_schema import Person
from audit.finding import at_least
from detectors.baseline import YOUNG_SECONDS
from detectors.peers import Snapshot
from rules.change import change_finding, is_change, left_alone
from rules.compile import RuleSet
from rules.correlation import Match, match_of
from rules.rule import Rule, finding_of
from rules.separation_finding import given_finding
from rules.view import History, View
from streams.access import judge_access
from streams.deed import Deed, weighed
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
        history = History(history.new, history.days, history.idle, team)  # _replace is slower
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
    try:
        judge_access(deed, view, detections)
    except Exception as error:
        errors.append(f"the authorization model failed: {error!r}")
    if is_change(event, view.record):
        try:
            _judge_change(deed, view, detections)
        except Exception as error:
            errors.append(f"the check of a change of rights failed: {error!r}")
    if deed.findings or deed.matches:
        try:
            _heed_paper(deed, view, detections)
        except Exception as error:
            errors.append(f"the check against declared paper failed: {error!r}")
    return errors


def _judge_change(deed: Deed, view: View, detections: Detections) -> None:
    """What is wrong with a grant, where nothing explains it; where something does, it is counted. What lets one person
    hold two duties that are kept apart is told either way."""
    context, fit = detections.context, deed.ask_paper(detections.context, view.record)
    if why := left_alone(deed.event, fit, context):
        deed.unheard.append(("change", why))
    told = change_finding(deed.event, fit, context, detections.version)
    both = given_finding(deed.event, view.record, context, detections.version)
    for found in (each for each in (told, both) if each):
        if context.declared.observe_only:
            deed.unheard.append((found.detection, "observed"))
        else:
            deed.grave = deed.grave or at_least(found.severity, "medium")
            deed.findings.append(found)


def _heed_paper(deed: Deed, view: View, detections: Detections) -> None:
    """What declared paper explains is not suspected: it waits for no verdict, and correlations do not count it."""
    fit = deed.ask_paper(detections.context, view.record)
    if not fit.doubts and not fit.explained:
        return
    deed.findings = [weighed(finding, fit) for finding in deed.findings]
    deed.grave = any(not finding.explained and at_least(finding.severity, "medium") for finding in deed.findings)
    if fit.explained:
        kept = [match for match in deed.matches if not _only_adds(match, detections.rules)]
        gone = {match.correlation for match in deed.matches} - {match.correlation for match in kept}
        deed.unheard += [(name, "explained") for name in sorted(gone)]
        deed.matches = kept


def _only_adds(match: Match, rules: RuleSet) -> bool:
    """Whether a match can only make a correlation fire: for want of it, absence or "less than" might."""
    one = rules.correlation(match.correlation)
    if one is None or one.absent == match.entry.rule:
        return False
    while one and one.timing == "prompt":
        if one.parent is None:
            return True
        one = rules.correlation(one.parent.correlation)
    return False


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
