from __future__ import annotations

from typing import Any

import pytest

from audit.event import AuditEvent, Principal
from rules.oneself import is_to_oneself

ADA, BOB = {"type": "User", "id": "00u1"}, {"type": "User", "id": "00u2"}
GROUP = {"type": "UserGroup", "id": "00g1"}


def seen(source: str, action: str, target: str = "") -> AuditEvent:
    to = Principal(target, target) if target else None
    return AuditEvent("e", 0, source, action, "success", Principal("ada", "ada"), to)


@pytest.mark.parametrize(
    ("targets", "own"), [([ADA, GROUP], True), ([GROUP], False), ([ADA, BOB, GROUP], False), ("odd", False)]
)
def test_okta_names_the_actor_among_the_targets(targets: Any, own: bool) -> None:
    record = {"actor": {"id": "00u1", "type": "User"}, "target": targets}
    assert is_to_oneself(seen("okta", "group.user_membership.add"), record) is own


@pytest.mark.parametrize(
    ("action", "user", "own"),
    [("team.add_member", "Ada", True), ("team.add_member", "bob", False), ("team.add_repository", None, False),
     ("org.add_member", "ada", False), ("repo.add_member", "ada", False)],
)  # fmt: skip
def test_github_names_the_user_and_invitations_are_accepted_by_whom_they_are_for(
    action: str, user: str | None, own: bool
) -> None:
    assert is_to_oneself(seen("github", action), {"actor": "ada", "user": user}) is own


@pytest.mark.parametrize(
    ("who", "user", "own"),
    [({"type": "IAMUser", "userName": "ada"}, "ada", True), ({"type": "IAMUser", "userName": "ada"}, "bob", False),
     ({"type": "AssumedRole", "userName": "ada"}, "ada", False), ({"type": "IAMUser"}, None, False),
     ("odd", "a", False)],
)  # fmt: skip
def test_aws_names_the_iam_user(who: Any, user: str | None, own: bool) -> None:
    record = {"userIdentity": who, "requestParameters": {"userName": user}}
    assert is_to_oneself(seen("cloudtrail", "AttachUserPolicy"), record) is own


def test_a_target_says_it_whatever_the_record_does() -> None:
    assert is_to_oneself(seen("kubernetes", "create", "ada"), {})
    assert not is_to_oneself(seen("github", "team.add_member", "bob"), {"actor": "ada", "user": "ada"})
    assert not is_to_oneself(seen("entra", "Add member to group"), {})
