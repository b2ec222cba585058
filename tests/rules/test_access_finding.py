from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.context import Context
from audit.finding import Finding, Version
from rules.access import Access
from rules.access_asked import asked
from rules.access_finding import deed_of, finding_of, permission_code
from rules.view import View
from tests.rules.accessing import DATA, DAY, NOON, call, context, git, okta, request, sso

GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "start": "2026-03-02", "expires": "2026-03-03"}


def told(known: Context, seen: Any) -> Finding:
    access = Access(known)
    event, record = seen
    view = View(event, record, None, known.person(event.actor.id), known)
    return finding_of(access, view, access.decide(event, record), Version("r", "m", "c"))


def test_shadow_access_is_told_with_what_comes_nearest(tmp_path: Path) -> None:
    finding = told(context(tmp_path), call(on="acorn-finance-x"))
    assert (finding.kind, finding.detection, finding.severity) == ("access", "access.undeclared", "high")
    assert finding.entity == "user:ada"
    assert finding.event_ids == ("e1",)
    assert finding.reasons == (
        "no declared role of ada allows s3:GetObject on acorn-finance-x",
        "nearest: aws-web-prod allows it on *web*, i-*",
    )


def test_where_no_role_of_theirs_comes_near_others_are_named(tmp_path: Path) -> None:
    finding = told(context(tmp_path), call("eve", "lambda:GetFunction", "acorn-web-api"))
    assert finding.reasons[1:] == (
        "nearest: aws-web-prod allows it, which eve does not hold",
        "nearest: aws-ops allows it, which eve does not hold",
    )


def test_the_role_it_was_done_by_is_named(tmp_path: Path) -> None:
    session = {"userIdentity": {"sessionContext": {"sessionIssuer": {"userName": "Developer", "arn": "arn:x"}}}}
    assert told(context(tmp_path), call(on="q", record=session)).reasons[-1] == (
        "done in a session of the AWS role Developer"
    )


@pytest.mark.parametrize(
    ("seen", "severity"),
    [
        (call(on="acorn-else"), "low"),
        (call(on="acorn-finance-x"), "high"),
        (call(action="iam:AttachUserPolicy", on="bob"), "medium"),
        (call(action="secretsmanager:GetSecretValue", on="s"), "medium"),
        (request("ada", "get", "secrets", "web/x"), "medium"),
        (request("ada", "get", "configmaps", "web/x"), "low"),
        (request("ada", "get", "configmaps", "payments/x"), "high"),
        (git("ada", "protected_branch.destroy", "acorn/web-api"), "medium"),
        (git("ada", "git.clone", "acorn/else"), "low"),
        (git("ada", "git.clone", "acorn/payments-api"), "high"),
        (sso("ada", "NetSuite"), "low"),
        (okta("ada", "user.lifecycle.create"), "medium"),
        (call("aws:stranger"), "medium"),
        (call("aws:stranger", on="acorn-finance-x"), "high"),
        (call("cy"), "high"),
    ],
)
def test_severity_is_what_could_come_of_it(tmp_path: Path, seen: Any, severity: str) -> None:
    assert told(context(tmp_path), seen).severity == severity


def test_an_ended_grant_names_its_end_and_a_slip_weighs_less(tmp_path: Path) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    end = 1_772_582_399_999_999
    late = told(known, call(on="q", time=end + DAY))
    assert (late.detection, late.severity) == ("access.expired", "high")
    assert late.reasons == ("s3:GetObject on q: role aws-admin was theirs until 2026-03-03T23:59:59.999999Z",)
    assert told(known, call(on="q", time=end + 60_000_000)).severity == "medium"


@pytest.mark.parametrize(
    ("grant", "ticket", "detection"),
    [
        ({"granted_by": "ada"}, {}, "access.self_granted"),
        ({"ticket": "T-1"}, {"status": "rejected"}, "access.unapproved"),
        ({"ticket": "T-1"}, {"approver": "ada", "status": "approved"}, "access.unapproved"),
    ],
)
def test_a_grant_that_is_none_is_told_high(tmp_path: Path, grant: Any, ticket: Any, detection: str) -> None:
    row = {"id": "T-1", "type": "access", "requester": "ada", "opened": "2026-03-01", **ticket}
    known = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-09", **grant}], tickets=[row])
    finding = told(known, call(on="q"))
    assert (finding.detection, finding.severity) == (detection, "high")
    assert "role aws-admin does not count" in finding.reasons[0]


def test_who_has_left_is_told_with_the_day(tmp_path: Path) -> None:
    assert told(context(tmp_path), call("cy")).reasons == (
        "cy left the company on 2026-02-28, and GetObject still worked",
    )


def test_break_glass_names_its_role(tmp_path: Path) -> None:
    role = {"name": "glass", "system": "aws", "actions": ["*"], "resources": ["*"], "break_glass": True}
    known = context(tmp_path, plus_roles=[role], plus_users=[{"id": "dora", "roles": ["glass"]}])
    finding = told(known, call("dora"))
    assert finding.reasons[0] == "dora used the break-glass role glass for s3:GetObject on acorn-web-assets"


class TestCode:
    def code(self, known: Context, seen: Any) -> int:
        access = Access(known)
        return permission_code(access, seen[0], access.decide(*seen))

    def test_one_permission_is_one_action_and_one_sensitive_thing(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        code = self.code(known, call(action="ec2:StopInstances", on="a"))
        assert code == self.code(known, call(action="ec2:StopInstances", on="b", time=NOON + DAY))
        assert code == self.code(known, call("eve", "ec2:StopInstances", "c"))
        assert code != self.code(known, call(action="ec2:StopInstances", on="acorn-finance-x"))
        assert code != self.code(known, call(action="ec2:StartInstances", on="a"))

    def test_and_where_there_are_few_things_each_of_them(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert self.code(known, sso("ada", "NetSuite")) != self.code(known, sso("ada", "Workday"))
        assert self.code(known, call(on="a")) != self.code(known, call(on="b"))
        assert self.code(known, request("ada", "get", "secrets", "web/a")) == self.code(
            known, request("ada", "get", "secrets", "web/b")
        )

    def test_of_those_who_have_left_each_action_is_one(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert self.code(known, call("cy", on="a")) == self.code(known, call("cy", on="b"))
        assert self.code(known, call("cy")) != self.code(known, call("cy", "iam:ListUsers", ""))

    def test_all_a_stranger_does_in_an_account_is_one(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        code = self.code(known, call("aws:x"))
        assert code == self.code(known, call("aws:x", "iam:ListUsers", ""))
        assert code != self.code(known, call("aws:x", account=DATA))


def test_a_deed_in_a_few_words() -> None:
    for seen, words in (
        (call(), "s3:GetObject on acorn-web-assets"),
        (call(action="ec2:DescribeVpcs", on=""), "ec2:DescribeVpcs"),
        (request("ada", "get", "pods/log", "web/api"), "get pods/log in namespace web"),
        (call(on="x" * 500), f"s3:GetObject on {'x' * 77}..."),
    ):
        assert deed_of(seen[0], asked(*seen)) == words
