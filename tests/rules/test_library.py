"""The rules that ship: complete, true to their tests, quiet on noise, listed in docs/library.md.

python -m tests.rules.test_library      writes the page anew
"""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent
from audit.finding import SEVERITIES
from audit.sources.reader import Reject, read
from rules.check import check
from rules.rule import first_sentence
from rules.sigma import library, load
from rules.tests import ARRIVAL, run_tests

RULES = load([library()])
EVERYTHING: list[Any] = [*RULES.rules, *RULES.correlations]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "library.md"
SECTIONS = {
    "cloudtrail": "AWS CloudTrail",
    "okta": "Okta",
    "github": "GitHub",
    "kubernetes": "Kubernetes",
    "auditwatch": "Any source (normalised events)",
}
HEAD = """# The rules that ship

{rules} rules and {correlations} correlations, each a file of its own in `rules/library/` with its runbook and tests.
Level: *critical* wakes somebody, *high* is an alert by itself, *medium* (risk 30) becomes one with others about
the same person, *low* (risk 10) and *note* (risk 0) only add context; *counted* rules raise nothing themselves, a
correlation (**Σ**) counts them. Change what does not fit your company with filters, exceptions and stages
([writing-rules.md](writing-rules.md)) rather than in the files.

This page is written by `python -m tests.rules.test_library`, and a test keeps it true.
"""


def page() -> str:
    """docs/library.md as it should be."""
    parts = [HEAD.format(rules=len(RULES.rules), correlations=len(RULES.correlations))]
    for folder, name in SECTIONS.items():
        rules = [rule for rule in EVERYTHING if rule.path.parent.name == folder]
        rules.sort(key=lambda rule: (-SEVERITIES.index(rule.severity), rule.silent, -rule.risk, rule.title))
        rows = [
            f"| {_level(rule)} | [{rule.title}](../rules/library/{folder}/{rule.path.name}) "
            f"| {first_sentence(rule.description)} | {' '.join(rule.attack)} |"
            for rule in rules
        ]
        parts += [
            f"## {name}: {len(rules)}\n",
            "| level | rule | what it says | ATT&CK |\n|---|---|---|---|",
            *rows,
            "",
        ]
    return "\n".join(parts)


def _level(rule: Any) -> str:
    if rule in RULES.correlations:
        return f"{rule.severity} **Σ**"
    return "counted" if rule.silent else "note" if rule.risk == 0 else str(rule.severity)


def test_it_has_rules_for_every_source_and_correlations() -> None:
    assert len(EVERYTHING) >= 125
    assert len(RULES.correlations) >= 15
    folders = Counter(rule.path.parent.name for rule in EVERYTHING)
    assert set(folders) == set(SECTIONS)
    for folder, least in {"cloudtrail": 45, "okta": 25, "github": 25, "kubernetes": 22, "auditwatch": 5}.items():
        assert folders[folder] >= least


def test_nothing_is_wrong_with_it() -> None:
    assert [str(error) for error in check([library()])] == []


@pytest.mark.parametrize("result", run_tests(RULES), ids=lambda result: f"{result.path.stem}: {result.test}")
def test_every_test_of_every_rule_passes(result: Any) -> None:
    assert result.passed, str(result)


@pytest.mark.parametrize("rule", EVERYTHING, ids=lambda rule: f"{rule.path.parent.name}/{rule.path.stem}")
def test_every_rule_is_complete(rule: Any) -> None:
    assert any(test.match for test in rule.tests)
    assert any(not test.match and not test.near_miss for test in rule.tests)
    assert any(test.near_miss for test in rule.tests)
    assert rule.author == "auditwatch"
    assert rule.attack
    assert rule.description
    assert 1 <= len(rule.runbook) <= 4
    assert rule.falsepositives
    assert rule.stage == "live"
    assert "|" not in rule.title + first_sentence(rule.description)  # the tables of the page


