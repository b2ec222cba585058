"""What an AWS call touched: request parameters by service, in CloudFormation's type names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.event import Resource
from audit.sources.fields import first, mapping, text

# The first parameter present names the resource: the thing acted upon before the thing it is given.
PARAMETERS: dict[str, tuple[tuple[str, str], ...]] = {
    "s3.amazonaws.com": (("bucketName", "AWS::S3::Bucket"), ("bucket", "AWS::S3::Bucket")),
    "iam.amazonaws.com": (
        ("roleName", "AWS::IAM::Role"),
        ("groupName", "AWS::IAM::Group"),
        ("userName", "AWS::IAM::User"),
        ("policyArn", "AWS::IAM::ManagedPolicy"),
        ("instanceProfileName", "AWS::IAM::InstanceProfile"),
        ("sAMLProviderArn", "AWS::IAM::SAMLProvider"),
        ("openIDConnectProviderArn", "AWS::IAM::OIDCProvider"),
        ("serialNumber", "AWS::IAM::VirtualMFADevice"),
        ("policyName", "AWS::IAM::ManagedPolicy"),
    ),
    "sts.amazonaws.com": (("roleArn", "AWS::IAM::Role"),),
    "sso.amazonaws.com": (("permissionSetArn", "AWS::SSO::PermissionSet"), ("instanceArn", "AWS::SSO::Instance")),
    "rolesanywhere.amazonaws.com": (("roleArn", "AWS::IAM::Role"), ("name", "AWS::RolesAnywhere::TrustAnchor")),
    "ec2.amazonaws.com": (
        ("instanceId", "AWS::EC2::Instance"),
        ("snapshotId", "AWS::EC2::Snapshot"),
        ("volumeId", "AWS::EC2::Volume"),
        ("imageId", "AWS::EC2::Image"),
        ("groupId", "AWS::EC2::SecurityGroup"),
        ("groupName", "AWS::EC2::SecurityGroup"),
        ("keyName", "AWS::EC2::KeyPair"),
        ("networkInterfaceId", "AWS::EC2::NetworkInterface"),
        ("networkAclId", "AWS::EC2::NetworkAcl"),
        ("routeTableId", "AWS::EC2::RouteTable"),
        ("subnetId", "AWS::EC2::Subnet"),
        ("internetGatewayId", "AWS::EC2::InternetGateway"),
        ("allocationId", "AWS::EC2::EIP"),
        ("vpcId", "AWS::EC2::VPC"),
    ),
    "ec2-instance-connect.amazonaws.com": (("instanceId", "AWS::EC2::Instance"),),
    "ssm.amazonaws.com": (
        ("name", "AWS::SSM::Parameter"),
        ("documentName", "AWS::SSM::Document"),
        ("target", "AWS::EC2::Instance"),
        ("instanceId", "AWS::EC2::Instance"),
        ("resourceId", "AWS::SSM::Parameter"),
    ),
    "secretsmanager.amazonaws.com": (
        ("secretId", "AWS::SecretsManager::Secret"),
        ("name", "AWS::SecretsManager::Secret"),
    ),
    "kms.amazonaws.com": (("keyId", "AWS::KMS::Key"),),
    "lambda.amazonaws.com": (("functionName", "AWS::Lambda::Function"),),
    "rds.amazonaws.com": (
        ("dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"),
        ("dBInstanceIdentifier", "AWS::RDS::DBInstance"),
        ("dBClusterIdentifier", "AWS::RDS::DBCluster"),
        ("resourceName", "AWS::RDS::DBInstance"),
    ),
    "cloudtrail.amazonaws.com": (("name", "AWS::CloudTrail::Trail"), ("trailName", "AWS::CloudTrail::Trail")),
    "dynamodb.amazonaws.com": (("tableName", "AWS::DynamoDB::Table"),),
    "sqs.amazonaws.com": (("queueUrl", "AWS::SQS::Queue"),),
    "sns.amazonaws.com": (("topicArn", "AWS::SNS::Topic"),),
    "ecr.amazonaws.com": (("repositoryName", "AWS::ECR::Repository"),),
    "ecs.amazonaws.com": (("service", "AWS::ECS::Service"), ("cluster", "AWS::ECS::Cluster")),
    "eks.amazonaws.com": (("name", "AWS::EKS::Cluster"), ("clusterName", "AWS::EKS::Cluster")),
    "cloudformation.amazonaws.com": (("stackName", "AWS::CloudFormation::Stack"),),
    "logs.amazonaws.com": (("logGroupName", "AWS::Logs::LogGroup"),),
    "guardduty.amazonaws.com": (("detectorId", "AWS::GuardDuty::Detector"),),
    "config.amazonaws.com": (("configurationRecorderName", "AWS::Config::ConfigurationRecorder"),),
    "organizations.amazonaws.com": (
        ("policyId", "AWS::Organizations::Policy"),
        ("accountId", "AWS::Organizations::Account"),
    ),
    "route53.amazonaws.com": (("hostedZoneId", "AWS::Route53::HostedZone"),),
}


def resource_of(service: str, request: Mapping[str, Any], resources: object) -> Resource:
    """The narrowest thing a record names: a parameter, a listed ARN, else the service itself."""
    for parameter, kind in PARAMETERS.get(service, ()):
        name = text(request.get(parameter))
        if name:
            return Resource(kind, name)
    listed = first(resources)
    if type(listed) is dict:
        arn = text(listed.get("ARN")) or text(listed.get("arn"))
        if arn:
            return Resource(text(listed.get("type")) or "arn", arn)
    instance = text(mapping(first(mapping(request.get("instancesSet")).get("items"))).get("instanceId"))
    if instance:
        return Resource("AWS::EC2::Instance", instance)
    return Resource("service", service)
