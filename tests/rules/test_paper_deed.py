"""What a record says of a deed, in the words of paper."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import Context
from audit.event import AuditEvent, Principal, Resource
from rules.paper_deed import LONGEST_THING, Deed, deed_of, fits, says_something
from tests.rules.papers import aws, company, k8s, okta

ROLE = "arn:aws:iam::777788889999:role/ops/acorn-restore"
"""In an account of others."""
OWN = ROLE.replace("777788889999", "111122223333")


def told(event: AuditEvent, actor: str = "priya", context: Context | None = None) -> Deed:
    context = context or company()
    person = context.person(actor)
    assert person is not None
    return deed_of(event, orjson.loads(event.raw), person, context)


def test_an_aws_call_is_named_with_its_service() -> None:
    deed = told(aws())
    assert (deed.system, deed.action, deed.account) == ("aws", "iam:AttachRolePolicy", "prod")
    assert told(aws(raw=b"{}")).action == "AttachRolePolicy"
    assert told(aws(account="999")).account == "999"


def test_a_request_to_the_cluster_is_named_with_what_it_is_about() -> None:
    deed = told(k8s("create", "pods/exec", "payments/api-1"))
    assert (deed.system, deed.action) == ("k8s", "create pods/exec")
    assert deed.things == {"payments/api-1", "payments"}
    assert told(k8s("create", "nodes", "payments")).things == {"payments"}


def test_the_name_in_a_namespace_does_not_stand_for_the_namespace() -> None:
    assert "payments" not in told(k8s(name="checkout/payments")).things


@pytest.mark.parametrize(
    ("resource", "things"),
    [
        (Resource("AWS::IAM::Role", OWN), {OWN.lower(), "acorn-restore"}),
        (Resource("AWS::IAM::Role", ROLE), {ROLE.lower()}),
        (Resource("AWS::S3::Bucket", "Acorn-Backups"), {"acorn-backups"}),
        (Resource("AWS::Logs::LogGroup", "/aws/lambda/acorn-x"), {"/aws/lambda/acorn-x"}),
        (Resource("service", "rds.amazonaws.com"), set()),
        (None, set()),
    ],
)
def test_things(resource: Resource | None, things: set[str]) -> None:
    assert told(aws(resource=resource)).things == things


def test_an_object_is_named_with_its_bucket() -> None:
    asked = {"requestParameters": {"bucketName": "acorn-a", "key": "x/y.csv"}}
    assert told(aws("GetObject", "acorn-a", "s3", asked)).things == {"acorn-a", "acorn-a/x/y.csv"}


def test_what_the_record_names_in_full_may_be_written_in_full() -> None:
    rows = {"resources": [{"ARN": "arn:aws:s3:::acorn-a/x.csv"}, {"ARN": 3}, "?", {"type": "t"}]}
    assert told(aws("GetObject", "acorn-a", "s3", rows)).things == {"acorn-a", "arn:aws:s3:::acorn-a/x.csv"}
    assert told(aws(record={"resources": {"ARN": "x"}}, resource=None)).things == set()


def test_what_is_done_in_an_assumed_role_is_done_with_the_role() -> None:
    session = {"type": "Role", "userName": "acorn-restore", "arn": ROLE}
    record = {"userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": session}}}
    deed = told(aws("DescribeDBSnapshots", "", "rds", record, resource=None))
    assert deed.session == {"acorn-restore", ROLE.lower()}
    assert deed.things == set(), "it is not what it is done to"
    user = {"userIdentity": {"type": "IAMUser", "userName": "priya"}}
    assert told(aws("GetCallerIdentity", "", "sts", user, resource=None)).session == set(), "a key is nobody's role"


def test_a_repository_is_named_with_and_without_its_owner() -> None:
    event = AuditEvent(
        "e", 0, "github", "git.clone", "unknown", Principal("priya", "p"), resource=Resource("repository", "acorn/api")
    )
    assert told(event).things == {"acorn/api", "api"}


def test_what_a_call_is_done_to_besides() -> None:
    copied = {"requestParameters": {"bucketName": "a", "x-amz-copy-source": "/Finance/all.csv?versionId=3"}}
    assert told(aws("CopyObject", "a", "s3", copied)).more == (frozenset({"finance/all.csv", "finance"}),)
    rows = {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}, "?"]}
    ended = told(aws("TerminateInstances", "i-1", "ec2", {"requestParameters": {"instancesSet": rows}}))
    assert ended.more == (frozenset({"i-2"}), frozenset()), "what is not legible is no name"


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("acorn-*", True),
        ("db", True),
        ("hr*", False),
        ("arn:aws:s3:::acorn-*", True),
        ("arn:aws:s3:::*", False),
        ("arn:aws:iam::111122223333:*", False),
        ("*@*", False),
        ("*-*.*", False),
        ("sg-*", False),
        ("", False),
        (" ", False),
        ("*", False),
    ],
)
def test_a_pattern_that_fits_nearly_everything_says_nothing(pattern: str, says: bool) -> None:
    assert says_something(pattern) is says


def test_a_target_is_named_as_the_company_names_them_in_that_system() -> None:
    assert told(okta("user.account.reset_password"), "jin").things == {"liam", "liam@acorn.example"}


@pytest.mark.parametrize(
    ("country", "address", "elsewhere"),
    [
        ("DE", "203.0.113.9", ""),
        ("NL", "203.0.113.9", "NL"),
        ("NL", None, "NL"),
        ("US", "198.51.100.9", ""),
        (None, "203.0.113.9", ""),
    ],
)
def test_elsewhere(country: str | None, address: str | None, elsewhere: str) -> None:
    assert told(aws(country=country, source_ip=address)).elsewhere == elsewhere


def test_of_whom_no_country_is_declared_nothing_is_elsewhere() -> None:
    assert told(aws(country="NL"), "robot").elsewhere == ""


@pytest.mark.parametrize(
    ("outcome", "refused"), [("success", False), ("unknown", False), ("denied", True), ("failure", True)]
)
def test_refused(outcome: Any, refused: bool) -> None:
    assert told(aws(outcome=outcome)).refused is refused


@pytest.mark.parametrize(
    "record",
    [
        {"userIdentity": {"sessionContext": {"sessionIssuer": {"type": "Role", "userName": 3}}}},
        {"requestParameters": {"bucketName": ["a"], "key": None}},
        {"eventSource": 5, "userIdentity": None},
    ],
)
def test_hostile_records_name_nothing(record: dict[str, Any]) -> None:
    assert told(aws(record=record, resource=None)).things == set()


def test_patterns_know_stars_and_no_letter_case() -> None:
    assert fits("Acorn-*-api", ["acorn-platform-api"])
    assert not fits("acorn-*", ["xacorn-a"])
    assert not fits("acorn-?", ["acorn-a"]), "a question mark is itself"
    assert not fits("x" * 2 * LONGEST_THING, ["x"])
    assert not fits("a", [])