def test_titles_and_reasons_fit_a_phone() -> None:
    assert [rule.title for rule in EVERYTHING if len(rule.title) > 80] == []


@pytest.mark.parametrize("value", ["id", "title", "name"])
def test_nothing_is_called_twice(value: str) -> None:
    named = Counter(getattr(rule, value) for rule in EVERYTHING if getattr(rule, value))
    assert [name for name, count in named.items() if count > 1] == []


def test_grave_rules_say_what_to_do_now() -> None:
    """Whoever is woken needs more than one step."""
    assert [rule.title for rule in EVERYTHING if rule.severity == "critical" and len(rule.runbook) < 3] == []


def test_the_page_lists_the_library_as_it_is() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.rules.test_library"


PANTHER = [
    ("cloudtrail", "AWS.CloudTrail.Stopped", "CloudTrail logging stopped or trail deleted"),
    ("cloudtrail", "AWS.CloudTrail.SecurityConfigurationChange", "CloudTrail logging stopped or trail deleted"),
    ("cloudtrail", "AWS.CloudTrail.EventSelectorsDisabled", "CloudTrail told to record less"),
    ("cloudtrail", "AWS.ConfigService.DisabledDeleted", "AWS Config or Security Hub switched off"),
    ("cloudtrail", "AWS.Console.LoginWithoutMFA", "Console login without MFA"),
    ("cloudtrail", "AWS.Unsuccessful.MFA.attempt", "Console login failed at the second factor"),
    ("cloudtrail", "AWS.CloudTrail.RootPasswordChanged", "Root user of an AWS account used"),
    ("cloudtrail", "AWS.CloudTrail.RootAccessKeyCreated", "Root user of an AWS account used"),
    ("cloudtrail", "AWS.CloudTrail.RootAccessKeyCreated", "Access key of the root user created"),
    ("cloudtrail", "AWS.CloudTrail.LoginProfileCreatedOrModified", "Console password set for another user"),
    ("cloudtrail", "AWS.IAM.AttachAdminUserPolicy", "Administrator policy attached"),
    ("cloudtrail", "AWS.IAM.BackdoorRole", "Role trust opened to everybody"),
    ("cloudtrail", "AWS.IAM.BackdoorRole", "Trust of a role changed"),
    (
        "cloudtrail",
        "AWS.CloudTrail.IAMCompromisedKeyQuarantine",
        "AWS found a leaked access key and quarantined its user",
    ),
    ("cloudtrail", "AWS.Suspicious.SAML.Activity", "SAML or OIDC provider of an account changed"),
    ("cloudtrail", "AWS.CloudTrail.SnapshotMadePublic", "Disk, image or database snapshot made public"),
    ("cloudtrail", "AWS.CloudTrail.AMIModifiedForPublicAccess", "Disk, image or database snapshot made public"),
    ("cloudtrail", "AWS.RDS.SnapshotShared", "Disk, image or database snapshot shared with another account"),
    (
        "cloudtrail",
        "AWS.CloudTrail.ResourceMadePublic",
        "Registry, queue, topic, secret, key or search domain opened to everybody",
    ),
    ("cloudtrail", "AWS.CloudTrail.ResourceMadePublic", "S3 bucket made public"),
    ("cloudtrail", "AWS.CloudTrail.CodebuildProjectMadePublic", "Build project made public"),
    ("cloudtrail", "AWS.S3.DeletePublicAccessBlock", "S3 public access block removed"),
    ("cloudtrail", "AWS.S3.DeleteBucketEncryption", "Default encryption of buckets or disks switched off"),
    ("cloudtrail", "AWS.EC2.EBS.Encryption.Disabled", "Default encryption of buckets or disks switched off"),
    ("cloudtrail", "AWS.S3.DeleteBucketReplication", "Replication of a bucket set up or deleted"),
    ("cloudtrail", "AWS.S3.DisableMfaDelete", "Versioning or MFA delete of a bucket switched off"),
    ("cloudtrail", "AWS.S3.SuspendVersioning", "Versioning or MFA delete of a bucket switched off"),
    ("cloudtrail", "AWS.CloudTrail.ShortLifecycle", "Bucket told to delete its objects within days"),
    ("cloudtrail", "AWS.SSM.DecryptSSMParams", "Encrypted parameter of Systems Manager read"),
    ("cloudtrail", "AWS.EC2.Startup.Script.Change", "Start script of an instance changed"),
    ("cloudtrail", "AWS.EC2.LaunchUnusualEC2Instances", "Large graphics or compute instance started"),
    ("cloudtrail", "AWS.EC2.Traffic.Mirroring", "Network traffic mirrored"),
    ("cloudtrail", "AWS.Potential.Backdoor.Lambda", "Lambda function opened to an account or service"),
    ("cloudtrail", "AWS.Bedrock.GuardrailUpdateDelete", "Guardrail or log of a language model removed"),
    ("cloudtrail", "AWS.RDS.InstanceDeletion", "Database deleted without a last snapshot"),
    ("cloudtrail", "AWS.RDS.InstanceMadePublic", "Database made reachable from the internet"),
    ("cloudtrail", "AWS.RDS.PublicRestore", "Database made reachable from the internet"),
    ("cloudtrail", "AWS.RDS.MasterPasswordUpdated", "Master password of a database changed"),
    ("cloudtrail", "AWS.WAF.Disassociation", "Web firewall deleted or taken off"),
    ("cloudtrail", "AWS.STS.GetCallerIdentity.TruffleHog", "Call by a tool that intruders use"),
    ("cloudtrail", "Standard.NewAWSAccountCreated", "AWS account created or invited"),
    ("okta", "Okta.AdminRoleAssigned", "Okta administrator role granted"),
    ("okta", "Okta.AdminRoleAssigned", "Okta super administrator made"),
    ("okta", "Okta.APIKeyCreated", "Okta API token created"),
    ("okta", "Okta.Support.Reset", "Password reset by Okta support"),
    ("github", "GitHub.Advanced.Security.Change", "Secret scanning or push protection disabled"),
    ("github", "GitHub.Advanced.Security.Change", "Dependabot, code scanning or Advanced Security switched off"),
    ("github", "GitHub.Branch.ProtectionDisabled", "Branch protection removed or overridden"),
    ("github", "GitHub.Branch.PolicyOverride", "Branch protection removed or overridden"),
    ("github", "GitHub.Org.AuthChange", "Two-factor or SSO requirement of the organization disabled"),
    ("github", "GitHub.Org.AuthChange", "Settings of single sign-on changed"),
    ("github", "GitHub.Org.Modified", "Member joined the organization"),
    ("github", "GitHub.Org.Modified", "Member removed from the organization"),
    ("github", "Github.Organization.App.Integration.Installed", "GitHub App or OAuth app let in"),
    ("github", "Github.Repo.Archived", "Repository archived"),
    ("github", "Github.Repository.Transfer", "Repository moved to another owner"),
    ("github", "GitHub.SupplyChain.SuspiciousUserAgents", "Repository changed by a package manager"),
    ("github", "GitHub.Webhook.Modified", "Webhook added or pointed elsewhere"),
    ("kubernetes", "Kubernetes.AdmissionController.Created", "Admission webhook or policy changed by a person"),
    ("kubernetes", "Kubernetes.ClientCertificate.Created", "Client certificate of the cluster asked for or approved"),
    ("kubernetes", "Kubernetes.ClusterRoleBinding.Privileged", "cluster-admin bound"),
    ("kubernetes", "Kubernetes.ClusterRoleBinding.Privileged", "Role of the control plane bound by a person"),
    ("kubernetes", "Kubernetes.CronJob.CreatedOrModified", "Scheduled job written by a person"),
    ("kubernetes", "Kubernetes.Pod.Exec", "Command run inside a pod"),
    ("kubernetes", "Kubernetes.Pod.Host.Network", "Pod in the network of its node created by a person"),
    ("kubernetes", "Kubernetes.Pod.Privileged.Created", "Privileged pod created by a person"),
    ("kubernetes", "Kubernetes.Pod.SystemNamespace", "Pod started in a system namespace by a person"),
    ("kubernetes", "Kubernetes.Role.WritePermissions", "Role over secrets, pods' shells or role bindings written"),
    ("kubernetes", "Kubernetes.BulkSecretAccess", "Secret read by a person"),
    ("kubernetes", "Kubernetes.Secrets.DumpAllNamespaces", "Secrets listed by a person"),
    ("kubernetes", "Kubernetes.ServiceAccount.TokenCreated", "Service account token made by a person"),
]


