from __future__ import annotations

import pytest

from audit.event import parse_rfc3339
from streams.simulate import okta
from streams.simulate.model import Seat

TIME = 1_767_600_000_123_456
FIELDS = {
    "actor", "client", "device", "authenticationContext", "displayMessage", "eventType", "outcome", "published",
    "securityContext", "severity", "debugContext", "legacyEventType", "transaction", "uuid", "version", "request",
    "target",
}  # fmt: skip


@pytest.fixture
def session(seat: Seat) -> okta.Session:
    return okta.session(seat)


@pytest.mark.parametrize("type_", sorted(okta.MEANINGS))
def test_every_event_type_has_all_fields_of_a_log_event(session: okta.Session, type_: str) -> None:
    event = session.event(TIME, type_)
    assert set(event.record) == FIELDS
    assert event.record["eventType"] == type_
    assert event.record["displayMessage"]


def test_its_time_is_the_records_to_the_millisecond(session: okta.Session) -> None:
    event = session.event(TIME, "user.session.start")
    assert parse_rfc3339(event.record["published"]) == event.time == TIME // 1000 * 1000


def test_the_record_says_who_where_and_with_what(session: okta.Session, seat: Seat) -> None:
    record = session.event(TIME, "user.session.start").record
    assert record["actor"]["alternateId"] == seat.person.email
    assert record["client"]["ipAddress"] == seat.address
    assert record["client"]["geographicalContext"]["country"] == seat.network.city.country_name
    assert record["client"]["userAgent"]["rawUserAgent"] == seat.device.browser_agent
    assert record["authenticationContext"]["externalSessionId"] == "102session"
    assert record["securityContext"]["asNumber"] == seat.network.asn
    assert record["request"]["ipChain"][0]["ip"] == seat.address


def test_a_wrong_password_is_a_failed_login(session: okta.Session) -> None:
    record = session.event(TIME, "user.session.start", None, okta.WRONG_PASSWORD).record
    assert record["outcome"] == {"result": "FAILURE", "reason": "INVALID_CREDENTIALS"}
    assert record["legacyEventType"] == "core.user_auth.login_failed"
    assert record["severity"] == "WARN"


def test_a_login_is_policy_password_and_push_in_this_order(session: okta.Session, seat: Seat) -> None:
    deeds = session.login(TIME, seat.person)
    assert [e.record["eventType"] for e in deeds] == [
        "policy.evaluate_sign_on", "user.session.start", "user.authentication.auth_via_mfa",
    ]  # fmt: skip
    assert [e.time for e in deeds] == sorted(e.time for e in deeds)


@pytest.mark.parametrize("flag", ["new_country", "new_device"])
def test_okta_notices_what_is_new(session: okta.Session, seat: Seat, flag: str) -> None:
    setattr(session, flag, True)
    behaviors = session.login(TIME, seat.person)[0].record["debugContext"]["debugData"]["behaviors"]
    assert ("New Country=POSITIVE" in behaviors) == (flag == "new_country")
    assert ("New Device=POSITIVE" in behaviors) == (flag == "new_device")


def test_single_sign_on_names_the_app_and_the_user_in_it(session: okta.Session, seat: Seat) -> None:
    app, user = session.sso(TIME, seat.person, "Zoom").record["target"]
    assert (app["type"], app["displayName"]) == ("AppInstance", "Zoom")
    assert (user["type"], user["alternateId"]) == ("AppUser", seat.person.email)


def test_okta_itself_has_no_address(seat: Seat) -> None:
    record = okta.system(seat.rng).event(TIME, "system.email.delivery", [okta.email_target(seat.person)]).record
    assert record["actor"]["type"] == "SystemPrincipal"
    assert record["client"]["ipAddress"] is None
    assert record["request"]["ipChain"] == []
