from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.event import AuditEvent
from rules.backtest import DAY, Span, Tally
from rules.compile import RuleSet
from rules.exceptions import Excuse
from rules.health import ExceptionHealth, Health, Verdicts, exceptions_health, health, judged
from rules.reach import Dead
from rules.unreachable import Blocked
from tests.rules.conftest import HEAD, event

RuleSetOf = Callable[..., RuleSet]
START = event().time // DAY * DAY
ID = "11111111-1111-4111-8111-111111111111"
RULE = f"{HEAD}detection: {{s: {{a: x}}, condition: s}}\n"
COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [A rule], group-by: [x], timespan: 5m, condition: {gte: 3}}
"""


def at(*days: float) -> list[AuditEvent]:
    return [event(id=str(day), time=START + round(day * DAY)) for day in days]


def tally(*days: float, excused: int = 0) -> Tally:
    made = Tally(excused=excused)
    for one in at(*days):
        made.add(one)
    return made


def span(days: float, source: str = "cloudtrail") -> Span:
    made = Span()
    made.see([event(time=START, source=source), event(time=START + round(days * DAY) - 1, source=source)])
    return made


def one(rules: RuleSet, made: Tally, over: Span, cannot: tuple[Blocked, ...] = (), noisy: float = 20) -> Health:
    found = health(rules, {ID: made}, over, cannot, noisy)
    return next(each for each in found if each.rule.id == ID)


def test_a_rule_that_does_well(rule_set: RuleSetOf) -> None:
    found = one(rule_set(RULE), tally(1, 5, 9, excused=1), span(10))
    assert (found.state, found.why, found.fires, found.per_day) == ("ok", "", 3, 0.3)
    assert (found.users, found.noisiest, found.excused) == (1, "alice", 0.25)


def test_a_noisy_rule_names_who(rule_set: RuleSetOf) -> None:
    found = one(rule_set(RULE), tally(*(n / 100 for n in range(90))), span(2), noisy=20)
    assert (found.state, found.why) == ("noisy", "45.0 fires a day, 100% of them by alice")
    assert one(rule_set(RULE), tally(*(n / 100 for n in range(90))), span(2), noisy=46).state == "ok"


def test_a_rule_that_is_only_counted_is_never_noisy(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE.replace("title", "name: A rule\ntitle"), COUNT)
    assert one(rules, tally(*(n / 100 for n in range(90))), span(1)).state == "ok"


@pytest.mark.parametrize(
    ("fired", "days", "state"),
    [
        ([0, 1, 2], 30, "ok"),  # 28 days of quiet are less than five of its gaps
        ([n / 2 for n in range(20)], 30, "stale"),
        ([n / 2 for n in range(20)], 16, "ok"),  # quiet for less than a week
    ],
)
def test_a_rule_that_stopped_firing_is_stale(rule_set: RuleSetOf, fired: list[float], days: int, state: str) -> None:
    found = one(rule_set(RULE), tally(*fired), span(days))
    assert found.state == state
    if state == "stale":
        assert found.why == "it last fired on 2026-03-11, 20 days before the end"


def test_why_a_rule_never_fired(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE)
    dead = Dead(rules.rules[0], ("cloudtrail",), ("a", "b", "c", "d"))
    assert one(rules, Tally(), span(3)).why == "its fields occur, what it looks for has not happened"
    assert one(rules, Tally(), span(3), (Blocked(dead, 0),)).why == (
        "nothing of the kind has happened (no record has a, b, c, ...)"
    )
    found = one(rules, Tally(), span(3), (Blocked(dead, 7),))
    assert (found.state, found.why) == ("cannot fire", "7 events fit but for a, b, c, ..., which none has")
    found = one(rules, Tally(), span(3, "okta"))
    assert (found.state, found.why) == ("no events", "no events of cloudtrail")


def test_a_rule_that_is_excused_too_much(rule_set: RuleSetOf) -> None:
    found = one(rule_set(RULE), tally(1, excused=9), span(3))
    assert (found.state, found.why) == ("excused", "9 of 10 matches are excused: narrow the rule")
    assert one(rule_set(RULE), Tally(excused=4), span(3)).why == "all 4 matches are excused"


def test_a_rule_that_is_off(rule_set: RuleSetOf) -> None:
    assert one(rule_set(RULE + "auditwatch: {stage: 'off'}\n"), Tally(), span(3)).state == "off"


def test_correlations(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE.replace("title", "name: A rule\ntitle"), COUNT)
    dead = Dead(rules.rules[0], ("cloudtrail",), ("a",))
    for cannot, state in (((), "silent"), ((Blocked(dead, 3),), "cannot fire"), ((Blocked(dead, 0),), "silent")):
        found = {each.rule.id: each for each in health(rules, {}, span(3), cannot)}
        assert found["22222222-2222-4222-8222-222222222222"].state == state


def test_the_worst_comes_first(rule_set: RuleSetOf) -> None:
    texts = [RULE.replace("1111", f"{n}{n}{n}{n}", 1).replace("A rule", f"Rule {n}") for n in (1, 2, 3)]
    rules = rule_set(*[text.replace("a: x", f"a: x{n}") for n, text in enumerate(texts)])
    ids = [rule.id for rule in rules.rules]
    found = health(rules, {ids[1]: tally(1), ids[2]: tally(*(n / 100 for n in range(99)))}, span(1), ())
    assert [each.state for each in found] == ["noisy", "silent", "ok"]


def test_exceptions_that_need_a_hand() -> None:
    def excuse(name: str, days: int) -> Excuse:
        return Excuse(name, "alice", "r", "", START, START + days * DAY, Path("x.yml"), 3, {})

    found = exceptions_health(
        [excuse("a", -1), excuse("b", 3), excuse("c", 40), excuse("d", 40)], {"b": 2, "d": 1}, now=START
    )
    assert [(each.excuse.id, each.state) for each in found] == [("a", "expired"), ("b", "ends soon"), ("c", "unused")]
    assert isinstance(found[0], ExceptionHealth)
    assert found[0].why == "it ended on 2026-03-01: renew or delete it"


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        (Verdicts(), "ok"),
        (Verdicts(0, 0, 4), "ok"),
        (Verdicts(0, 5, 0), "wrong"),
        (Verdicts(0, 0, 5), "wrong"),
        (Verdicts(1, 2, 2), "ok"),
        (Verdicts(1, 2, 3), "wrong"),
    ],
)
def test_what_people_found_mostly_not_real_is_wrong(rule_set: RuleSetOf, verdicts: Verdicts, state: str) -> None:
    made = judged([one(rule_set(RULE), tally(1, 5, 9), span(10))], {ID: verdicts})
    (found,) = made
    assert (found.state, found.verdicts) == (state, verdicts)
    assert bool(found.why) == (state == "wrong")


def test_the_share_of_real_ones() -> None:
    assert Verdicts().precision is None
    assert (Verdicts(3, 1, 0).precision, Verdicts(3, 1, 0).all) == (0.75, 4)


def test_what_is_noisy_stays_noisy_and_wrong_comes_before_well(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE, RULE.replace("1111", "3333").replace("A rule", "B rule"))
    other = ID.replace("1111", "3333")
    loud = health(rules, {ID: tally(*(n / 100 for n in range(90))), other: tally(1)}, span(2), (), 20)
    bad = {ID: Verdicts(0, 0, 9), other: Verdicts(0, 0, 9)}
    assert [(one.rule.id, one.state) for one in judged(loud, bad)] == [(ID, "noisy"), (other, "wrong")]
