"""Which ATT&CK techniques the rules cover, counting only what a test proves; as a Navigator layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.attack import TACTICS, tactics_of
from rules.compile import RuleSet
from rules.find import everything
from rules.tests import TestResult

LAYER = "4.5"
"""Version of the layer format, https://github.com/mitre-attack/attack-navigator/tree/master/layers."""
_COLOURS = ("#ffffff", "#a8ddb5", "#2b8cbe")
_CLAIMED = "#fdae61"


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique that rules name. `proved`: titles of rules whose own tests show that they fire and all pass.

    `claimed`: those of rules that only say so, each with why it proves nothing.
    """

    id: str
    tactics: tuple[str, ...]
    proved: tuple[str, ...]
    claimed: tuple[tuple[str, str], ...]


def coverage(rules: RuleSet, results: Iterable[TestResult]) -> list[Technique]:
    """The techniques the rules of a set name, by id, judged by the results of its tests; what is off proves nothing."""
    by_rule: dict[str, list[TestResult]] = {}
    for result in results:
        by_rule.setdefault(result.rule_id, []).append(result)
    proved: dict[str, list[str]] = {}
    claimed: dict[str, list[tuple[str, str]]] = {}
    for rule in everything(rules):
        doubt = "the rule is off" if rule.stage == "off" else _doubt(by_rule.get(rule.id, []))
        for technique in dict.fromkeys(rule.attack):
            if doubt:
                claimed.setdefault(technique, []).append((rule.title, doubt))
            else:
                proved.setdefault(technique, []).append(rule.title)
    return [
        Technique(name, tactics_of(name), tuple(proved.get(name, ())), tuple(claimed.get(name, ())))
        for name in sorted({*proved, *claimed})
    ]


def _doubt(results: Sequence[TestResult]) -> str:
    """Why tests do not prove that a rule fires, "" when they do."""
    if not any(result.wanted for result in results):
        return "no test that must match"
    failed = sum(not result.passed for result in results)
    return f"{failed} of {len(results)} tests fail" if failed else ""


def by_tactic(techniques: Sequence[Technique]) -> dict[str, list[Technique]]:
    """The techniques of each tactic, in the order of ATT&CK's matrix; one of several tactics is under each."""
    found = {tactic: [one for one in techniques if tactic in one.tactics] for tactic in TACTICS}
    found[""] = [one for one in techniques if not one.tactics]
    return {tactic: ones for tactic, ones in found.items() if ones}


def navigator(techniques: Sequence[Technique], name: str) -> Mapping[str, Any]:
    """A layer for ATT&CK Navigator: the score is the number of rules that prove a technique; 0 is only claimed."""
    highest = max((len(one.proved) for one in techniques), default=0)
    return {
        "name": name,
        "versions": {"layer": LAYER},
        "domain": "enterprise-attack",
        "description": "Score: how many rules prove by their own tests that they fire. 0: claimed, not proved.",
        "techniques": [_entry(one) for one in techniques],
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": max(1, highest)},
        "legendItems": [
            {"label": "proved by tests inside the rules", "color": _COLOURS[1]},
            {"label": "claimed, not proved", "color": _CLAIMED},
        ],
        "layout": {"layout": "side", "expandedSubtechniques": "annotated"},
        "selectSubtechniquesWithParent": False,
    }


def _entry(technique: Technique) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "techniqueID": technique.id,
        "score": len(technique.proved),
        "enabled": True,
        "comment": "; ".join(technique.proved) or "claimed only",
        "metadata": [{"name": "proved by", "value": title} for title in technique.proved]
        + [{"name": "claimed by", "value": f"{title} ({why})"} for title, why in technique.claimed],
    }
    return entry if technique.proved else entry | {"color": _CLAIMED}
