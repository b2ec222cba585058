from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from audit.context import EMPTY
from audit.event import AuditEvent, Principal, parse_rfc3339, rfc3339
from rules.access import REMEMBERED, Access, access_of
from rules.access_asked import Asked, is_vendors_own
from tests.rules.accessing import DATA, DAY, NOON, PROD, call, context, decided, git, okta, request, sso

Seen = tuple[AuditEvent, dict[str, Any]]
GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob", "start": "2026-03-02"}
SESSION = {"userIdentity": {"sessionContext": {"sessionIssuer": {
    "userName": "restore", "arn": "arn:aws:iam::777788889999:role/restore"}}}}  # fmt: skip
APPROVED = {"id": "A-1", "type": "access", "requester": "ada", "approver": "bob", "opened": "2026-03-01",
            "approved_at": "2026-03-02", "status": "approved"}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (call(), "permitted"),
        (call(on="acorn-finance-reports"), "undeclared"),
        (call(action="s3:PutObject"), "undeclared"),
        (call(action="s3:getobject"), "permitted"),
        (call(action="ec2:DescribeVpcs", on=""), "permitted"),
        (call(action="lambda:GetFunction20150331v2", on="acorn-web-api"), "permitted"),
        (call(account=DATA), "undeclared"),
        (call(action="iam:CreateAccessKey", on="ada"), "permitted"),
        (call(action="iam:CreateAccessKey", on="bob"), "undeclared"),
        (call(action="sts:GetCallerIdentity", on=""), "not_observable"),
        (call("bob", "iam:DeleteUser", "eve", account=DATA), "permitted"),
        (request("ada", "get", "pods/log", "web/api"), "permitted"),
        (request("ada", "get", "pods/exec", "web/api"), "undeclared"),
        (request("ada", "list", "pods", "payments/*"), "undeclared"),
        (request("ada", "list", "pods", "*"), "undeclared"),
        (request("ada", "create", "selfsubjectaccessreviews", "*"), "not_observable"),
        (git("ada", "git.push", "acorn/web-api"), "permitted"),
        (git("ada", "git.push", "Acorn/Web-API"), "permitted"),
        (git("ada", "protected_branch.destroy", "acorn/web-api"), "undeclared"),
        (git("ada", "git.clone", "acorn/payments-api"), "undeclared"),
        (git("ada", "integration_installation.create"), "permitted"),
        (git("ada", "org.add_member"), "undeclared"),
        (sso("ada", "Jira"), "permitted"),
        (sso("ada", "NetSuite"), "undeclared"),
        (okta("ada", "user.session.start"), "not_observable"),
        (okta("ada", "user.account.update_password"), "not_observable"),
        (okta("ada", "user.lifecycle.create"), "undeclared"),
    ],
)
def test_what_is_declared_is_permitted_and_nothing_else(tmp_path: Path, seen: Seen, kind: str) -> None:
    assert decided(context(tmp_path), seen).kind == kind


def test_a_refused_deed_is_denied_whatever_is_declared(tmp_path: Path) -> None:
    known = context(tmp_path)
    assert decided(known, call(outcome="denied")).kind == "denied"
    assert decided(known, call(on="acorn-finance-x", outcome="failure")).kind == "denied"
    assert decided(known, call(outcome="failure")).kind == "permitted"  # throttled, not refused


