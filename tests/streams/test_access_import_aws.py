from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from audit.context import Context, load_context
from audit.context_people import People
from audit.context_schema import Person
from rules.access import Access
from streams.access_import_aws import Imported, from_aws
from tests.rules.accessing import PROD, call

PEOPLE = People(
    [
        Person(id="ada", identities={"aws": (f"arn:aws:sts::{PROD}:assumed-role/AWSReservedSSO_Dev_*/ada@x.com",)}),
        Person(id="bob", identities={"aws": (f"arn:aws:iam::{PROD}:user/bob",)}),
        Person(id="bot", identities={"aws": (f"arn:aws:iam::{PROD}:role/ci/deploy",)}),
    ]
)


def statement(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def account(**sections: Any) -> dict[str, Any]:
    return {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": [], **sections}


def role(name: str, *documents: Any, attached: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "RoleName": name,
        "Arn": f"arn:aws:iam::{PROD}:role/{name}",
        "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": each} for each in documents],
        "AttachedManagedPolicies": [{"PolicyArn": each} for each in attached],
    }


def imported(document: Any, name: str = "p") -> Imported:
    made = Imported()
    from_aws(document, name, PEOPLE, made)
    return made


def test_a_role_with_its_own_and_its_managed_policies() -> None:
    managed = {"Arn": "arn:aws:iam::aws:policy/Read", "PolicyVersionList": [
        {"Document": policy(statement("s3:Old")), "IsDefaultVersion": False},
        {"Document": policy(statement("s3:Get*", "s3:List*")), "IsDefaultVersion": True},
    ]}  # fmt: skip
    own = policy(statement("ec2:Describe*"), statement("sqs:SendMessage", on=f"arn:aws:sqs:eu:{PROD}:inbox"))
    made = imported(
        account(RoleDetailList=[role("web", own, attached=("arn:aws:iam::aws:policy/Read",))], Policies=[managed])
    )
    common = {"name": "web", "system": "aws", "account": PROD}
    assert made.roles == [
        {**common, "actions": ["ec2:Describe*", "s3:Get*", "s3:List*"], "resources": ["*"]},
        {**common, "actions": ["sqs:SendMessage"], "resources": [f"arn:aws:sqs:eu:{PROD}:inbox", "*/inbox"]},
    ]
    assert made.remarks == []


def test_a_document_may_be_url_encoded_as_the_api_gives_it() -> None:
    encoded = quote(orjson.dumps(policy(statement("s3:*"))).decode())
    assert imported(account(RoleDetailList=[role("r", encoded)])).roles[0]["actions"] == ["s3:*"]
    assert imported(account(RoleDetailList=[role("r", "%7Bbroken")])).roles == []


def test_who_holds_what_comes_from_the_declared_names() -> None:
    users = [{"UserName": "bob", "Arn": f"arn:aws:iam::{PROD}:user/bob", "GroupList": ["devs"],
              "UserPolicyList": [{"PolicyDocument": policy(statement("iam:GetUser"))}]},
             {"UserName": "stranger", "Arn": f"arn:aws:iam::{PROD}:user/stranger"}]  # fmt: skip
    groups = [{"GroupName": "devs", "Arn": f"arn:aws:iam::{PROD}:group/devs",
               "GroupPolicyList": [{"PolicyDocument": policy(statement("s3:*"))}]}]  # fmt: skip
    roles = [
        role("AWSReservedSSO_Dev_1a2b", policy(statement("s3:*"))),
        role("deploy"),
        role("AWSReservedSSO_Ops_9", policy()),
    ]
    made = imported(account(UserDetailList=users, GroupDetailList=groups, RoleDetailList=roles))
    assert [(row["user"], row["role"]) for row in made.changes] == [
        ("ada", "AWSReservedSSO_Dev_1a2b"), ("bot", "deploy"), ("bob", "user/bob"), ("bob", "group/devs")
    ]  # fmt: skip
    assert {row["name"] for row in made.roles} == {"AWSReservedSSO_Dev_1a2b", "group/devs", "user/bob"}


def test_what_a_declared_role_cannot_say_is_told() -> None:
    made = imported(
        policy(
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            statement("s3:GetObject", Condition={"StringEquals": {"s3:prefix": "a"}}),
        ),
        "mine",
    )
    assert [row["actions"] for row in made.roles] == [["s3:GetObject"]]
    assert made.remarks == [
        "mine: a statement with Deny is left out",
        "mine: a statement with NotAction is left out",
        "mine: the condition StringEquals s3:prefix is not carried over",
    ]


def test_a_second_factor_and_source_addresses_are_carried_over() -> None:
    condition = {"Bool": {"aws:MultiFactorAuthPresent": True}, "IpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}}
    (row,) = imported(policy(statement("s3:*", Condition=condition))).roles
    assert row["conditions"] == {"mfa": True, "networks": ["192.0.2.0/24"]}


def test_assuming_roles_becomes_may_assume() -> None:
    (row,) = imported(policy(statement("sts:AssumeRole", on="arn:aws:iam::1:role/r"))).roles
    assert row["may_assume"] == ["arn:aws:iam::1:role/r"]


@pytest.mark.parametrize("document", [[], {}, "text", {"Roles": []}])
def test_what_is_neither_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="get-account-authorization-details"):
        imported(document)


def test_what_comes_of_it_permits_what_iam_permits(tmp_path: Path) -> None:
    own = policy(
        statement("s3:GetObject", on="arn:aws:s3:::acorn-web/public/*"),
        statement("ec2:*", on="arn:aws:ec2:*:*:instance/i-0*"),
    )
    made = imported(account(RoleDetailList=[role("AWSReservedSSO_Dev_1", own)]))
    path = tmp_path / "c.json"
    ada = {"id": "ada", "identities": {"aws": ["arn:aws:sts::*:assumed-role/AWSReservedSSO_Dev_*/ada@x.com"]}}
    path.write_bytes(orjson.dumps({"users": [ada], "roles": made.roles, "role_changes": made.changes}))
    known = load_context(path)

    def kind(action: str, on: str, key: str = "") -> str:
        record = {"requestParameters": {"bucketName": on, "key": key}} if key else {}
        return _decided(known, call("ada", action, on, record=record))

    assert kind("s3:GetObject", "acorn-web", "public/a.html") == "permitted"
    assert kind("s3:GetObject", "acorn-web", "private/a.html") == "undeclared"
    assert kind("ec2:StopInstances", "i-0abc") == "permitted"
    assert kind("ec2:StopInstances", "i-9") == "undeclared"


def _decided(known: Context, seen: Any) -> str:
    return Access(known).decide(*seen).kind
