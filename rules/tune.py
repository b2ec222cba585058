"""The smallest exception that takes away marked false positives of a rule and nothing that is known to be real."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import yaml

from audit.event import rfc3339
from audit.redact import is_secret_name, redact
from rules.backtest import DAY
from rules.closure import compiled
from rules.condition import Leaf, Or
from rules.correlation import Correlation
from rules.exceptions import LONGEST_DAYS
from rules.fields import EITHER, getter, is_path
from rules.leaf import Check
from rules.reach import seen_fields
from rules.rule import Rule
from rules.view import MISSING, View, texts

MOST_TESTS = 3
MOST_CANDIDATES = 30
MOST_ALTERNATIVES = 4
"""Values one test of an exception may list."""
LONGEST_VALUE = 200
HIDDEN_COSTS, TEST_COSTS, RANK_COSTS = 0.5, 0.1, 0.02
"""What hiding all other matches costs, a test more, a rank worse: found by hand on the simulated organisation."""

_PREFERRED = (
    "actor.id",
    "resource.name",
    "target.id",
    "actor.name",
    "target.name",
    "account",
    "resource.type",
    "source_ip",
    "action",
    "asn",
    "country",
    "actor.kind",
    "outcome",
    "user_agent",
)
"""Normalised fields an exception may name, the most telling first."""
_ANCHORS = frozenset({"actor.id", "actor.name", "target.id", "target.name", "resource.name", "source_ip"})
_PEOPLE = frozenset({"auditwatch.actor.id", "auditwatch.actor.name", "auditwatch.target.id"})
_VOLATILE = re.compile(
    r"time|(?<!up)date|uuid|nonce|(event|request|insert|audit|trace|correlation|session|document|transaction|operation"
    r"|unique|token)_?id|^_id$|(^|\.)(id|version|seq\w*)$|published|timestamp|latency|duration|signature|digest",
    re.IGNORECASE,
)
"""Fields of records that are different every time, or say nothing of who and what."""


@dataclass(frozen=True, slots=True)
class Test:
    """One line of the proposed selection: the canonical field is one of the values. The smaller `rank` is preferred."""

    __test__ = False

    field: str
    values: tuple[str, ...]
    rank: int
    holds: Check

    @property
    def anchors(self) -> bool:
        """Whether it says who or what is excused."""
        return self.field.removeprefix("auditwatch.") in _ANCHORS


@dataclass(frozen=True, slots=True)
class Hidden:
    """What an exception hides: the marked false positives, and other matches of the rule."""

    marked: int
    others: tuple[View, ...]
    users: Counter[str]
    true: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The tests proposed, and what they would have hidden among the matches given."""

    tests: tuple[Test, ...]
    hidden: Hidden


@dataclass(slots=True)
class Matches:
    """The matches of a rule: those marked false, those known to be real, and the rest."""

    false: list[View] = field(default_factory=list)
    true: list[View] = field(default_factory=list)
    others: list[View] = field(default_factory=list)

    @property
    def all(self) -> list[View]:
        """All of them."""
        return [*self.false, *self.true, *self.others]


class NoProposal(Exception):
    """No exception takes all of it away without hiding something real; the text says which event is in the way."""


def propose(matches: Matches) -> Proposal:
    """The best conjunction of at most MOST_TESTS fields that hides all false positives and no true one.

    First come those that name who or what is excused; then counts how much it hides besides, and how long and how
    fleeting it is (`_cost`): a short one about a person goes before a long one that fits these events to the letter.

    Raises:
        NoProposal: there is none, or nothing was marked.
    """
    if not matches.false:
        raise NoProposal("none of the events marked is a match of this rule")
    candidates = _candidates(matches)
    if not candidates:
        raise NoProposal("the events marked have nothing in common: mark fewer kinds at once")
    best: tuple[tuple[bool, float, int], tuple[Test, ...]] | None = None
    true = _masks(candidates, matches.true)
    others = _masks(candidates, matches.others)
    for length in range(1, MOST_TESTS + 1):
        for chosen in combinations(range(len(candidates)), length):
            if _hit(chosen, true, len(matches.true)):
                continue
            tests = tuple(candidates[place] for place in chosen)
            hidden = _hit(chosen, others, len(matches.others)).bit_count() / max(1, len(matches.others))
            key = (not any(test.anchors for test in tests), _cost(tests, hidden), length)
            if best is None or key < best[0]:
                best = key, tests
    if best is None:
        raise NoProposal(_in_the_way(matches, candidates))
    return Proposal(best[1], hidden_by(best[1], matches))


def _cost(tests: Sequence[Test], hidden: float) -> float:
    """What is against a conjunction: the share of other matches it hides, its length, how fleeting its fields are."""
    ranks = sum(test.rank for test in tests)
    return round(HIDDEN_COSTS * hidden + TEST_COSTS * (len(tests) - 1) + RANK_COSTS * ranks, 6)


