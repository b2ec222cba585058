from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.context import EMPTY
from audit.sources.reader import Reject, read
from rules.check import check
from rules.sigma import library, load
from rules.tests import ARRIVAL, run_tests

RULES = load([library()])
EVERYTHING: list[Any] = [*RULES.rules, *RULES.correlations]


def test_it_has_rules_for_every_source_and_correlations() -> None:
    assert len(RULES.rules) >= 28
    assert len(RULES.correlations) >= 2
    folders = Counter(rule.path.parent.name for rule in EVERYTHING)
    assert set(folders) == {"cloudtrail", "okta", "github", "kubernetes", "auditwatch"}


@pytest.mark.parametrize("result", run_tests(RULES), ids=lambda result: f"{result.path.stem}: {result.test}")
def test_every_test_of_every_rule_passes(result: Any) -> None:
    assert result.passed, str(result)


@pytest.mark.parametrize("rule", EVERYTHING, ids=lambda rule: rule.path.stem)
def test_every_rule_is_complete(rule: Any) -> None:
    assert any(test.match for test in rule.tests)
    assert any(not test.match and not test.near_miss for test in rule.tests)
    assert any(test.near_miss for test in rule.tests)
    assert rule.author == "auditwatch"
    assert rule.attack
    assert rule.description
    assert rule.runbook
    assert rule.falsepositives


def test_titles_and_reasons_fit_a_phone() -> None:
    assert all(len(rule.title) <= 80 for rule in EVERYTHING)


PANTHER = [
    ("cloudtrail", "AWS.CloudTrail.Stopped", "CloudTrail logging stopped or trail deleted"),
    ("cloudtrail", "AWS.Console.LoginWithoutMFA", "Console login without MFA"),
    ("cloudtrail", "AWS.IAM.AttachAdminUserPolicy", "Administrator policy attached"),
    ("cloudtrail", "AWS.CloudTrail.SnapshotMadePublic", "Disk, image or database snapshot made public"),
    ("cloudtrail", "AWS.S3.DeletePublicAccessBlock", "S3 public access block removed"),
    ("cloudtrail", "AWS.CloudTrail.RootAccessKeyCreated", "Root user of an AWS account used"),
    ("cloudtrail", "AWS.IAM.BackdoorRole", "Role trust opened to everybody"),
    ("okta", "Okta.AdminRoleAssigned", "Okta administrator role granted"),
    ("okta", "Okta.APIKeyCreated", "Okta API token created"),
    ("github", "GitHub.Branch.ProtectionDisabled", "Branch protection removed or overridden"),
    ("github", "GitHub.Branch.PolicyOverride", "Branch protection removed or overridden"),
    ("kubernetes", "Kubernetes.Pod.Exec", "Command run inside a pod"),
    ("kubernetes", "Kubernetes.ClusterRoleBinding.Privileged", "cluster-admin bound"),
    ("kubernetes", "Kubernetes.Pod.Privileged.Created", "Privileged pod created by a person"),
    ("kubernetes", "Kubernetes.Secrets.DumpAllNamespaces", "Secrets listed by a person"),
    ("kubernetes", "Kubernetes.ServiceAccount.TokenCreated", "Service account token made by a person"),
]


@pytest.mark.parametrize(("source", "theirs", "ours"), PANTHER, ids=lambda value: value)
def test_what_others_find_with_the_same_idea_we_find(data: Path, source: str, theirs: str, ours: str) -> None:
    """At least one event that another product's rule must match matches ours."""
    assert any(ours in titles for titles in _matched(data / source / "panther_rules.cases.jsonl.gz", source, theirs))


def _matched(file: Path, source: str, theirs: str) -> list[list[str]]:
    found: list[list[str]] = []
    with gzip.open(file) as lines:
        for line in map(msgspec.json.decode, lines):
            if line["case"]["rule_id"] == theirs and line["case"]["expected_match"]:
                found += [
                    [rule.title for rule in RULES.match(event, msgspec.json.decode(event.raw))]
                    for entry in read(source, msgspec.json.encode(line["raw"]), ARRIVAL, EMPTY)
                    if not isinstance(entry, Reject)
                    for event in entry
                ]
    return found


def test_an_hour_of_real_attack_is_seen_and_noise_is_not(data: Path) -> None:
    """2,814 real CloudTrail events, some thirty attack techniques among them."""
    seen: Counter[str] = Counter()
    with gzip.open(data / "cloudtrail" / "invictus.raw.jsonl.gz") as lines:
        for line in lines:
            raw = msgspec.json.encode(msgspec.json.decode(line)["raw"])
            for entry in read("cloudtrail", raw, ARRIVAL, EMPTY):
                assert not isinstance(entry, Reject)
                for event in entry:
                    seen.update(
                        rule.title for rule in RULES.match(event, msgspec.json.decode(event.raw)) if not rule.silent
                    )
    assert seen["CloudTrail logging stopped or trail deleted"] == 2
    assert seen["Administrator policy attached"] == 1
    assert 5 <= seen.total() <= 20


def test_the_rule_in_the_documentation_works(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "writing-rules.md"
    rule = page.read_text().partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "rule.yml").write_text(rule)
    assert check([tmp_path]) == []
    results = run_tests([tmp_path])
    assert len(results) == 3
    assert all(result.passed for result in results)
