"""The signature of a token (JWT), by PyJWT. Loaded only where an issuer is declared, for it costs memory and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from audit.context_schema import TokenIssuer

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key pair only: a shared secret in a context file would let its readers sign."""


class Signatures:
    """The declared keys of declared issuers."""

    def __init__(self, issuers: Mapping[str, TokenIssuer]) -> None:
        self._issuers = issuers
        self._keys = {
            (issuer.issuer, str(key.get("kid", ""))): jwt.PyJWK.from_dict(dict(key))
            for issuer in issuers.values()
            for key in issuer.keys
            if fault_of(key) is None
        }

    def claims(self, text: str) -> tuple[TokenIssuer, dict[str, Any]] | None:
        """The issuer and claims of a token with a good signature, issuer and audience; None of any other.

        Whether it was in force is not looked at.
        """
        try:
            named = str(jwt.decode(text, options={"verify_signature": False}).get("iss"))
            issuer = self._issuers[named]
            key = self._keys[named, str(jwt.get_unverified_header(text).get("kid", ""))]
            options: Any = {
                "require": ["exp", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": bool(issuer.audience),
            }
            audience = list(issuer.audience) or None
            return issuer, jwt.decode(text, key, ALGORITHMS, options, audience=audience, issuer=named)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
            return None


def fault_of(key: Mapping[str, Any]) -> str | None:
    """What is wrong with a key of an issuer, None where it can be used."""
    if "d" in key or "k" in key:
        return "a private or shared key: only public keys belong here"
    try:
        jwt.PyJWK.from_dict(dict(key))
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        return f"no public key of a JWKS: {error}"
    return None
