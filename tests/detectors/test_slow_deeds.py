import pytest

from detectors.slow_deeds import GRANTS, TAKES, sort_of


@pytest.mark.parametrize(
    ("action", "thing"),
    [
        ("GetObject", "bucket"),
        ("storage.objects.get", "storage"),
        ("git.clone", "repository"),
        ("repo.download_zip", "repository"),
        ("FileDownloaded", "file"),
        ("MailItemsAccessed", "mailbox"),
        ("GetQueryResults", "query"),
        ("user.export.csv", "report"),
    ],
)
def test_these_carry_data_away(action: str, thing: str) -> None:
    assert sort_of(action, thing) == TAKES


@pytest.mark.parametrize(
    ("action", "thing"),
    [
        ("AttachRolePolicy", "role"),
        ("PutBucketPolicy", "bucket"),
        ("CreatePolicyVersion", "policy"),
        ("UpdateAssumeRolePolicy", "role"),
        ("CreateAccountAssignment", "instance"),
        ("group.user_membership.add", "group"),
        ("user.account.privilege.grant", "user"),
        ("team.add_member", "team"),
        ("org.update_member", "organization"),
        ("create", "rolebindings"),
        ("SetIamPolicy", "project"),
        ("Add member to role", "role"),
        ("Add-MailboxPermission", "mailbox"),
    ],
)
def test_these_give_rights(action: str, thing: str) -> None:
    assert sort_of(action, thing) == GRANTS


@pytest.mark.parametrize(
    ("action", "thing"),
    [
        ("GetObjectAcl", "bucket"),
        ("GetBucketPolicy", "bucket"),
        ("ListAttachedRolePolicies", "role"),
        ("get", "rolebindings"),
        ("DetachRolePolicy", "role"),
        ("group.user_membership.remove", "group"),
        ("git.push", "repository"),
        ("exporter.started", ""),
        ("", ""),
    ],
)
def test_these_do_neither(action: str, thing: str) -> None:
    assert sort_of(action, thing) == 0


def test_a_text_of_a_megabyte_costs_no_more_than_a_short_one() -> None:
    assert sort_of("add " + "a " * 500_000, "b" * 500_000) == 0
    assert sort_of("x" * 500_000 + "GetObject", "") == 0