def test_an_object_may_be_named_by_its_arn_or_its_key(tmp_path: Path) -> None:
    role = {"name": "exact", "system": "aws", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::plain/a/*"]}
    known = context(tmp_path, plus_roles=[role], plus_users=[{"id": "dora", "roles": ["exact"]}])
    named = {"resources": [{"ARN": "arn:aws:s3:::plain/a/1"}, {"ARN": "arn:aws:s3:::plain"}]}
    assert decided(known, call("dora", on="plain", record=named)).kind == "permitted"
    assert decided(known, call("dora", on="plain")).kind == "undeclared"


class TestTime:
    def kind(self, tmp_path: Path, time: int, **grant: Any) -> str:
        known = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-05", **grant}])
        return decided(known, call(on="acorn-finance-x", time=time)).kind

    def test_a_grant_permits_from_its_start_to_its_end(self, tmp_path: Path) -> None:
        assert self.kind(tmp_path, NOON) == "permitted"
        assert self.kind(tmp_path, parse_rfc3339("2026-03-05T23:59:59Z")) == "permitted"

    def test_and_after_its_end_it_is_expired_for_good(self, tmp_path: Path) -> None:
        assert self.kind(tmp_path, parse_rfc3339("2026-03-06T00:00:00Z")) == "expired"
        assert self.kind(tmp_path, NOON + 400 * DAY) == "expired"

    def test_before_its_start_it_is_undeclared(self, tmp_path: Path) -> None:
        known = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-05"}])
        decision = decided(known, call(on="acorn-finance-x", time=NOON - 3 * DAY))
        assert (decision.kind, decision.cause) == ("undeclared", "early")

    def test_a_role_change_permits_from_its_day_on(self, tmp_path: Path) -> None:
        change = {"user": "ada", "system": "aws", "role": "aws-admin", "effective": "2026-03-04"}
        known = context(tmp_path, role_changes=[change])
        assert decided(known, call(on="acorn-finance-x", time=NOON)).kind == "permitted"
        assert decided(known, call(on="acorn-finance-x", time=NOON - DAY)).cause == "early"

    def test_a_lasting_role_beats_an_ended_grant(self, tmp_path: Path) -> None:
        known = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-02"}])
        assert decided(known, call(time=NOON + DAY)).kind == "permitted"


class TestPaper:
    def decision(self, tmp_path: Path, ticket: dict[str, Any], time: int = NOON, **grant: Any) -> Any:
        row = {**GRANT, "expires": "2026-03-05", "ticket": "A-1", **grant}
        known = context(tmp_path, temporary_grants=[row], tickets=[{**APPROVED, **ticket}])
        return decided(known, call(on="acorn-finance-x", time=time))

    def test_an_approved_ticket_carries_a_grant(self, tmp_path: Path) -> None:
        assert self.decision(tmp_path, {}).kind == "permitted"

    @pytest.mark.parametrize(
        "ticket",
        [
            {"status": "rejected"},
            {"status": "pending"},
            {"status": "open"},
            {"approver": "ada"},
            {"approver": "eve", "requester": "eve"},
            {"requester": "bob", "subject": "bob"},
            {"system": "okta"},
        ],
    )
    def test_a_grant_on_a_ticket_nobody_else_approved_is_none(self, tmp_path: Path, ticket: dict[str, str]) -> None:
        decision = self.decision(tmp_path, ticket)
        assert (decision.kind, decision.cause) == ("undeclared", "unapproved")
        assert "A-1" in decision.note

    def test_one_ticket_moves_somebody_in_all_systems(self, tmp_path: Path) -> None:
        row = {
            "user": "ada",
            "system": GRANT["system"],
            "role": GRANT["role"],
            "effective": "2026-03-01",
            "ticket": "A-1",
        }
        for subject, kind in (("ada", "permitted"), ("bob", "undeclared")):
            moved = [{**APPROVED, "requester": "eve", "subject": subject, "approver": "dora", "system": "okta"}]
            known = context(tmp_path, role_changes=[row], tickets=moved)
            assert decided(known, call(on="acorn-finance-x")).kind == kind

    def test_an_approval_counts_from_its_time_on(self, tmp_path: Path) -> None:
        late = {"approved_at": rfc3339(NOON)}
        assert self.decision(tmp_path, late, NOON - 2_000_000).cause == "unapproved"
        assert self.decision(tmp_path, late, NOON).kind == "permitted"

    def test_nobody_grants_themselves_anything(self, tmp_path: Path) -> None:
        assert self.decision(tmp_path, {}, granted_by="ada").cause == "self_granted"


class TestLeft:
    def test_whoever_has_left_may_do_nothing(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert decided(known, call("cy")).kind == "after_end"
        assert decided(known, okta("cy", "user.session.start")).kind == "after_end"
        assert decided(known, call("cy", time=parse_rfc3339("2026-02-28T23:00:00Z"))).kind == "permitted"

    def test_a_refusal_or_a_failed_login_in_their_name_is_no_access(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert decided(known, call("cy", outcome="denied")).kind == "denied"
        assert decided(known, okta("cy", "user.session.start", identity="anonymous")).kind == "not_observable"


class TestStrangers:
    def test_an_account_nobody_declared_is_a_stranger(self, tmp_path: Path) -> None:
        decision = decided(context(tmp_path), call("aws:arn:aws:iam::1:user/legacy"))
        assert (decision.kind, decision.cause) == ("undeclared", "stranger")

    def test_parts_of_the_vendors_own_are_none(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert decided(known, call("aws:autoscaling.amazonaws.com", kind="service")).kind == "not_observable"
        node = request("k8s:system:node:n1", "get", "pods", "web/a", kind="service")
        assert decided(known, node).kind == "not_observable"
        workload = request("k8s:system:serviceaccount:web:x", "get", "pods", "web/a", kind="service")
        assert decided(known, workload).cause == "stranger"
        assert is_vendors_own(request("k8s:system:serviceaccount:kube-system:x", "get", "pods", "web/a")[0])

    def test_the_refused_and_the_anonymous_are_none(self, tmp_path: Path) -> None:
        known = context(tmp_path)
        assert decided(known, call("aws:x", outcome="denied")).kind == "denied"
        assert decided(known, call("anonymous:cloudtrail:1.2.3.4", identity="anonymous")).kind == "not_observable"


class TestObservability:
    def test_without_roles_nothing_is_judged(self) -> None:
        assert decided(EMPTY, call()).kind == "not_observable"

    def test_a_system_or_an_account_without_roles_is_not_observable(self, tmp_path: Path) -> None:
        known = context(tmp_path, roles=[{"name": "web", "system": "aws", "account": "prod", "actions": ["s3:*"]}],
                        users=[{"id": "ada", "roles": ["web"]}])  # fmt: skip
        assert decided(known, call(account="999900001111")).kind == "not_observable"
        assert decided(known, call(account=PROD)).kind == "permitted"
        assert decided(known, sso("ada", "Jira")).kind == "not_observable"

    def test_other_systems_are_judged_by_their_own_words(self, tmp_path: Path) -> None:
        sudo = {"name": "sudoer", "system": "linux", "actions": ["sudo"], "resources": ["web-*"]}
        known = context(tmp_path, plus_roles=[sudo], plus_users=[{"id": "dora", "roles": ["sudoer"]}])
        event, record = okta("dora", "sudo", None)
        moved = AuditEvent("e", NOON, "linux", "sudo", "success", event.actor)
        assert decided(known, (moved, record)).kind == "permitted"
        assert (
            decided(known, (AuditEvent("e", NOON, "linux", "su", "success", event.actor), record)).kind == "undeclared"
        )


class TestRoleSessions:
    def test_a_role_one_may_assume_permits_in_its_session(self, tmp_path: Path) -> None:
        ops = [{"name": "ops", "system": "aws", "account": "prod", "actions": ["s3:*"],
                "may_assume": ["arn:aws:iam::777788889999:role/restore"]}]  # fmt: skip
        known = context(tmp_path, plus_roles=ops, plus_users=[{"id": "dora", "roles": ["ops"]}])
        seen = call("dora", "rds:DescribeDBSnapshots", "", account=DATA, record=SESSION)
        assert decided(known, seen).cause == "assumed"
        assert (
            decided(known, call("ada", "rds:DescribeDBSnapshots", "", account=DATA, record=SESSION)).kind
            == "undeclared"
        )
        assert decided(known, call("dora", "s3:GetObject", "x", account=DATA, record=SESSION)).kind == "undeclared"

    def test_assuming_is_permitted_by_may_assume(self, tmp_path: Path) -> None:
        ops = [{"name": "ops", "system": "aws", "may_assume": ["arn:aws:iam::777788889999:role/restore"]}]
        known = context(tmp_path, plus_roles=ops, plus_users=[{"id": "dora", "roles": ["ops"]}])
        role = "arn:aws:iam::777788889999:role/restore"
        assert decided(known, call("dora", "sts:AssumeRole", role)).kind == "permitted"
        assert decided(known, call("dora", "sts:AssumeRole", role + "2")).kind == "undeclared"


class TestImpersonation:
    def kind(self, tmp_path: Path, who: str, as_whom: str, thing: str = "pods") -> str:
        role = {"name": "poser", "system": "k8s", "verbs": ["impersonate"], "resources": ["users"]}
        known = context(tmp_path, plus_roles=[role], plus_users=[{"id": "dora", "roles": ["poser"]}])
        event, _ = request(who, "get", thing, "web/api")
        event = replace(event, target=Principal(as_whom, as_whom))
        return decided(known, (event, {"impersonatedUser": {"username": as_whom}})).kind

    def test_it_takes_the_right_to_pose_and_what_the_other_may_do(self, tmp_path: Path) -> None:
        assert self.kind(tmp_path, "dora", "ada") == "permitted"
        assert self.kind(tmp_path, "dora", "ada", "secrets") == "undeclared"
        assert self.kind(tmp_path, "dora", "bob") == "undeclared"
        assert self.kind(tmp_path, "ada", "dora") == "undeclared"  # may get pods, not pose


class TestWindows:
    def window(self, tmp_path: Path, ticket: dict[str, str] | None = None, /, **more: Any) -> Any:
        row = {"id": "P", "start": "2026-03-04", "end": "2026-03-04", "testers": ["ada"],
               "source_ranges": ["198.51.100.0/24"], "scope": ["prod"], **more}  # fmt: skip
        return context(tmp_path, pentest_windows=[row], tickets=[{**APPROVED, "type": "pentest", **(ticket or {})}])

    @pytest.mark.parametrize(
        ("ticket", "kind"),
        [
            ({}, "permitted"),
            ({"requester": "dora", "subject": "dora"}, "permitted"),
            ({"status": "rejected"}, "undeclared"),
            ({"status": "pending"}, "undeclared"),
            ({"approver": "ada", "requester": "bob"}, "undeclared"),
        ],
    )
    def test_a_test_that_nobody_else_agreed_to_is_none(self, tmp_path: Path, ticket: dict[str, str], kind: str) -> None:
        probe = call(action="iam:ListUsers", on="", source_ip="198.51.100.7")
        assert decided(self.window(tmp_path, ticket, ticket="A-1"), probe).kind == kind

    def test_a_test_permits_its_testers_from_its_ranges(self, tmp_path: Path) -> None:
        probe = call(action="iam:ListUsers", on="", source_ip="198.51.100.7")
        assert decided(self.window(tmp_path), probe).cause == "pentest"
        assert decided(self.window(tmp_path, scope=["aws"]), probe).cause == "pentest"

    @pytest.mark.parametrize(
        "more",
        [
            {"scope": ["data"]},
            {"scope": []},
            {"source_ranges": []},
            {"testers": ["bob"]},
            {"start": "2026-03-05", "end": "2026-03-05"},
        ],
    )
    def test_and_nobody_else_nowhere_else_at_no_other_time(self, tmp_path: Path, more: dict[str, Any]) -> None:
        probe = call(action="iam:ListUsers", on="", source_ip="198.51.100.7")
        assert decided(self.window(tmp_path, **more), probe).kind == "undeclared"
        assert decided(self.window(tmp_path), call(action="iam:ListUsers", on="", source_ip="198.51.101.7")).kind == (
            "undeclared"
        )


def test_break_glass_permits_and_is_told(tmp_path: Path) -> None:
    role = {"name": "glass", "system": "aws", "actions": ["*"], "resources": ["*"], "break_glass": True}
    known = context(tmp_path, plus_roles=[role], plus_users=[{"id": "dora", "roles": ["glass", "aws-web-prod"]}])
    assert decided(known, call("dora", on="acorn-finance-x")).kind == "break_glass"
    assert decided(known, call("dora")).kind == "permitted"  # the ordinary role is enough


def test_a_role_of_a_team_is_held_by_it_unless_it_is_given_by_name(tmp_path: Path) -> None:
    role = {"name": "wiki", "system": "okta", "apps": ["Wiki"], "teams": ["web"]}
    known = context(tmp_path, plus_roles=[role])
    assert decided(known, sso("eve", "Wiki")).kind == "permitted"
    assert decided(known, sso("bob", "Wiki")).kind == "undeclared"
    known = context(tmp_path, plus_roles=[role], plus_users=[{"id": "dora", "roles": ["wiki"]}])
    assert decided(known, sso("eve", "Wiki")).kind == "undeclared"


def test_what_is_remembered_of_somebody_is_bounded_and_forgetting_changes_nothing(tmp_path: Path) -> None:
    access = Access(context(tmp_path))
    table = access.table("ada")
    assert table is not None
    for number in range(3 * REMEMBERED):
        table.look_up(Asked("aws", PROD, f"s3:made-up-{number}", "x"))
        assert sum(len(actions) for by in table.found.values() for actions in by.values()) <= REMEMBERED
    before = dict(table.found["aws"][PROD])
    table.look_up(Asked("aws", PROD, "s3:" + "x" * 5_000, "x"))
    assert table.found["aws"][PROD] == before  # long names are nobody's to remember
    assert access.decide(*call()).kind == "permitted"


def test_a_context_is_compiled_once(tmp_path: Path) -> None:
    known = context(tmp_path)
    assert access_of(known) is access_of(known)
