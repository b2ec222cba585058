from __future__ import annotations

from typing import Any

import pytest

from audit.event import Resource
from audit.sources.aws_resources import PARAMETERS, resource_of


@pytest.mark.parametrize(
    ("service", "request_", "resources", "expected"),
    [
        ("s3", {"bucketName": "b", "key": "k"}, None, Resource("AWS::S3::Bucket", "b")),
        ("iam", {"userName": "u", "groupName": "admins"}, None, Resource("AWS::IAM::Group", "admins")),
        ("ec2", {"instanceId": "i-1", "vpcId": "v"}, None, Resource("AWS::EC2::Instance", "i-1")),
        (
            "ec2",
            {"instancesSet": {"items": [{"instanceId": "i-2"}]}},
            None,
            Resource("AWS::EC2::Instance", "i-2"),
        ),
        ("ssm", {"name": "/db/password"}, None, Resource("AWS::SSM::Parameter", "/db/password")),
        ("kms", {}, [{"ARN": "arn:k", "type": "AWS::KMS::Key"}], Resource("AWS::KMS::Key", "arn:k")),
        ("ssm", {}, [{"arn": "arn:p"}], Resource("arn", "arn:p")),
        ("sts", {}, None, Resource("service", "sts.amazonaws.com")),
    ],
)
def test_the_narrowest_thing(service: str, request_: dict[str, Any], resources: Any, expected: Resource) -> None:
    assert resource_of(f"{service}.amazonaws.com", request_, resources) == expected


@pytest.mark.parametrize("odd", [[], {}, None, 3.5, [None], [[]], "x", [{"ARN": 1.5}]])
def test_odd_types_fall_back_to_the_service(odd: Any) -> None:
    assert resource_of("s3.amazonaws.com", {"bucketName": odd if odd != "x" else None}, odd).type in ("service", "arn")


def test_the_table_names_cloudformation_types() -> None:
    for parameters in PARAMETERS.values():
        assert all(kind.startswith("AWS::") and kind.count("::") == 2 for _, kind in parameters)
