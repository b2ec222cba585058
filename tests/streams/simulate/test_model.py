from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import parse_rfc3339
from streams.simulate.model import Access, SimEvent, key_id, stamp, token, uuid

MOMENTS = st.integers(0, 4_000_000_000_000_000)


@given(MOMENTS)
def test_a_stamp_with_microseconds_reads_back_as_the_same_moment(time: int) -> None:
    assert parse_rfc3339(stamp(time, 6)) == time


@given(MOMENTS)
def test_shorter_stamps_cut_and_never_round(time: int) -> None:
    assert parse_rfc3339(stamp(time, 0)) == time // 1_000_000 * 1_000_000
    assert parse_rfc3339(stamp(time, 3)) == time // 1_000 * 1_000


@given(MOMENTS)
def test_a_stamp_is_what_strftime_would_write(time: int) -> None:
    moment = datetime.fromtimestamp(time // 1_000_000, UTC)
    assert stamp(time, 0) == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@given(st.integers(0, 2**32))
def test_a_uuid_is_one_of_version_four(seed: int) -> None:
    text = uuid(Random(seed))
    assert str(UUID(text)) == text
    assert UUID(text).version == 4


def test_uuids_of_one_generator_differ() -> None:
    rng = Random(1)
    assert len({uuid(rng) for _ in range(1000)}) == 1000


@given(st.integers(1, 64))
def test_a_token_has_the_length_asked_for(length: int) -> None:
    assert len(token(Random(length), length)) == length


def test_a_key_id_has_the_form_of_aws() -> None:
    key = key_id("AKIA", Random(2))
    assert key.startswith("AKIA")
    assert len(key) == 20
    assert key.isupper()


@pytest.mark.parametrize(
    ("source", "field"),
    [("cloudtrail", "eventID"), ("okta", "uuid"), ("github", "_document_id"), ("kubernetes", "auditID")],
)
def test_an_event_bears_its_vendors_id(source: str, field: str) -> None:
    assert SimEvent(0, source, {field: "x"}).id == "x"  # type: ignore[arg-type]


def test_an_access_names_its_session_as_cloudtrail_does() -> None:
    assert Access("1", "Dev", "a@b").arn == "arn:aws:sts::1:assumed-role/Dev/a@b"
