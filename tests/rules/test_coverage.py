from __future__ import annotations

import json
from collections.abc import Callable

from rules.compile import RuleSet
from rules.coverage import Technique, by_tactic, coverage, navigator
from rules.tests import run_tests

RECORD = "{{eventName: {}, eventSource: iam.amazonaws.com, eventTime: 2026-03-02T09:14:07Z, eventID: x}}"


def rule(number: int, tags: str, *tests: tuple[str, str], stage: str = "live") -> str:
    cases = "".join(f"    - {{name: t, match: {match}, event: {RECORD.format(action)}}}\n" for match, action in tests)
    return f"""title: Rule {number}
id: 11111111-1111-4111-8111-{number:012d}
tags: [{tags}]
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: Create}}, condition: s}}
auditwatch:
  stage: '{stage}'
  tests:{" []" if not tests else ""}
{cases}"""


GOOD = (("true", "Create"), ("false", "Delete"))


def covered(rules: RuleSet) -> dict[str, Technique]:
    return {one.id: one for one in coverage(rules, run_tests(rules))}


def test_only_what_tests_prove_counts(rule_set: Callable[..., RuleSet]) -> None:
    found = covered(
        rule_set(
            rule(1, "attack.t1098, attack.persistence", *GOOD),
            rule(2, "attack.t1098", *GOOD),
            rule(3, "attack.t1098", ("true", "Create"), ("false", "Create")),
            rule(4, "attack.t1485", ("false", "Delete")),
            rule(5, "attack.t1530"),
            rule(6, "attack.t1136", *GOOD, stage="off"),
        )
    )
    assert found["T1098"].proved == ("Rule 1", "Rule 2")
    assert found["T1098"].claimed == (("Rule 3", "1 of 2 tests fail"),)
    assert (found["T1485"].proved, found["T1485"].claimed) == ((), (("Rule 4", "no test that must match"),))
    assert found["T1530"].claimed == (("Rule 5", "no test that must match"),)
    assert found["T1136"].claimed == (("Rule 6", "the rule is off"),)


def test_by_tactic_in_the_order_of_the_matrix(rule_set: Callable[..., RuleSet]) -> None:
    rules = rule_set(rule(1, "attack.t1485, attack.t1098, attack.t9999", *GOOD))
    tactics = by_tactic(list(covered(rules).values()))
    assert list(tactics) == ["persistence", "privilege-escalation", "impact", ""]
    assert [one.id for one in tactics["impact"]] == ["T1485"]


def test_the_layer(rule_set: Callable[..., RuleSet]) -> None:
    rules = rule_set(rule(1, "attack.t1098.001", *GOOD), rule(2, "attack.t1098.001", *GOOD), rule(3, "attack.t1485"))
    layer = json.loads(json.dumps(navigator(list(covered(rules).values()), "ours")))
    assert (layer["name"], layer["versions"]["layer"], layer["domain"]) == ("ours", "4.5", "enterprise-attack")
    proved, claimed = layer["techniques"]
    assert (proved["techniqueID"], proved["score"], proved["comment"]) == ("T1098.001", 2, "Rule 1; Rule 2")
    assert (claimed["techniqueID"], claimed["score"], claimed["comment"]) == ("T1485", 0, "claimed only")
    assert claimed["metadata"] == [{"name": "claimed by", "value": "Rule 3 (no test that must match)"}]
    assert "color" in claimed
    assert "color" not in proved
    assert layer["gradient"]["maxValue"] == 2


def test_nothing_covered_is_a_layer_too() -> None:
    assert navigator([], "empty")["techniques"] == []
