from __future__ import annotations

import msgspec
import orjson
import pytest

from audit.event import parse_rfc3339
from streams.simulate import cloudtrail
from streams.simulate.cloudtrail import PARAMETERS, Call, calls
from streams.simulate.model import Access, Seat

TIME = 1_767_600_000_123_456
MANAGEMENT = {
    "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
    "userAgent", "requestParameters", "responseElements", "requestID", "eventID", "readOnly",
    "eventType", "managementEvent",
    "recipientAccountId", "eventCategory", "tlsDetails",
}  # fmt: skip


@pytest.fixture
def session(seat: Seat) -> cloudtrail.Session:
    return cloudtrail.session(seat, seat.person.accesses[0], TIME)


def test_a_call_has_the_fields_of_a_management_event(session: cloudtrail.Session, seat: Seat) -> None:
    event = session.call(TIME, Call("iam", "ListUsers"))
    assert set(event.record) == MANAGEMENT
    assert event.record["eventSource"] == "iam.amazonaws.com"
    assert event.record["sourceIPAddress"] == seat.address
    assert (event.record["readOnly"], event.record["managementEvent"]) == (True, True)


def test_its_time_is_the_records_to_the_second(session: cloudtrail.Session) -> None:
    event = session.call(TIME, Call("iam", "ListUsers"))
    assert parse_rfc3339(event.record["eventTime"]) == event.time == TIME // 1_000_000 * 1_000_000


def test_a_role_session_names_role_issuer_and_person(session: cloudtrail.Session, seat: Seat) -> None:
    identity = session.identity
    assert identity["type"] == "AssumedRole"
    assert identity["arn"].endswith(f"/{seat.person.email}")
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert identity["principalId"] == f"{issuer['principalId']}:{seat.person.email}"
    assert issuer["arn"].startswith("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_")


def test_one_okta_session_has_one_temporary_key(seat: Seat) -> None:
    access = seat.person.accesses[0]
    again = msgspec.structs.replace(seat, address="192.0.2.9")
    other = msgspec.structs.replace(seat, session="another")
    assert cloudtrail.temporary_key(seat, access) == cloudtrail.temporary_key(again, access)
    assert cloudtrail.temporary_key(seat, access) != cloudtrail.temporary_key(other, access)


def test_reading_an_object_is_a_data_event_about_object_and_bucket(session: cloudtrail.Session) -> None:
    record = session.call(TIME, Call("s3", "GetObject", "object"), "acorn-x/a/b.json").record
    assert (record["managementEvent"], record["eventCategory"]) == (False, "Data")
    assert record["requestParameters"]["bucketName"] == "acorn-x"
    assert record["requestParameters"]["key"] == "a/b.json"
    assert [row["ARN"] for row in record["resources"]] == ["arn:aws:s3:::acorn-x/a/b.json", "arn:aws:s3:::acorn-x"]


@pytest.mark.parametrize(
    ("service", "error", "code"),
    [
        ("s3", "AccessDenied", "AccessDenied"),
        ("ec2", "AccessDenied", "Client.UnauthorizedOperation"),
        ("ssm", "ThrottlingException", "ThrottlingException"),
    ],
)
def test_a_refusal_says_why(session: cloudtrail.Session, service: str, error: str, code: str) -> None:
    record = session.call(TIME, Call(service, "DescribeThings"), "", error).record
    assert record["errorCode"] == code
    assert ("not authorized" in record["errorMessage"]) == (error == "AccessDenied")


def test_a_console_login_is_a_sign_in(session: cloudtrail.Session) -> None:
    record = session.console_login(TIME).record
    assert (record["eventType"], record["eventName"]) == ("AwsConsoleSignIn", "ConsoleLogin")
    assert record["responseElements"] == {"ConsoleLogin": "Success"}


def test_a_new_key_is_named_in_the_response(session: cloudtrail.Session) -> None:
    record = session.created_key(TIME, "legacy").record
    assert record["responseElements"]["accessKey"]["accessKeyId"].startswith("AKIA")
    assert record["requestParameters"] == {"userName": "legacy"}
    assert record["readOnly"] is False


def test_aws_itself_has_a_name_for_an_address(seat: Seat) -> None:
    record = cloudtrail.service_call(TIME, "autoscaling", Call("sts", "AssumeRole", "assume"), seat.rng).record
    assert record["userIdentity"] == {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}
    assert record["sourceIPAddress"] == "autoscaling.amazonaws.com"


@pytest.mark.parametrize("about", sorted(PARAMETERS))
def test_every_sort_of_parameters_is_json(session: cloudtrail.Session, about: str) -> None:
    event = session.call(TIME, Call("x", "GetThing", about), "one=two")
    assert orjson.loads(orjson.dumps(event.record)) == event.record


def test_calls_are_read_from_words() -> None:
    assert calls("s3:GetObject:object\n iam:ListUsers") == (Call("s3", "GetObject", "object"), Call("iam", "ListUsers"))
    assert Call("s3", "GetObject").action == "s3:GetObject"


def test_a_role_assumed_names_the_key_its_session_uses(session: cloudtrail.Session) -> None:
    event, inner = session.assume(TIME, Access("777788889999", "acorn-restore", "me@acorn.example"))
    record = event.record
    assert (record["eventName"], record["userIdentity"]) == ("AssumeRole", session.identity)
    role = "arn:aws:iam::777788889999:role/acorn-restore"
    assert record["requestParameters"] == {"roleArn": role, "roleSessionName": "me@acorn.example"}
    assert record["resources"][0]["ARN"] == role
    later = inner.call(TIME, Call("s3", "ListBuckets")).record
    assert later["recipientAccountId"] == "777788889999"
    assert later["userIdentity"]["accessKeyId"] == record["responseElements"]["credentials"]["accessKeyId"]
    assert later["userIdentity"]["arn"] == record["responseElements"]["assumedRoleUser"]["arn"]
    assert later["sourceIPAddress"] == session.address


def test_another_key_of_a_user_is_the_same_user(seat: Seat) -> None:
    person = msgspec.structs.replace(seat.person, iam_user="me", access_key="AKIAEXAMPLE000000001")
    seat = msgspec.structs.replace(seat, person=person)
    one, two = cloudtrail.key_session(seat, "1").identity, cloudtrail.key_session(seat, "1", "AKIAOTHER").identity
    assert two == one | {"accessKeyId": "AKIAOTHER"}
