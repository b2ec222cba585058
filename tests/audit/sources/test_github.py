from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources import github
from audit.sources.fields import UNTIMED, Unreadable
from tests.audit.sources.golden import Golden, assert_golden, normalised

WHEN = parse_rfc3339("2026-03-02T08:15:30.123Z")


def record(action: str, **fields: Any) -> dict[str, Any]:
    return {
        "@timestamp": WHEN // 1000,
        "_document_id": "Zb1kPq",
        "action": action,
        "actor": "ada-acme",
        "actor_id": 1001,
        "actor_ip": "198.51.100.7",
        "actor_location": {"country_code": "AT"},
        "business": "acme-inc",
        "created_at": WHEN // 1000,
        "operation_type": "modify",
        "org": "acme",
        "org_id": 77,
        "user_agent": "Mozilla/5.0",
    } | fields


GOLDEN: Golden = {
    "a repository goes public": (
        record("repo.access", repo="acme/payroll", visibility="public", user="ada-acme"),
        {
            "id": "Zb1kPq",
            "time": WHEN,
            "action": "repo.access",
            "outcome": "unknown",
            "actor": ("ada-acme", "ada-acme", "unknown", "asserted"),
            "target": None,
            "resource": ("repository", "acme/payroll"),
            "source_ip": "198.51.100.7",
            "country": "AT",
            "user_agent": "Mozilla/5.0",
            "session_id": None,
            "account": "acme",
        },
    ),
    "somebody joins a team": (
        record("team.add_member", team="acme/admins", user="bob-acme", repo="acme/payroll"),
        {"resource": ("team", "acme/admins"), "target": ("bob-acme", "bob-acme", "unknown", "asserted")},
    ),
    "the older form of a team": (
        {
            "actor": "ada-acme",
            "action": "team.create",
            "org": "acme",
            "created_at": WHEN // 1000,
            "data": {"team": "acme/authors"},
        },
        {"resource": ("team", "acme/authors"), "time": WHEN, "source_ip": None, "country": None},
    ),
    "somebody joins the organization": (
        record("org.add_member", user="bob-acme"),
        {"resource": ("organization", "acme"), "target": ("bob-acme", "bob-acme", "unknown", "asserted")},
    ),
    "a push a protected branch refuses": (
        record("protected_branch.rejected_ref_update", repo="acme/api"),
        {"outcome": "denied", "resource": ("repository", "acme/api")},
    ),
    "a bot": (
        record("pull_request.merge", actor="dependabot[bot]", repo="acme/api"),
        {"actor": ("dependabot[bot]", "dependabot[bot]", "service", "asserted")},
    ),
    "a GitHub App by its token": (
        record("git.push", actor="acme-deployer", programmatic_access_type="GitHub App server-to-server token"),
        {"actor": ("acme-deployer", "acme-deployer", "service", "asserted")},
    ),
    "a person the identity provider knows": (
        record("hook.create", external_identity_nameid="ada@acme.example", repo="acme/api"),
        {"actor": ("ada-acme", "ada-acme", "human", "asserted")},
    ),
    "a workflow that failed": (
        record("workflows.completed_workflow_run", conclusion="failure", repo="acme/api"),
        {"outcome": "failure"},
    ),
    "a workflow that succeeded": (
        record("workflows.completed_workflow_run", conclusion="success"),
        {"outcome": "success"},
    ),
    "an application is installed": (
        record("integration_installation.create", name="Datadog CI"),
        {"resource": ("integration", "Datadog CI")},
    ),
    "the enterprise itself": (
        {"action": "business_advanced_security.disabled", "business": "acme-inc", "@timestamp": WHEN // 1000},
        {
            "resource": ("enterprise", "acme-inc"),
            "account": "acme-inc",
            "actor": ("unknown", "unknown", "unknown", "anonymous"),
        },
    ),
    "a login that failed": (
        record("user.failed_login"),
        {"outcome": "failure", "actor": ("ada-acme", "ada-acme", "unknown", "anonymous")},
    ),
    "a login": (record("user.login"), {"outcome": "success"}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("github", *GOLDEN[name])


@pytest.mark.parametrize(
    "written",
    [WHEN // 1000, float(WHEN // 1000), str(WHEN // 1000), "2026-03-02 08:15:30.123", "2026-03-02T08:15:30.123000000Z"],
)
def test_every_spelling_of_the_time(written: Any) -> None:
    assert normalised("github", record("repo.create", **{"@timestamp": written})).time == WHEN


def test_the_deeds_time_before_the_things() -> None:
    """A dismissed alert has the alert's birth in created_at."""
    assert normalised("github", record("repository_vulnerability_alert.dismiss", created_at=1)).time == WHEN
    assert normalised("github", {"action": "repo.create", "created_at": WHEN // 1000}).time == WHEN
    assert normalised("github", {"action": "repo.create"}).time == UNTIMED


@pytest.mark.parametrize("written", [[], {}, True, -1, "...", "99999999999999999999999", 1e300, float("nan"), 10**40])
def test_a_time_nobody_can_read(written: Any) -> None:
    with pytest.raises(Unreadable, match="time"):
        github.normalise(record("repo.create", **{"@timestamp": written}), b"{}")


@pytest.mark.parametrize("foreign", [{}, {"message": "github_audit: {}"}, {"action": 1.5}, {"action": ["repo.create"]}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="action"):
        github.normalise(foreign, b"{}")


def test_the_same_login_in_other_letters_is_no_second_principal() -> None:
    assert normalised("github", record("repo.create", user="Ada-Acme")).target is None
