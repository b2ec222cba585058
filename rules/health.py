"""How each rule does on a stretch of logs: noisy, wrong, stale, silent, unable to fire, excused too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from audit.event import rfc3339
from rules.backtest import DAY, Span, Tally
from rules.compile import RuleSet
from rules.correlation import Correlation, feeds_of
from rules.exceptions import Excuse
from rules.explain_correlation import span_text
from rules.find import everything
from rules.rule import Rule
from rules.unreachable import Blocked

State = Literal["ok", "noisy", "wrong", "stale", "excused", "silent", "no events", "cannot fire", "off"]

NOISY_PER_DAY = 20.0
"""Fires a day from which a rule is noisy, unless somebody says otherwise."""
STALE_DAYS = 7
GAPS = 5
"""A rule is stale when it has been quiet for STALE_DAYS, and for so many of its usual gaps."""
MOSTLY_EXCUSED = 0.9
FEWEST_VERDICTS = 5
"""Alerts people have judged before a rule is called wrong."""
WRONG_BELOW = 0.2
"""The share of real ones among them below which it is."""
_NAMED = 3
SOON = 7 * DAY
"""How long before its end an exception is worth a word."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What people said of the alerts a rule is in: so many were real, harmless, or false."""

    true: int = 0
    benign: int = 0
    false: int = 0

    @property
    def all(self) -> int:
        """How many were judged."""
        return self.true + self.benign + self.false

    @property
    def precision(self) -> float | None:
        """The share that was real; None where nobody has judged any."""
        return self.true / self.all if self.all else None


@dataclass(frozen=True, slots=True)
class Health:
    """How a rule does; `why` says in words what its state rests on. `noisiest` is who makes most of its fires."""

    rule: Rule | Correlation
    state: State
    why: str
    fires: int
    per_day: float
    users: int
    noisiest: str
    last: int
    excused: float
    verdicts: Verdicts = Verdicts()


@dataclass(frozen=True, slots=True)
class ExceptionHealth:
    """An exception worth a word: ended, soon to end, or hiding nothing."""

    excuse: Excuse
    state: Literal["expired", "ends soon", "unused"]
    why: str


def health(
    rules: RuleSet, tallies: Mapping[str, Tally], span: Span, cannot: Iterable[Blocked], noisy: float = NOISY_PER_DAY
) -> list[Health]:
    """The health of every rule and correlation of a set, worst first.

    Args:
        rules: the set that was run.
        tallies: what each rule did, by id.
        span: the stretch of logs.
        cannot: the rules that need a field no record of them has (`rules.unreachable.blocked`).
        noisy: fires a day from which a rule is called noisy.
    """
    dead = {one.dead.rule.id: one for one in cannot}
    return _sorted([_health(one, tallies.get(one.id, Tally()), span, dead, noisy) for one in everything(rules)])


def judged(found: Iterable[Health], verdicts: Mapping[str, Verdicts]) -> list[Health]:
    """The same with what people said of each rule's alerts (by rule id): what was mostly not real is wrong."""
    return _sorted([_judged(one, verdicts.get(one.rule.id, Verdicts())) for one in found])


def _judged(one: Health, verdicts: Verdicts) -> Health:
    share = verdicts.precision
    if share is None or verdicts.all < FEWEST_VERDICTS or share >= WRONG_BELOW or one.state not in ("ok", "excused"):
        return replace(one, verdicts=verdicts)
    why = f"of {verdicts.all} alerts judged {verdicts.true} were real, {verdicts.false} false: narrow it (rules tune)"
    return replace(one, state="wrong", why=why, verdicts=verdicts)


def _sorted(found: Iterable[Health]) -> list[Health]:
    return sorted(found, key=lambda one: (_ORDER[one.state], -one.fires, one.rule.title))


_ORDER: dict[State, int] = {
    "noisy": 0,
    "wrong": 1,
    "cannot fire": 2,
    "stale": 3,
    "excused": 4,
    "silent": 5,
    "no events": 6,
    "ok": 7,
    "off": 8,
}


def _health(rule: Rule | Correlation, tally: Tally, span: Span, dead: Mapping[str, Blocked], noisy: float) -> Health:
    per_day = tally.fires / span.days
    everyone = tally.fires + tally.excused
    share = tally.excused / everyone if everyone else 0.0
    state, why = _state(rule, tally, span, dead, noisy)
    top = tally.users.most_common(1)
    return Health(rule, state, why, tally.fires, per_day, len(tally.users), top[0][0] if top else "", tally.last, share)


def _state(
    rule: Rule | Correlation, tally: Tally, span: Span, dead: Mapping[str, Blocked], noisy: float
) -> tuple[State, str]:
    per_day = tally.fires / span.days
    if rule.stage == "off":
        return "off", "it is asked nothing"
    if per_day > noisy and not rule.silent:
        user, count = tally.users.most_common(1)[0]
        return "noisy", f"{per_day:.1f} fires a day, {count / tally.fires:.0%} of them by {user}"
    if tally.fires == 0:
        return _quiet(rule, tally, span, dead)
    gap = (span.last - span.first) / tally.fires
    quiet = span.last - tally.last
    if quiet > max(STALE_DAYS * DAY, GAPS * gap):
        return "stale", f"it last fired on {rfc3339(tally.last)[:10]}, {quiet // DAY} days before the end"
    if tally.excused / (tally.fires + tally.excused) >= MOSTLY_EXCUSED:
        return "excused", f"{tally.excused} of {tally.fires + tally.excused} matches are excused: narrow the rule"
    return "ok", ""


def _quiet(rule: Rule | Correlation, tally: Tally, span: Span, dead: Mapping[str, Blocked]) -> tuple[State, str]:
    """Why a rule has not fired at all."""
    if tally.excused:
        return "excused", f"all {tally.excused} matches are excused"
    sources = rule.sources
    if sources and not any(span.events[source] for source in sources):
        return "no events", f"no events of {', '.join(sorted(sources))}"
    if isinstance(rule, Correlation):
        ids = {feed.rule_id for feed in feeds_of(rule)}
        if all(rule_id in dead and dead[rule_id].fit for rule_id in ids):
            return "cannot fire", "none of the rules it counts can"
        return "silent", f"never enough within {span_text(rule.timespan)}"
    found = dead.get(rule.id)
    if found is None:
        return "silent", "its fields occur, what it looks for has not happened"
    missing = ", ".join(found.dead.fields[:_NAMED]) + (", ..." if len(found.dead.fields) > _NAMED else "")
    if found.fit:
        return "cannot fire", f"{found.fit} events fit but for {missing}, which none has"
    return "silent", f"nothing of the kind has happened (no record has {missing})"


def exceptions_health(excuses: Iterable[Excuse], used: Mapping[str, int], now: int) -> list[ExceptionHealth]:
    """The exceptions that have ended at `now` (microseconds), soon will, or excused nobody (`used`: by id)."""
    found: list[ExceptionHealth] = []
    for one in excuses:
        day = rfc3339(one.expires)[:10]
        if one.expires <= now:
            found.append(ExceptionHealth(one, "expired", f"it ended on {day}: renew or delete it"))
        elif one.expires - now <= SOON:
            found.append(ExceptionHealth(one, "ends soon", f"it ends on {day}"))
        elif not used.get(one.id):
            found.append(ExceptionHealth(one, "unused", "it excused nobody in these logs"))
    return found
