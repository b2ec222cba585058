"""Okta System Log records (LogEvent version 0)."""

from __future__ import annotations

from random import Random

import msgspec

from streams.simulate.model import Network, Person, Record, Seat, SimEvent, stamp, token, uuid
from streams.simulate.words import DOMAIN

MEANINGS: dict[str, tuple[str, str | None]] = {
    "user.session.start": ("User login to Okta", "core.user_auth.login_success"),
    "user.session.end": ("User logout from Okta", "core.user_auth.logout_success"),
    "policy.evaluate_sign_on": ("Evaluation of sign-on policy", None),
    "user.authentication.auth_via_mfa": ("Authentication of user via MFA", "core.user.factor.attempt_success"),
    "user.authentication.sso": ("User single sign on to app", "app.auth.sso"),
    "user.account.lock": ("Max sign in attempts exceeded", "core.user_auth.account_locked"),
    "user.account.reset_password": ("Fired when the user's Okta password is reset", "core.user.config.password_reset"),
    "user.account.update_password": ("User update password for Okta", "core.user.config.password_update"),
    "user.account.unlock": ("Unlock user account", "core.user.config.user_unlock"),
    "user.account.privilege.grant": ("Grant user privilege", "core.user.admin_privilege.granted"),
    "user.mfa.factor.activate": ("Activate factor or authenticator enrollment for user", "core.user.factor.activate"),
    "user.mfa.factor.reset_all": ("Reset all factors for user", "core.user.factor.reset_all"),
    "user.lifecycle.create": ("Create Okta user", "core.user.config.user_creation.success"),
    "user.lifecycle.activate": ("Activate Okta user", "core.user.config.user_activated"),
    "user.lifecycle.deactivate": ("Deactivate Okta user", "core.user.config.user_deactivated"),
    "group.user_membership.add": ("Add user to group membership", "core.user_group_member.user_add"),
    "group.user_membership.remove": ("Remove user from group membership", "core.user_group_member.user_remove"),
    "application.user_membership.add": ("Add user to application membership", "app.generic.provision.assign_user"),
    "system.api_token.create": ("Create API token", "api.token.create"),
    "system.email.delivery": ("Email delivery", None),
}
_FAILED = {
    "user.session.start": "core.user_auth.login_failed",
    "user.authentication.auth_via_mfa": "core.user.factor.attempt_fail",
}


class Outcome(msgspec.Struct, frozen=True):
    """Okta's outcome: a result in capitals and a reason where it went wrong."""

    result: str = "SUCCESS"
    reason: str | None = None


SUCCESS = Outcome()
ALLOWED = Outcome("ALLOW", "Sign-on policy evaluation resulted in ALLOW")
WRONG_PASSWORD = Outcome("FAILURE", "INVALID_CREDENTIALS")
REFUSED_PUSH = Outcome("FAILURE", "User rejected Okta push verify")


