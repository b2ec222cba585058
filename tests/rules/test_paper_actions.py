"""Which actions paper can explain, by type and system."""

from __future__ import annotations

from typing import get_args

import pytest

from audit.context_schema import TicketType
from rules.paper_actions import EXPLAINS, LONGEST_ACTION, NEVER, can_explain, is_beyond_paper, is_sign_in


def test_every_type_of_ticket_is_in_the_table() -> None:
    assert set(EXPLAINS) == set(get_args(TicketType))


@pytest.mark.parametrize(
    ("kind", "system", "action"),
    [
        ("access", "okta", "group.user_membership.add"),
        ("access", "github", "integration_installation.create"),
        ("access", "k8s", "create rolebindings"),
        ("change", "aws", "iam:AttachRolePolicy"),
        ("change", "aws", "IAM:attachrolepolicy"),
        ("change", "aws", "s3:GetObject"),
        ("change", "k8s", "patch deployments"),
        ("helpdesk", "okta", "user.mfa.factor.reset_all"),
        ("helpdesk", "entra", "Reset user password"),
        ("incident", "k8s", "create pods/exec"),
        ("incident", "aws", "sts:AssumeRole"),
        ("pentest", "aws", "iam:ListUsers"),
        ("pentest", "okta", "user.session.start"),
    ],
)
def test_can_explain(kind: str, system: str, action: str) -> None:
    assert can_explain(kind, system, action)


@pytest.mark.parametrize(
    ("kind", "system", "action"),
    [
        ("access", "okta", "user.mfa.factor.reset_all"),
        ("access", "aws", "iam:CreateAccessKey"),
        ("access", "linux", "sudo"),
        ("change", "aws", "secretsmanager:GetSecretValue"),
        ("change", "aws", "ssm:GetParameter"),
        ("change", "aws", "AttachRolePolicy"),
        ("change", "okta", "user.account.reset_password"),
        ("change", "k8s", "get secrets"),
        ("change", "k8s", "create pods/exec"),
        ("change", "github", "repo.access"),
        ("helpdesk", "okta", "group.user_membership.add"),
        ("helpdesk", "okta", "user.session.start"),
        ("incident", "k8s", "get secrets"),
        ("incident", "aws", "iam:AttachRolePolicy"),
        ("incident", "aws", "secretsmanager:GetSecretValue"),
        ("approval", "aws", "iam:AttachRolePolicy"),
        ("", "", ""),
    ],
)
def test_cannot_explain(kind: str, system: str, action: str) -> None:
    assert not can_explain(kind, system, action)


@pytest.mark.parametrize(
    ("system", "action"),
    [
        ("aws", "cloudtrail:StopLogging"),
        ("aws", "guardduty:DeleteDetector"),
        ("aws", "logs:DeleteLogGroup"),
        ("aws", "kms:ScheduleKeyDeletion"),
        ("okta", "user.account.privilege.grant"),
        ("github", "repo.access"),
        ("k8s", "create clusterrolebindings"),
    ],
)
def test_the_watchers_are_beyond_paper(system: str, action: str) -> None:
    assert is_beyond_paper(system, action)


def test_ordinary_work_is_not_beyond_paper() -> None:
    assert not is_beyond_paper("aws", "iam:AttachRolePolicy")
    assert not is_beyond_paper("aws", "cloudtrail:LookupEvents")
    assert not is_beyond_paper("k8s", "create rolebindings")
    assert not is_beyond_paper("nowhere", "anything")


def test_what_is_beyond_paper_matches_no_empty_action() -> None:
    assert not any(is_beyond_paper(system, "") for system in NEVER)


def test_signing_in_is_a_matter_of_the_system() -> None:
    assert is_sign_in("okta", "user.authentication.auth_via_mfa")
    assert is_sign_in("aws", "signin:ConsoleLogin")
    assert not is_sign_in("aws", "user.session.start")
    assert not is_sign_in("okta", "user.mfa.factor.activate")


def test_an_endless_action_is_cut() -> None:
    assert can_explain("pentest", "aws", "x" * 10 * LONGEST_ACTION)
    assert not can_explain("change", "aws", "x" * LONGEST_ACTION + ":Create")