@pytest.mark.parametrize(("source", "theirs", "ours"), PANTHER, ids=lambda value: value)
def test_what_others_find_with_the_same_idea_we_find(data: Path, source: str, theirs: str, ours: str) -> None:
    """At least one event that another product's rule must match matches ours."""
    assert any(ours in titles for titles in _matched(data / source / "panther_rules.cases.jsonl.gz", source, theirs))


def _matched(file: Path, source: str, theirs: str) -> list[list[str]]:
    return [
        [rule.title for event in _events(source, line["raw"]) for rule in _matching(event)]
        for line in _lines(file)
        if line["case"]["rule_id"] == theirs and line["case"]["expected_match"]
    ]


def _lines(file: Path) -> Iterator[Any]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
        yield from map(msgspec.json.decode, lines)


def _events(source: str, record: Any) -> list[AuditEvent]:
    found: list[AuditEvent] = []
    for entry in read(source, msgspec.json.encode(record), ARRIVAL, EMPTY):
        if not isinstance(entry, Reject):
            found += entry
    return found


def _matching(event: AuditEvent) -> list[Any]:
    return list(RULES.match(event, msgspec.json.decode(event.raw)))


BY_NAME = "Call by a tool that intruders use"
"""The tool that made these data says its name: matches of this rule prove nothing."""