def hidden_by(tests: Sequence[Test], matches: Matches) -> Hidden:
    """What these tests hide together."""
    others = tuple(view for view in matches.others if all(test.holds(view) for test in tests))
    marked = [view for view in matches.false if all(test.holds(view) for test in tests)]
    true = tuple(view.event.id for view in matches.true if all(test.holds(view) for test in tests))
    return Hidden(len(marked), others, Counter(view.event.actor.id for view in (*marked, *others)), true)


def _masks(tests: Sequence[Test], views: Sequence[View]) -> list[int]:
    """For each test the views it holds in, as bits."""
    return [sum(1 << place for place, view in enumerate(views) if test.holds(view)) for test in tests]


def _hit(chosen: Sequence[int], masks: Sequence[int], count: int) -> int:
    hit = (1 << count) - 1
    for place in chosen:
        hit &= masks[place]
    return hit


def _in_the_way(matches: Matches, candidates: Sequence[Test]) -> str:
    """Names true positives that have everything the false ones have in common."""
    same = [view.event.id for view in matches.true if all(test.holds(view) for test in candidates)]
    named = ", ".join(same[:5] or [view.event.id for view in matches.true[:5]])
    return (
        f"refused: every exception that takes the marked events away also hides true positives: {named}. "
        "Mark fewer events at once, or make the rule itself tell the two apart"
    )


def _candidates(matches: Matches) -> list[Test]:
    """Tests all false positives pass, the preferred first, without those that say nothing."""
    found = sorted(_tests(matches.false), key=lambda test: (test.rank, test.field))
    everywhere = matches.all
    telling = [test for test in found if test.field in _PEOPLE or not all(test.holds(view) for view in everywhere)]
    kept: list[Test] = []
    known: set[tuple[int, ...]] = set()
    for test in telling or [test for test in found if test.anchors]:
        holds_in = tuple(place for place, view in enumerate(everywhere) if test.holds(view))
        if holds_in not in known or test.field.startswith("auditwatch."):
            known.add(holds_in)
            kept.append(test)
    return kept[:MOST_CANDIDATES]


def _tests(false: Sequence[View]) -> Iterator[Test]:
    for rank, name in enumerate(_PREFERRED):
        yield from _test(f"auditwatch.{name}", false, rank)
    seen: set[str] = set()
    seen_fields(false[0].record, seen)
    for path in sorted(seen):
        if is_path(path) and EITHER not in path and not _VOLATILE.search(path) and not is_secret_name(_last(path)):
            yield from _test(path, false, len(_PREFERRED) + path.count("."))


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _test(name: str, false: Sequence[View], rank: int) -> Iterator[Test]:
    """The test of a field that all these events pass, if a few short values tell it."""
    read = getter(name)
    values: dict[str, str] = {}
    for view in false:
        value = read(view)
        if value is MISSING or value is None or isinstance(value, dict | list):
            return
        text = texts(value)[0]
        if not text or len(text) > LONGEST_VALUE or not text.isprintable() or redact(text) != text:
            return
        values.setdefault(text.lower(), text)
        if len(values) > MOST_ALTERNATIVES:
            return
    if len(values) > 1 and len(values) == len(false) > 2 and name not in _PEOPLE:  # another value each time
        return
    wanted = tuple(sorted(values.values()))
    leaves = tuple(Leaf(name, "equals", text) for text in wanted)
    holds = compiled(leaves[0] if len(leaves) == 1 else Or(leaves))
    yield Test(name, wanted, rank + 4 * (len(wanted) - 1), holds)


def exception_yaml(rule: Rule | Correlation, proposal: Proposal, owner: str, reason: str, now: int, days: int) -> str:
    """The proposal as a document for the exceptions/ folder beside the rules.

    Raises:
        ValueError: `days` is not 1 to LONGEST_DAYS.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"an exception lasts 1 to {LONGEST_DAYS} days, not {days}")
    created = now // DAY * DAY
    entry: dict[str, Any] = {
        "rules": [rule.name or rule.id],
        "selection": dict(_lines(proposal.tests, rule)),
        "owner": owner,
        "reason": reason,
        "created": rfc3339(created)[:10],
        "expires": rfc3339(created + days * DAY)[:10],
    }
    written: str = yaml.safe_dump({"exceptions": [entry]}, sort_keys=False, allow_unicode=True, width=110)
    return f"# {rule.title}\n{written}"


def _lines(tests: Iterable[Test], rule: Rule | Correlation) -> Iterator[tuple[str, str | list[str]]]:
    ours = isinstance(rule, Rule) and rule.product == "auditwatch"
    for test in tests:
        raw = not test.field.startswith("auditwatch.")
        name = f"raw.{test.field}" if ours and raw else test.field
        values = [_literal(text) for text in test.values]
        yield name, values[0] if len(values) == 1 else values


def _literal(text: str) -> str:
    """A text that stands for itself in Sigma: wildcards, and backslashes before them, are escaped."""
    return re.sub(r"\\(?=[\\*?])|[*?]", r"\\\g<0>", text)


def split(views: Iterable[View], false: Mapping[str, object] | set[str], true: set[str]) -> Matches:
    """The matches of a rule by what is known of them, by event id."""
    matches = Matches()
    for view in views:
        known = view.event.id
        (matches.false if known in false else matches.true if known in true else matches.others).append(view)
    return matches
