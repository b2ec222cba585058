from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources import cloudtrail
from audit.sources.fields import UNTIMED, Unreadable
from tests.audit.sources.golden import Golden, assert_golden, normalised

ACCOUNT = "111122223333"
MARY = {
    "type": "IAMUser",
    "principalId": "AIDAJ45Q7YFFAREXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/mary",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "userName": "mary",
}
DEPLOYER = {
    "type": "AssumedRole",
    "principalId": "AROAIDPPEZS35WEXAMPLE:mary@acme.example",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deployer/mary@acme.example",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAIDPPEZS35WEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/Deployer",
            "accountId": ACCOUNT,
            "userName": "Deployer",
        },
        "webIdFederationData": {},
        "attributes": {"creationDate": "2026-03-02T08:00:00Z", "mfaAuthenticated": "false"},
    },
}


def record(name: str, service: str, who: Any = MARY, **fields: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "userIdentity": who,
        "eventTime": "2026-03-02T08:15:30Z",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "aws-cli/2.15.0",
        "requestParameters": None,
        "responseElements": None,
        "eventID": "3a1b2c3d-0000-4000-8000-000000000001",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    } | fields


GOLDEN: Golden = {
    "a user reads an object": (
        record("GetObject", "s3", requestParameters={"bucketName": "acme-payroll", "key": "2026/02.csv"}),
        {
            "id": "3a1b2c3d-0000-4000-8000-000000000001",
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "action": "GetObject",
            "outcome": "success",
            "actor": (f"arn:aws:iam::{ACCOUNT}:user/mary", "mary", "unknown", "asserted"),
            "target": None,
            "resource": ("AWS::S3::Bucket", "acme-payroll"),
            "source_ip": "203.0.113.9",
            "user_agent": "aws-cli/2.15.0",
            "session_id": None,
            "account": ACCOUNT,
            "marks": (),
        },
    ),
    "a role session is refused": (
        record(
            "RunInstances",
            "ec2",
            DEPLOYER,
            errorCode="Client.UnauthorizedOperation",
            errorMessage="You are not authorized to perform this operation.",
            requestParameters={"instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1}]}},
        ),
        {
            "outcome": "denied",
            "actor": (DEPLOYER["arn"], "Deployer", "unknown", "asserted"),
            "session_id": "ASIAIOSFODNN7EXAMPLE",
            "resource": ("service", "ec2.amazonaws.com"),
        },
    ),
    "throttled, which is no refusal": (
        record("DescribeParameters", "ssm", errorCode="ThrottlingException", errorMessage="Rate exceeded"),
        {"outcome": "failure"},
    ),
    "a role with a second factor creates a user": (
        record(
            "CreateUser",
            "iam",
            DEPLOYER
            | {
                "sessionContext": {
                    "attributes": {"mfaAuthenticated": "true"},
                    "sessionIssuer": {"userName": "Deployer"},
                }
            },
            requestParameters={"userName": "eve", "path": "/contractors/"},
            responseElements={"user": {"arn": f"arn:aws:iam::{ACCOUNT}:user/contractors/eve", "userName": "eve"}},
        ),
        {
            "actor": (DEPLOYER["arn"], "Deployer", "human", "verified"),
            "target": (f"arn:aws:iam::{ACCOUNT}:user/contractors/eve", "eve", "unknown", "asserted"),
            "resource": ("AWS::IAM::User", "eve"),
        },
    ),
    "a key for somebody else": (
        record("CreateAccessKey", "iam", requestParameters={"userName": "bob"}),
        {"target": (f"arn:aws:iam::{ACCOUNT}:user/bob", "bob", "unknown", "asserted")},
    ),
    "a key for oneself has no second principal": (
        record("CreateAccessKey", "iam", requestParameters={"userName": "mary"}),
        {"target": None, "resource": ("AWS::IAM::User", "mary")},
    ),
    "looking at a user touches nobody's access": (
        record("GetUser", "iam", requestParameters={"userName": "bob"}),
        {"target": None, "resource": ("AWS::IAM::User", "bob")},
    ),
    "an administrator policy for a role": (
        record(
            "AttachRolePolicy", "iam", requestParameters={"roleName": "ci", "policyArn": "arn:aws:iam::aws:policy/A"}
        ),
        {"resource": ("AWS::IAM::Role", "ci"), "target": None},
    ),
    "root": (
        record(
            "StopLogging",
            "cloudtrail",
            {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT},
            requestParameters={"name": "org-trail"},
        ),
        {
            "actor": (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "human", "asserted"),
            "resource": ("AWS::CloudTrail::Trail", "org-trail"),
        },
    ),
    "an AWS service assumes a role": (
        record(
            "AssumeRole",
            "sts",
            {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"},
            sourceIPAddress="lambda.amazonaws.com",
            requestParameters={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/resize", "roleSessionName": "resize"},
        ),
        {
            "actor": ("lambda.amazonaws.com", "lambda.amazonaws.com", "service", "asserted"),
            "source_ip": None,
            "resource": ("AWS::IAM::Role", f"arn:aws:iam::{ACCOUNT}:role/resize"),
        },
    ),
    "a console sign-in with a second factor": (
        record(
            "ConsoleLogin",
            "signin",
            {key: value for key, value in MARY.items() if key != "accessKeyId"},
            eventType="AwsConsoleSignIn",
            responseElements={"ConsoleLogin": "Success"},
            additionalEventData={"MFAUsed": "Yes", "MobileVersion": "No"},
        ),
        {"outcome": "success", "actor": (MARY["arn"], "mary", "human", "verified")},
    ),
    "a failed console sign-in proves nobody": (
        record(
            "ConsoleLogin",
            "signin",
            {"type": "IAMUser", "accountId": ACCOUNT, "accessKeyId": "", "userName": "mary"},
            eventType="AwsConsoleSignIn",
            errorMessage="Failed authentication",
            responseElements={"ConsoleLogin": "Failure"},
        ),
        {"outcome": "failure", "actor": (MARY["arn"], "mary", "human", "anonymous")},
    ),
    "an open bucket is read by nobody": (
        record(
            "ListObjects",
            "s3",
            {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"},
            requestParameters={"bucketName": "acme-public"},
        ),
        {"actor": ("anonymous", "anonymous", "unknown", "anonymous")},
    ),
    "a directory user grants a permission set": (
        record(
            "CreateAccountAssignment",
            "sso",
            {
                "type": "IdentityCenterUser",
                "accountId": ACCOUNT,
                "onBehalfOf": {
                    "userId": "94a8",
                    "identityStoreArn": f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-1",
                },
            },
            requestParameters={
                "principalType": "USER",
                "principalId": "94a8-bob",
                "permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-admin",
            },
        ),
        {
            "actor": (
                f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-1/user/94a8",
                f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-1/user/94a8",
                "unknown",
                "asserted",
            ),
            "target": ("94a8-bob", "94a8-bob", "unknown", "asserted"),
            "resource": ("AWS::SSO::PermissionSet", "arn:aws:sso:::permissionSet/ssoins-1/ps-admin"),
        },
    ),
    "a machine acts by its own role": (
        record(
            "Decrypt",
            "kms",
            DEPLOYER | {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-0abcdef1234567890"},
            resources=[
                {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"}
            ],
        ),
        {
            "actor": (
                f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-0abcdef1234567890",
                "Deployer",
                "service",
                "asserted",
            ),
            "resource": ("AWS::KMS::Key", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"),
        },
    ),
    "a service acts without saying what it is": (
        record("RotateKey", "kms", {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}, sourceIPAddress="AWS Internal"),
        {"actor": ("kms.amazonaws.com", "kms.amazonaws.com", "service", "asserted"), "source_ip": None},
    ),
    "an insight": (
        {
            "eventTime": "2026-03-02T08:15:00Z",
            "eventID": "41ed77ca",
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": ACCOUNT,
            "insightDetails": {"state": "Start", "eventSource": "iam.amazonaws.com", "eventName": "AttachUserPolicy"},
        },
        {
            "action": "AttachUserPolicy",
            "outcome": "success",
            "actor": ("cloudtrail.amazonaws.com", "cloudtrail.amazonaws.com", "service", "asserted"),
            "resource": ("service", "iam.amazonaws.com"),
            "account": ACCOUNT,
            "source_ip": None,
        },
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("cloudtrail", *GOLDEN[name])


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDenied", "denied"),
        ("AccessDeniedException", "denied"),
        ("VpceAccessDenied", "denied"),
        ("UnauthorizedOperation", "denied"),
        ("NotAuthorizedException", "denied"),
        ("ThrottlingException", "failure"),
        ("Client.RequestLimitExceeded", "failure"),
        ("NoSuchBucketPolicy", "failure"),
        ("InvalidAccessException", "failure"),
        ("", "success"),
        (None, "success"),
    ],
)
def test_outcome_of_error_codes(code: str | None, outcome: str) -> None:
    assert normalised("cloudtrail", record("GetObject", "s3", errorCode=code)).outcome == outcome


@pytest.mark.parametrize("foreign", [{}, {"digestS3Bucket": "b"}, {"Event Name": "ListObjects"}, {"eventName": ["x"]}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="eventName"):
        cloudtrail.normalise(foreign, b"{}")


def test_without_a_time_or_an_id() -> None:
    bare = {"eventName": "DeleteTrail"}
    event = normalised("cloudtrail", bare)
    assert (event.time, event.actor.identity) == (UNTIMED, "anonymous")
    assert event.id.startswith("sha256:")
    assert event.id == normalised("cloudtrail", dict(bare)).id != normalised("cloudtrail", bare | {"x": 1}).id


def test_other_partitions_keep_their_arns() -> None:
    event = normalised(
        "cloudtrail", record("CreateUser", "iam", requestParameters={"userName": "bob"}, awsRegion="us-gov-west-1")
    )
    assert event.target is not None
    assert event.target.id == f"arn:aws-us-gov:iam::{ACCOUNT}:user/bob"