def test_an_hour_of_real_attack_is_seen_and_noise_is_not(data: Path) -> None:
    """2,814 real CloudTrail events: some thirty attack techniques with their preparation, consoles and services."""
    folder = data / "cloudtrail"
    seen: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    for line, label in zip(
        _lines(folder / "invictus.raw.jsonl.gz"), _lines(folder / "invictus.labels.jsonl"), strict=True
    ):
        for event in _events("cloudtrail", line["raw"]):
            for rule in _matching(event):
                if not rule.silent and rule.title != BY_NAME:
                    seen[rule.title] += 1
                    phases[label["phase"]] += 1
    assert seen["CloudTrail logging stopped or trail deleted"] == 2
    assert seen["CloudTrail told to record less"] == 1
    assert seen["Administrator policy attached"] == 1
    assert len(seen) >= 13
    assert set(phases) <= {"detonate", "warmup", "revert"}
    assert seen.total() <= 100


def test_techniques_of_a_public_catalogue_are_seen(data: Path) -> None:
    """One recorded run of each technique; refusals do not count."""
    folder = data / "cloudtrail"
    seen: dict[str, set[str]] = defaultdict(set)
    for line, label in zip(
        _lines(folder / "stratus.raw.jsonl.gz"), _lines(folder / "stratus.labels.jsonl"), strict=True
    ):
        titles = {rule.title for event in _events("cloudtrail", line["raw"]) for rule in _matching(event)}
        seen[label["stratus_id"]] |= titles - {BY_NAME, "Action denied"}
    assert [technique for technique, titles in seen.items() if not titles] == []
    assert len(seen) >= 15


def test_the_rule_in_the_documentation_works(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "writing-rules.md").read_text()
    (tmp_path / "rule.yml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    assert check([tmp_path]) == []
    results = run_tests([tmp_path])
    assert len(results) == 3
    assert all(result.passed for result in results)


if __name__ == "__main__":
    PAGE.write_text(page())
