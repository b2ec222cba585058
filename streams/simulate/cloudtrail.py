"""AWS CloudTrail records (event version 1.09), as a session in an account leaves them behind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from streams.simulate.model import HOUR, SECOND, Access, Record, Seat, SimEvent, key_id, stamp, uuid
from streams.simulate.words import REGION

_READS = ("Get", "List", "Describe", "Lookup", "Filter", "Head", "Search", "Batch", "Simulate", "Generate", "Assume")
_DATA = frozenset({"GetObject", "PutObject", "DeleteObject", "HeadObject", "ListObjects"})
_SERVICE_HOSTS = {"cloudwatch": "monitoring"}
_TLS = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"}
_GLOBAL = frozenset({"iam", "organizations", "ce", "signin"})


class Call(msgspec.Struct, frozen=True):
    """An API call: service as in an IAM action ("s3"), event name, and the sort of thing it is about ("bucket")."""

    service: str
    name: str
    about: str = ""

    @property
    def action(self) -> str:
        """The call as an IAM action: s3:GetObject."""
        return f"{self.service}:{self.name}"

    @property
    def reads(self) -> bool:
        """CloudTrail's readOnly."""
        return self.name.startswith(_READS)


GET_OBJECT = Call("s3", "GetObject", "object")
WHO_AM_I = Call("sts", "GetCallerIdentity")


def calls(text: str) -> tuple[Call, ...]:
    """The calls a text names, each as service:name or service:name:about."""
    return tuple(Call(*word.split(":")) for word in text.split())


def _bucket(thing: str) -> Record:
    return {"bucketName": thing, "Host": f"{thing}.s3.{REGION}.amazonaws.com"}


def _object(thing: str) -> Record:
    bucket, _, key = thing.partition("/")
    return {"bucketName": bucket, "Host": f"{bucket}.s3.{REGION}.amazonaws.com", "key": key or "index.json"}


def _grant(thing: str) -> Record:
    user, _, policy = thing.partition("=")
    return {"userName": user, "policyArn": f"arn:aws:iam::aws:policy/{policy}"}


def _role_grant(thing: str) -> Record:
    role, _, policy = thing.partition("=")
    return {"roleName": role, "policyArn": f"arn:aws:iam::aws:policy/{policy}"}


def _shared(thing: str) -> Record:
    snapshot, _, account = thing.partition("=")
    return {
        "snapshotId": snapshot,
        "attributeType": "CREATE_VOLUME_PERMISSION",
        "createVolumePermission": {"add": {"items": [{"userId": account}]}},
    }


def _assignment(thing: str) -> Record:
    account, _, user = thing.partition("=")
    instance = "ssoins-7223a1b2c3d4e5f6"
    return {
        "instanceArn": f"arn:aws:sso:::instance/{instance}",
        "permissionSetArn": f"arn:aws:sso:::permissionSet/{instance}/ps-9f8e7d6c5b4a3f2e",
        "targetId": account,
        "targetType": "AWS_ACCOUNT",
        "principalType": "USER",
        "principalId": user,
    }


def _selectors(thing: str) -> Record:
    trail, _, kinds = thing.partition("=")
    return {"trailName": trail, "eventSelectors": [{"readWriteType": kinds, "includeManagementEvents": True}]}


def _ingress(thing: str) -> Record:
    group, _, cidr = thing.partition("=")
    ports = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": {"items": [{"cidrIp": cidr}]}}
    return {"groupId": group, "ipPermissions": {"items": [ports]}}


