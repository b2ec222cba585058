from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.context_schema import Company, Person, Role
from rules.access_compile import FOREVER, Book, Row, of_holder
from tests.rules.accessing import DATA, PROD, context

COMPANY = Company(github_org="acorn", aws_accounts={"prod": PROD})


def allows(role: dict[str, Any], action: str, on: str) -> bool:
    return any(one.on is None or one.on.match(on) for one in Row(Role(name="r", **role), COMPANY).of(action))


@pytest.mark.parametrize(
    ("role", "action", "on"),
    [
        ({"system": "aws", "actions": ("s3:Get*",)}, "s3:getobject", "anything"),
        ({"system": "cloudtrail", "actions": ("s3:Get*",), "resources": ("a*",)}, "s3:getobject", "ab"),
        ({"system": "aws", "actions": ("GetObject",)}, "s3:getobject", "a"),
        ({"system": "AWS", "actions": ("s3:*",), "resources": ("arn:aws:s3:::web-*",)}, "s3:getobject", "web-1"),
        ({"system": "aws", "actions": ("ec2:*",), "resources": ("arn:aws:ec2:*:*:instance/i-1*",)}, "ec2:stop", "i-12"),
        ({"system": "aws", "may_assume": ("restore",)}, "sts:assumerole", "arn:aws:iam::1:role/restore"),
        ({"system": "k8s", "verbs": ("*",), "resources": ("*",)}, "get pods/exec", "/"),
        ({"system": "k8s", "verbs": ("get",), "resources": ("deployments.apps",)}, "get deployments", "web"),
        (
            {"system": "kubernetes", "verbs": ("get",), "resources": ("pods*",), "namespaces": ("w",)},
            "get pods/log",
            "w",
        ),
        ({"system": "github", "repos": ("web",), "permission": "read"}, "git.clone", "acorn/web"),
        ({"system": "github", "repos": ("*",), "permission": "maintain"}, "git.push", "any/thing"),
        ({"system": "github", "permission": "admin"}, "repo.destroy", "any/thing"),
        ({"system": "github", "repos": ("acorn/*",), "actions": ("team.*",)}, "team.add_member", "/"),
        ({"system": "okta", "apps": ("*",)}, "user.authentication.sso", "jira"),
        ({"system": "gcp", "actions": ("storage.*",), "resources": ("b",)}, "storage.get", "b"),
    ],
)
def test_a_role_allows_what_it_lists(role: dict[str, Any], action: str, on: str) -> None:
    assert allows(role, action, on)


@pytest.mark.parametrize(
    ("role", "action", "on"),
    [
        ({"system": "aws"}, "s3:getobject", "a"),
        ({"system": "aws", "actions": ("s3:*",), "resources": ("arn:aws:s3:::web/private/*",)}, "s3:getobject", "web"),
        ({"system": "aws", "may_assume": ("store",)}, "sts:assumerole", "arn:aws:iam::1:role/restore"),
        ({"system": "aws", "actions": ("s3:Get*",), "resources": ("a",)}, "s3:getobject", "b"),
        ({"system": "k8s", "verbs": ("get",), "resources": ("pods",)}, "get pods/log", "w"),
        ({"system": "k8s", "verbs": ("get",), "resources": ("nodes",), "namespaces": ("w",)}, "get nodes", "/"),
        ({"system": "github", "repos": ("web",), "permission": "read"}, "git.push", "acorn/web"),
        ({"system": "github", "repos": ("acorn/*",), "permission": "admin"}, "team.add_member", "/"),
        ({"system": "github", "repos": ("web",), "permission": "nonsense"}, "git.push", "acorn/web"),
        ({"system": "okta", "apps": ("Jira",)}, "user.lifecycle.create", ""),
    ],
)
def test_and_nothing_else(role: dict[str, Any], action: str, on: str) -> None:
    assert not allows(role, action, on)


def test_an_account_goes_by_its_name_or_its_number() -> None:
    assert Row(Role(name="r", system="aws", account="prod"), COMPANY).account == PROD
    assert Row(Role(name="r", system="aws", account=DATA), COMPANY).account == DATA
    assert Row(Role(name="r", system="aws", account="*"), COMPANY).account == ""


def test_the_holder_stands_in_patterns() -> None:
    assert of_holder(["user/${user}-*"], Person(id="ada")).match("user/ada-1")


class TestBook:
    def held(self, tmp_path: Path, user: str = "ada", **more: Any) -> list[tuple[str, bool, bool]]:
        known = context(tmp_path, **more)
        person = known.person(user)
        assert person is not None
        return [(one.role.name, one.end == FOREVER, bool(one.flaw)) for one in Book(known.declared).holdings(person)]

    def test_a_name_may_stand_for_roles_of_several_accounts(self, tmp_path: Path) -> None:
        twice = [{"name": "ro", "system": "aws", "account": name, "actions": ["s3:Get*"]} for name in ("prod", "data")]
        held = self.held(tmp_path, "dora", plus_roles=twice, plus_users=[{"id": "dora", "roles": ["aws:ro"]}])
        assert held == [("ro", True, False)] * 2

    def test_grants_of_another_system_of_the_same_name_are_others(self, tmp_path: Path) -> None:
        roles = [{"name": "same", "system": system, "actions": ["x"]} for system in ("aws", "okta")]
        grant = {"user": "eve", "system": "okta", "role": "same", "start": "2026-03-01", "expires": "2026-03-02"}
        known = context(tmp_path, plus_roles=roles, temporary_grants=[grant])
        person = known.person("eve")
        assert person is not None
        assert [one.row.system for one in Book(known.declared).holdings(person)] == ["okta"]

    def test_what_lasts_is_asked_first_and_what_is_flawed_last(self, tmp_path: Path) -> None:
        grants = [
            {"user": "bob", "system": "aws", "role": "aws-admin", "start": "2026-03-01", "expires": "2026-03-02"},
            {"user": "bob", "system": "aws", "role": "aws-admin", "granted_by": "bob", "start": "2026-03-01",
             "expires": "2026-03-09"},
        ]  # fmt: skip
        assert self.held(tmp_path, "bob", temporary_grants=grants) == [
            ("aws-ops", True, False), ("aws-admin", False, False), ("aws-admin", False, True)
        ]  # fmt: skip