class Session(msgspec.Struct):
    """A browser with an Okta session; `behaviors` are Okta's own verdicts on it (New Country, New Device)."""

    actor: Record
    client: Record
    authentication: Record
    security: Record
    chain: Record
    fingerprint: str
    rng: Random
    new_country: bool = False
    new_device: bool = False

    def event(
        self, time: int, type_: str, targets: list[Record] | None = None, outcome: Outcome = SUCCESS, **debug: str
    ) -> SimEvent:
        """The record of one event type; keywords go to debugContext.debugData."""
        message, legacy = MEANINGS[type_]
        request = token(self.rng, 27)
        uri = debug.pop("uri", "/api/v1/authn")
        record: Record = {
            "actor": self.actor,
            "client": self.client,
            "device": None,
            "authenticationContext": self.authentication,
            "displayMessage": message,
            "eventType": type_,
            "outcome": {"result": outcome.result, "reason": outcome.reason},
            "published": stamp(time, 3),
            "securityContext": self.security,
            "severity": "INFO" if outcome.result in ("SUCCESS", "ALLOW") else "WARN",
            "debugContext": {
                "debugData": {
                    "requestId": request,
                    "requestUri": uri,
                    "url": f"{uri}?",
                    "threatSuspected": "false",
                    "deviceFingerprint": self.fingerprint,
                    **debug,
                }
            },
            "legacyEventType": legacy if outcome.result != "FAILURE" else _FAILED.get(type_, legacy),
            "transaction": {"type": "WEB", "id": request, "detail": {}},
            "uuid": uuid(self.rng),
            "version": "0",
            "request": self.chain,
            "target": targets,
        }
        return SimEvent(time // 1000 * 1000, "okta", record)

    def login(self, time: int, person: Person) -> list[SimEvent]:
        """Password, policy, push accepted: what a successful sign-in leaves."""
        return [
            self.event(time, "policy.evaluate_sign_on", _POLICY, ALLOWED, behaviors=self._behaviors()),
            self.event(time + 900_000, "user.session.start", [user(person)]),
            self.push(time + 9_300_000, person),
        ]

    def push(self, time: int, person: Person, outcome: Outcome = SUCCESS) -> SimEvent:
        """An Okta Verify push and what the person answered."""
        uri = "/api/v1/authn/factors/opf/verify"
        return self.event(
            time, "user.authentication.auth_via_mfa", [user(person)], outcome, factor="OKTA_VERIFY_PUSH", uri=uri
        )

    def sso(self, time: int, person: Person, name: str) -> SimEvent:
        """Single sign-on to an application."""
        targets = [app(name), {**user(person), "type": "AppUser"}]
        return self.event(time, "user.authentication.sso", targets, uri="/app/saml/sso")

    def _behaviors(self) -> str:
        country, device = ("POSITIVE" if flag else "NEGATIVE" for flag in (self.new_country, self.new_device))
        return f"{{New Geo-Location={country}, New Device={device}, New IP=NEGATIVE, New Country={country}}}"


_POLICY: list[Record] = [
    {"id": "00pacorn1default", "type": "PolicyEntity", "alternateId": "unknown", "displayName": "Default Policy",
     "detailEntry": {"policyType": "OktaSignOn"}},
    {"id": "0pracorn1default", "type": "PolicyRule", "alternateId": "00pacorn1default", "displayName": "Default Rule",
     "detailEntry": None},
]  # fmt: skip


def session(seat: Seat) -> Session:
    """The Okta session of somebody at a computer."""
    place = _place(seat.network)
    device, network = seat.device, seat.network
    return Session(
        actor=user(seat.person),
        client={
            "userAgent": {"rawUserAgent": device.browser_agent, "os": device.os, "browser": device.browser},
            "zone": "null",
            "device": "Computer",
            "id": None,
            "ipAddress": seat.address,
            "geographicalContext": place,
        },
        authentication=_authentication(seat.session),
        security={
            "asNumber": network.asn, "asOrg": network.org, "isp": network.org, "domain": None, "isProxy": False,
        },
        chain={"ipChain": [{"ip": seat.address, "geographicalContext": place, "source": None, "version": "V4"}]},
        fingerprint=device.fingerprint,
        rng=seat.rng,
    )  # fmt: skip


def system(rng: Random) -> Session:
    """Okta's own system principal, which has no address."""
    return Session(
        actor={"id": "sysacorn1system", "type": "SystemPrincipal", "alternateId": "system@okta.com",
               "displayName": "Okta System", "detailEntry": None},
        client={"ipAddress": None, "userAgent": None, "zone": None, "device": None, "geographicalContext": None},
        authentication=_authentication("trsacorn1system"),
        security={"asNumber": None, "asOrg": None, "isp": None, "domain": None, "isProxy": None},
        chain={"ipChain": []},
        fingerprint="",
        rng=rng,
    )  # fmt: skip


def user(person: Person) -> Record:
    """A person as actor or target."""
    return {
        "id": f"00u{person.index:05d}acorn1d7",
        "type": "User",
        "alternateId": person.email,
        "displayName": person.name,
        "detailEntry": None,
    }


def app(name: str) -> Record:
    """An application as target."""
    slug = name.lower().replace(" ", "_")
    detail = {"signOnModeType": "SAML_2_0"}
    return {"id": f"0oa{slug}", "type": "AppInstance", "alternateId": name, "displayName": name, "detailEntry": detail}


def group(name: str) -> Record:
    """A group as target."""
    return {"id": f"00g{name}", "type": "UserGroup", "alternateId": "unknown", "displayName": name, "detailEntry": None}


def email_target(person: Person) -> Record:
    """The address Okta's system principal writes to."""
    address = person.email or f"nobody@{DOMAIN}"
    return {"id": f"eml{person.index:05d}", "type": "email", "alternateId": None, "displayName": address,
            "detailEntry": None}  # fmt: skip


def _authentication(session_id: str) -> Record:
    return {
        "authenticationProvider": None,
        "authenticationStep": 0,
        "credentialProvider": None,
        "credentialType": None,
        "externalSessionId": session_id,
        "rootSessionId": session_id,
        "interface": None,
        "issuer": None,
    }


def _place(network: Network) -> Record:
    city = network.city
    return {
        "city": city.name,
        "state": None,
        "country": city.country_name,
        "postalCode": None,
        "geolocation": {"lat": city.lat, "lon": city.lon},
    }