PARAMETERS: dict[str, Callable[[str], Record | None]] = {
    "": lambda thing: None,
    "bucket": _bucket,
    "object": _object,
    "grant": _grant,
    "role_grant": _role_grant,
    "ingress": _ingress,
    "share": _shared,
    "assignment": _assignment,
    "selectors": _selectors,
    "user": lambda thing: {"userName": thing},
    "login": lambda thing: {"userName": thing, "passwordResetRequired": False},
    "role": lambda thing: {"roleName": thing},
    "assume": lambda thing: {"roleArn": thing, "roleSessionName": "session", "durationSeconds": 3600},
    "function": lambda thing: {"functionName": thing},
    "log": lambda thing: {"logGroupName": thing},
    "table": lambda thing: {"tableName": thing},
    "queue": lambda thing: {"queueUrl": f"https://sqs.{REGION}.amazonaws.com/{thing}"},
    "secret": lambda thing: {"secretId": thing},
    "parameter": lambda thing: {"name": f"/{thing}", "withDecryption": True},
    "key": lambda thing: {"keyId": thing, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
    "repository": lambda thing: {"repositoryName": thing},
    "instance": lambda thing: {"instancesSet": {"items": [{"instanceId": thing}]}},
    "target": lambda thing: {"target": thing},
    "cluster": lambda thing: {"name": thing},
    "trail": lambda thing: {"name": thing},
    "old_key": lambda thing: {"userName": thing.partition("=")[0], "accessKeyId": thing.partition("=")[2]},
    "snapshot": lambda thing: {"dBSnapshotIdentifier": thing},
    "disk": lambda thing: {"volumeId": thing, "description": ""},
    "detector": lambda thing: {"detectorId": thing},
    "database": lambda thing: {"dBInstanceIdentifier": thing},
    "query": lambda thing: {"queryString": "HIDDEN_DUE_TO_SECURITY_REASONS", "workGroup": thing},
    "volume": lambda thing: {"volumeId": thing},
}


class Session(msgspec.Struct):
    """Somebody's credentials in an account, used from one address with one tool."""

    identity: Record
    account: str
    address: str
    agent: str
    rng: Random

    def call(self, time: int, call: Call, thing: str = "", error: str = "") -> SimEvent:
        """The record of one API call about a thing; with `error`, of its refusal."""
        record: Record = {
            "eventVersion": "1.09",
            "userIdentity": self.identity,
            "eventTime": stamp(time, 0),
            "eventSource": f"{_SERVICE_HOSTS.get(call.service, call.service)}.amazonaws.com",
            "eventName": call.name,
            "awsRegion": "us-east-1" if call.service in _GLOBAL else REGION,
            "sourceIPAddress": self.address,
            "userAgent": self.agent,
            "requestParameters": PARAMETERS[call.about](thing),
            "responseElements": None,
            "requestID": uuid(self.rng),
            "eventID": uuid(self.rng),
            "readOnly": call.reads,
            "eventType": "AwsApiCall",
            "managementEvent": call.name not in _DATA,
            "recipientAccountId": self.account,
            "eventCategory": "Data" if call.name in _DATA else "Management",
            "tlsDetails": _TLS,
        }
        if call.service == "s3" and thing:
            record["resources"] = _s3_resources(thing, self.account)
        if error:
            record |= _refusal(self.identity, call, error)
        return SimEvent(time // SECOND * SECOND, "cloudtrail", record)

    def console_login(self, time: int) -> SimEvent:
        """The sign-in event of a browser session in the AWS console."""
        event = self.call(time, Call("signin", "ConsoleLogin"))
        return _amend(
            event,
            readOnly=False,
            eventType="AwsConsoleSignIn",
            responseElements={"ConsoleLogin": "Success"},
            additionalEventData={
                "LoginTo": f"https://{REGION}.console.aws.amazon.com/console/home",
                "MobileVersion": "No",
                "MFAUsed": "No",
            },
        )

    def created_key(self, time: int, user: str) -> SimEvent:
        """CreateAccessKey for an IAM user, with the response that names the new key."""
        event = self.call(time, Call("iam", "CreateAccessKey", "user"), user)
        key = {"accessKeyId": key_id("AKIA", self.rng), "status": "Active", "userName": user}
        return _amend(event, responseElements={"accessKey": key})

    def assume(self, time: int, access: Access) -> tuple[SimEvent, Session]:
        """AssumeRole into another role, and the session that comes of it, at the same computer."""
        key = key_id("ASIA", self.rng)
        identity = _assumed_role(access, key, time)
        role = identity["sessionContext"]["sessionIssuer"]["arn"]
        event = self.call(time, Call("sts", "AssumeRole", "assume"), role)
        credentials = {"accessKeyId": key, "sessionToken": "HIDDEN", "expiration": stamp(time + HOUR, 0)}
        return _amend(
            event,
            requestParameters={"roleArn": role, "roleSessionName": access.session},
            responseElements={
                "credentials": credentials,
                "assumedRoleUser": {"assumedRoleId": identity["principalId"], "arn": access.arn},
            },
            resources=[{"accountId": access.account, "type": "AWS::IAM::Role", "ARN": role}],
        ), Session(identity, access.account, self.address, self.agent, self.rng)


def session(seat: Seat, access: Access, since: int) -> Session:
    """A role session begun at `since`: the same person, role and Okta session always have the same temporary key."""
    key = temporary_key(seat, access)
    return Session(_assumed_role(access, key, since), access.account, seat.address, seat.device.aws_agent, seat.rng)


def key_session(seat: Seat, account: str, key: str = "") -> Session:
    """The long-lived access key of somebody's IAM user, or another `key` of the same user."""
    person = seat.person
    identity = _iam_user(account, person.iam_user, person.access_key)
    identity["accessKeyId"] = key or person.access_key
    return Session(identity, account, seat.address, seat.device.aws_agent, seat.rng)


def temporary_key(seat: Seat, access: Access) -> str:
    """ASIA and sixteen letters, of the person, the role and the Okta session alone."""
    return key_id("ASIA", Random(f"{seat.person.id}/{access.arn}/{seat.session}"))  # noqa: S311


def _assumed_role(access: Access, key: str, since: int) -> Record:
    issuer = "AROA" + key_id("", Random(f"{access.account}/{access.role}"))  # noqa: S311
    return {
        "type": "AssumedRole",
        "principalId": f"{issuer}:{access.session}",
        "arn": access.arn,
        "accountId": access.account,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": issuer,
                "arn": f"arn:aws:iam::{access.account}:role/{access.path}{access.role}",
                "accountId": access.account,
                "userName": access.role,
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": stamp(since, 0), "mfaAuthenticated": "false"},
        },
    }


def _iam_user(account: str, user: str, key: str) -> Record:
    return {
        "type": "IAMUser",
        "principalId": "AIDA" + key[4:],
        "arn": f"arn:aws:iam::{account}:user/{user}",
        "accountId": account,
        "accessKeyId": key,
        "userName": user,
    }


def service_call(time: int, service: str, call: Call, rng: Random) -> SimEvent:
    """A call that AWS makes itself: its address and agent are a service's name."""
    name = f"{service}.amazonaws.com"
    session = Session({"type": "AWSService", "invokedBy": name}, "111122223333", name, name, rng)
    event = session.call(time, call, "arn:aws:iam::111122223333:role/aws-service-role/AWSServiceRoleForAutoScaling")
    del event.record["tlsDetails"]
    return event


def _s3_resources(thing: str, account: str) -> list[Record]:
    bucket, _, key = thing.partition("/")
    rows: list[Record] = [{"accountId": account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}]
    if key:
        rows.insert(0, {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{thing}"})
    return rows


def _refusal(identity: Record, call: Call, error: str) -> Record:
    if error != "AccessDenied":
        return {"errorCode": error, "errorMessage": "Rate exceeded" if "Throttling" in error else error}
    who = identity.get("arn", "")
    message = f"User: {who} is not authorized to perform: {call.action} because no identity-based policy allows it"
    return {"errorCode": "Client.UnauthorizedOperation" if call.service == "ec2" else error, "errorMessage": message}


def _amend(event: SimEvent, **fields: Any) -> SimEvent:
    event.record.update(fields)
    return event
