"""Real records against what other products make of them (elastic, Sekoia, OCSF, Panther).

Every difference left is listed here and explained in docs/normalisation.md.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, from_line, to_line
from audit.sources.reader import Reject, read
from streams.files import records
from tests.audit.sources.conformance import ARRIVAL, DATA, entries, files, lines, named, source_of, verdicts

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the checkout")

REJECTS = {
    "azure/elastic_platformlogs.expected": 1,  # a message cut in its middle
    "cloudtrail/mordor_honeybucket.raw": 301,  # a CSV reduction with keys of its own
    "cloudtrail/panther_parser.expected": 1,  # a digest file
    "cloudtrail/panther_rules.cases": 11,  # Panther's own lower-case keys, empty tests, a time of "..."
    "cloudtrail/streamalert_rules.cases": 9,  # times of "..."
    "gcp/panther_rules.cases": 12,  # Panther's own lower-case keys, payloads without their entry
    "github/streamalert_rules.cases": 10,  # syslog lines of GitHub Enterprise inside Logstash's envelope
    "google_workspace/panther_rules.cases": 1,  # a test without a name
    "kubernetes/panther_rules.cases": 2,  # tests of other products
    "kubernetes/sekoia_google_kubernetes_engine.expected": 4,  # node logs and cluster Events, no audit records
    "linux/sekoia_auditbeat.expected": 11,  # documents Auditbeat has made of audit lines
    "o365/elastic_audit.expected": 7,  # elastic's own envelope (o365audit), two broken documents
    "okta/panther_rules.cases": 18,  # Panther's own lower-case keys
}
UBUNTU = "elastic/system/auth/test-auth-ubuntu1204.log#"
DIFFERENCES = {
    ("sekoia/AWS/aws-cloudtrail/tests/event_cluster_name.json", "actor"),
    ("ocsf/mappings/markdown/AWS/v1.1.0/EKS Audit Logs/samples/eks.raw", "source_ip"),
    ("ocsf/mappings/markdown/Okta/v1.3.0/System Logs/Account Change/samples/account_change.raw", "time"),
    *((f"sekoia/Azure/azure-key-vault/tests/test_event_{name}.json", "outcome")
      for name in ("certificate_import", "key_get", "secret_get", "secret_restore")),
    *((f"elastic/o365/audit/test-dlp-sharepoint-events.json#{number}", "outcome") for number in (1, 3, 4)),
    *((f"sekoia/Google Cloud/google-report/tests/test_chrome_CRD_{name}.json", "actor")
      for name in ("CLIENT_CONNECTED", "CLIENT_DISCONNECTED", "HOST_ENDED")),
    *((f"{UBUNTU}{number}", "actor") for number in (15, 39, 48, 50, 92)),
    *((f"{UBUNTU}{number}", "source_ip") for number in (12, 22, 28, 43)),
    *((f"elastic/auditd/log/test-auditd-raw.log#{number}", "actor") for number in (2, 35)),
    ("elastic/auditd_manager/auditd/test-chown-events.json#0", "actor"),
    ("sekoia/OpenSSH/openssh/tests/pam_check_pass.json", "outcome"),
    *((f"elastic/cisco_duo/auth/test-auth.log#{number}", "source_ip") for number in (9, 10, 11, 12)),
    *((f"elastic/cloudflare/audit/test-audit.log#{number}", "action") for number in (2, 4)),
    ("elastic/1password/signin_attempts/test-signinattempts.json#0", "action"),
    *((f"elastic/atlassian_{product}/audit/test-audit-files.log#{number}", "time")
      for product, numbers in (("jira", (31, 32, 41)), ("confluence", (14,)), ("bitbucket", (6, 27, 34, 44, 57, 70)))
      for number in numbers),
}  # fmt: skip
FIGURES = {
    "cloudtrail": {"time": 39, "action": 36, "actor": 33, "source_ip": 38, "outcome": 37},
    "github": {"time": 117, "action": 115, "actor": 117, "source_ip": 117},
    "kubernetes": {"time": 6, "action": 6, "actor": 6, "source_ip": 6, "outcome": 5},
    "okta": {"time": 24, "action": 21, "actor": 24, "source_ip": 24, "outcome": 24},
    "entra": {"time": 140, "action": 140, "actor": 74, "source_ip": 140, "outcome": 122},
    "o365": {"time": 281, "action": 277, "actor": 280, "source_ip": 281, "outcome": 281},
    "google_workspace": {"time": 300, "action": 296, "actor": 297, "source_ip": 299, "outcome": 2},
    "gcp": {"time": 27, "action": 11, "actor": 27, "source_ip": 27, "outcome": 10},
    "linux": {"time": 121, "action": 8, "actor": 141, "source_ip": 164, "outcome": 94},
    "auth0": {"time": 62, "actor": 57, "source_ip": 62, "outcome": 59},
    "onelogin": {"time": 2, "source_ip": 1},
    "duo": {"time": 20, "action": 6, "actor": 17, "source_ip": 20, "outcome": 18},
    "cloudflare": {"time": 31, "action": 31, "actor": 31, "source_ip": 31, "outcome": 28},
    "slack": {"time": 4, "action": 2, "actor": 2, "source_ip": 4},
    "onepassword": {"time": 5, "action": 4, "actor": 4, "source_ip": 5, "outcome": 2},
    "atlassian": {"time": 522, "action": 522, "actor": 522, "source_ip": 522},
}
"""Claims by source and field; how many of them we share follows from DIFFERENCES."""


@pytest.mark.parametrize("path", [*files("raw"), *files("expected"), *files("cases")], ids=named)
def test_every_file_goes_through(path: Path) -> None:
    rejects = 0
    for entry in entries(path):
        if isinstance(entry, Reject):
            rejects += 1
            continue
        for event in entry:
            assert from_line(to_line(event)) == event
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AuditEvent) == event
    assert rejects == REJECTS.get(named(path), 0)


def test_the_differences_left_are_the_explained_ones() -> None:
    assert {(identifier, field) for (_, identifier, field), same in verdicts().items() if not same} == DIFFERENCES


def test_figures() -> None:
    claims: dict[str, Counter[str]] = {source: Counter() for source in FIGURES}
    for source, _, field in verdicts():
        claims[source][field] += 1
    assert claims == FIGURES


def test_at_least_98_of_100_claims_are_shared_and_no_action_or_time_of_ours_is_wrong() -> None:
    claims, agreed = Counter[str](), Counter[str]()
    for (_, _, field), same in verdicts().items():
        claims[field] += 1
        agreed[field] += same
    assert all(agreed[field] >= 0.98 * claims[field] for field in claims)
    for (source, _, field), same in verdicts().items():
        if source in ("entra", "o365", "google_workspace", "gcp", "linux") and field in ("time", "action"):
            assert same


def test_replay_reads_the_same_records() -> None:
    """The raw files through streams.files, as `normalise` and `replay` read them."""
    for path in files("raw"):
        through = [
            entry for _, payload in records(str(path)) for entry in read(source_of(path), payload, ARRIVAL, EMPTY)
        ]
        assert [events_of(entry) for entry in through] == [events_of(entry) for entry in entries(path)]


def test_real_lines_are_understood() -> None:
    """Of the sshd log of a host under attack and the audit log of an intrusion, what has no known form is rare."""
    actions = Counter[str]()
    for name in ("loghub_openssh", "msticpy_auditd"):
        for line in lines(DATA / "linux" / f"{name}.raw.jsonl.gz"):
            [entry] = read("linux", line["raw"].encode(), ARRIVAL, EMPTY)
            assert isinstance(entry, list)
            actions.update(event.action for event in entry)
    assert actions["sshd.login"] == 279
    assert actions["auditd.user_login"] == 191
    assert actions["sshd.message"] < 0.2 * actions.total()
    assert actions["linux.message"] == 0


def events_of(entry: list[AuditEvent] | Reject) -> list[tuple[str, int, str, str]] | str:
    if isinstance(entry, Reject):
        return entry.error
    return [(event.id, event.time, event.action, event.actor.id) for event in entry]
