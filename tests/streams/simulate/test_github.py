from __future__ import annotations

import msgspec
import pytest

from streams.simulate import github
from streams.simulate.model import Seat

TIME = 1_767_600_000_123_456


def test_an_entry_says_who_what_and_where(seat: Seat) -> None:
    event = github.session(seat).event(TIME, "pull_request.create", "payments-api")
    record = event.record
    assert record["actor"] == seat.person.github
    assert record["external_identity_nameid"] == seat.person.email
    assert record["repo"] == "acorn-labs/payments-api"
    assert record["actor_ip"] == seat.address
    assert record["actor_location"] == {"country_code": seat.network.city.country}
    assert record["user_agent"] == seat.device.browser_agent
    assert record["operation_type"] == "create"
    assert record["@timestamp"] * 1000 == event.time
    assert len(record["_document_id"]) == 22


def test_git_events_name_the_transport_and_the_git_program(seat: Seat) -> None:
    record = github.session(seat).event(TIME, "git.clone", "x").record
    assert record["transport_protocol_name"] == "ssh"
    assert record["user_agent"] == seat.device.git_agent
    assert record["operation_type"] == "access"


def test_more_fields_are_added(seat: Seat) -> None:
    record = github.session(seat).event(TIME, "repo.access", "x", visibility="public").record
    assert record["visibility"] == "public"


@pytest.mark.parametrize(("login", "bot"), [("acorn-ci[bot]", True), ("anna", False)])
def test_bots_are_known_by_their_name(seat: Seat, login: str, bot: bool) -> None:
    seat = msgspec.structs.replace(seat, person=msgspec.structs.replace(seat.person, github=login))
    assert github.session(seat).event(TIME, "git.push").record["actor_is_bot"] is bot


def test_an_entry_about_the_organisation_has_no_repo(seat: Seat) -> None:
    assert "repo" not in github.session(seat).event(TIME, "org.add_member").record
