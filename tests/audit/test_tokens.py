"""Real signatures by real keys: who a token names, and what becomes of one that is not good."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from audit.context import Context
from audit.context_schema import Declared, Person, TokenIssuer
from audit.event import AuditEvent, Principal
from audit.identity import identify
from audit.token_signature import fault_of
from audit.tokens import LONGEST, Token, Tokens

NOW = 1_772_442_000
TIME = NOW * 1_000_000
ISSUER = "https://login.example.com"
CLAIMS = {"iss": ISSUER, "aud": "api", "email": "ada@x.com", "iat": NOW - 60, "exp": NOW + 600, "sid": "s1"}


@cache
def pair(kind: str) -> tuple[Any, dict[str, Any]]:
    """A private key, and the public one as a JWKS has it."""
    if kind == "RS256":
        key: Any = rsa.generate_private_key(65537, 2048)
        return key, json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kind}
    if kind == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        return key, json.loads(OKPAlgorithm.to_jwk(key.public_key())) | {"kid": kind}
    key = ec.generate_private_key(ec.SECP256R1())
    return key, json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": kind}


def issuer(*kinds: str, **changes: Any) -> TokenIssuer:
    fields = {"issuer": ISSUER, "audience": ("api",), "fields": ("auth", "request.headers.authorization")}
    return TokenIssuer(**fields | {"keys": tuple(pair(kind)[1] for kind in kinds)} | changes)


def token(kind: str = "ES256", signer: str = "", **claims: Any) -> str:
    made = {key: value for key, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(made, pair(signer or kind)[0], "ES256" if kind.startswith("ES") else kind, {"kid": kind})


TOKENS = Tokens([issuer("ES256", "RS256", "EdDSA")])


def seen(text: Any, tokens: Tokens = TOKENS, time: int = TIME) -> Token | None:
    return tokens.of("gateway", {"auth": text}, time)


@pytest.mark.parametrize("kind", ["ES256", "RS256", "EdDSA"])
def test_a_good_token_names_person_and_session(kind: str) -> None:
    assert seen(token(kind)) == Token("ada@x.com", "s1")
    assert seen(f"Bearer {token(kind)}") == Token("ada@x.com", "s1")


def test_a_token_is_found_at_any_declared_place_and_nowhere_else() -> None:
    assert TOKENS.of("gateway", {"request": {"headers": {"authorization": token()}}}, TIME) == Token("ada@x.com", "s1")
    assert TOKENS.of("gateway", {"user_agent": token()}, TIME) is None
    limited = Tokens([issuer("ES256", sources=("gateway",))])
    assert limited.of("okta", {"auth": token()}, TIME) is None


@pytest.mark.parametrize("text", [None, 7, "", "a.b", "Basic YTpi", {"a": 1}, "ey" + "x" * LONGEST + "..", ["ey.a.b"]])
def test_what_is_no_token_is_none(text: Any) -> None:
    assert seen(text) is None


@pytest.mark.parametrize(
    "text",
    [
        token(signer="ES256 of somebody else"),
        token(iss="https://evil.example"),
        token(aud="another service"),
        token(aud=None),
        token(exp=None),
        token(exp="never"),
        token("ES256 of somebody else"),
        token()[:-6] + "AAAAAA",
        "ey.ey.ey",
        jwt.encode(CLAIMS, "", "none", {"kid": "ES256"}),
        jwt.encode(CLAIMS, pair("RS256")[1]["n"], "HS256", {"kid": "RS256"}),
    ],
)
def test_a_token_that_no_issuer_vouches_for_is_forged(text: str) -> None:
    assert seen(text) == Token(flaw="token_forged")


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": NOW - 60}, True),
        ({"exp": NOW - 61}, False),
        ({"nbf": NOW + 60}, True),
        ({"nbf": NOW + 61}, False),
        ({"iat": NOW + 61}, False),
    ],
)
def test_it_must_be_in_force_when_it_was_used(claims: dict[str, Any], good: bool) -> None:
    assert seen(token(**claims)) == (Token("ada@x.com", "s1") if good else Token(flaw="token_expired"))


def test_the_time_is_the_events_and_not_todays() -> None:
    old = token(iat=NOW - 900_000_000, exp=NOW - 800_000_000)
    assert seen(old, time=(NOW - 850_000_000) * 1_000_000) == Token("ada@x.com", "s1")


def test_without_issuers_nothing_is_checked() -> None:
    assert not Tokens([])
    assert seen(token(), Tokens([])) is None


@given(st.text(max_size=60), st.text(alphabet="ey.JhbGciOi0123456789_-", max_size=80))
def test_whatever_stands_there_raises_nothing(text: str, likely: str) -> None:
    for each in (text, likely, f"ey{likely}.ey{likely}.{likely}"):
        answer = seen(each)
        assert answer is None or answer.flaw == "token_forged"


CONTEXT = Context(
    Declared(
        users=(
            Person(id="ada", identities={"okta": ("ada@x.com",)}),
            Person(id="bob", identities={"okta": ("bob@x.com",)}),
        ),
        token_issuers=(issuer("ES256"),),
    )
)


def identified(actor: Principal, text: str, **changes: Any) -> AuditEvent:
    event = AuditEvent("1", TIME, "okta", "read", "success", actor, **changes)
    return identify(event, {"auth": text}, CONTEXT)


def test_a_good_token_verifies_whoever_it_names() -> None:
    for actor in (
        Principal("ada@x.com", "Ada", "human", "asserted"),
        Principal("", "", "unknown", "anonymous"),
        Principal("unknown-id", "?", "unknown", "anonymous"),
    ):
        event = identified(actor, token())
        assert (event.actor.id, event.actor.identity, event.session_id) == ("ada", "verified", "s1")


def test_a_session_of_the_record_stays() -> None:
    assert identified(Principal("ada@x.com", "Ada"), token(), session_id="own").session_id == "own"


def test_a_token_of_somebody_else_makes_the_actor_ambiguous() -> None:
    event = identified(Principal("bob@x.com", "Bob", "human", "verified"), token())
    assert event.actor.identity == "ambiguous"
    assert event.actor.id == "okta:bob@x.com"


def test_a_good_token_of_nobody_declared_names_its_own_principal() -> None:
    event = identified(Principal("", "", "unknown", "anonymous"), token(email="eve@x.com"))
    assert (event.actor.id, event.actor.identity) == ("okta:eve@x.com", "verified")


@pytest.mark.parametrize(
    ("text", "mark"), [(token(signer="another"), "token_forged"), (token(exp=NOW - 99), "token_expired")]
)
def test_a_bad_token_is_marked_and_proves_nothing(text: str, mark: str) -> None:
    event = identified(Principal("eve@x.com", "Eve", "human", "verified"), text)
    assert event.marks == (mark,)
    assert (event.actor.id, event.actor.identity) == ("okta:eve@x.com", "asserted")
    declared = identified(Principal("ada@x.com", "Ada", "human", "verified"), text)
    assert (declared.actor.id, declared.actor.identity) == ("ada", "asserted"), "whoever it is, it is not proven"
    anonymous = identified(Principal("", "", "unknown", "anonymous"), text)
    assert anonymous.actor.identity == "anonymous"


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ({"kty": "oct", "k": "c2VjcmV0"}, "private or shared"),
        ({"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"}, "private or shared"),
        ({"kty": "EC", "crv": "P-256"}, "no public key"),
        ({}, "no public key"),
    ],
)
def test_keys_that_do_not_belong_into_a_context(key: dict[str, str], fault: str) -> None:
    assert fault in (fault_of(key) or "")
    assert fault_of(pair("ES256")[1]) is None
