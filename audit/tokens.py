"""Signed tokens (JWT) that records carry: whose they are, and whether they were good when they were used.

A token counts only if a declared issuer signed it with one of its declared keys, for a declared audience, and it was
in force at the event's own time. What a token says of itself is believed only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from audit.context_schema import TokenIssuer
from audit.event import MICROSECONDS

LONGEST = 8_192
LEEWAY = 60
"""Seconds by which clocks may differ."""
CACHED = 4_096
SIGNATURE = "audit.token_signature"

Flaw = Literal["token_forged", "token_expired"]


class Token(NamedTuple):
    """A token as it was checked: the person it names, its session, and what is wrong with it (then nothing is told)."""

    name: str = ""
    session: str = ""
    flaw: Flaw | None = None


class _Claims(NamedTuple):
    token: Token
    begins: float
    ends: float


class Tokens:
    """Checks the tokens of records; false when no issuer is declared."""

    def __init__(self, issuers: Iterable[TokenIssuer]) -> None:
        declared = {one.issuer: one for one in issuers}
        self._fields = [(one.sources, tuple(field.split("."))) for one in declared.values() for field in one.fields]
        self._signatures = import_module(SIGNATURE).Signatures(declared) if declared else None
        self._verified = lru_cache(CACHED)(self._verify)

    def __bool__(self) -> bool:
        return self._signatures is not None

    def of(self, source: str, record: Mapping[str, Any], time: int) -> Token | None:
        """The token of a record, checked as of the event's time (microseconds); None where it carries none."""
        for sources, path in self._fields:
            if (not sources or source in sources) and (text := _text_at(record, path)):
                return self._check(text, time)
        return None

    def _check(self, text: str, time: int) -> Token:
        claims = self._verified(text)
        if claims is None:
            return Token(flaw="token_forged")
        good = claims.begins - LEEWAY <= time / MICROSECONDS <= claims.ends + LEEWAY
        return claims.token if good else Token(flaw="token_expired")

    def _verify(self, text: str) -> _Claims | None:
        found = self._signatures.claims(text) if self._signatures else None
        if found is None:
            return None
        issuer, claims = found
        token = Token(_named(claims, issuer.claim), _named(claims, "sid", "jti"))
        try:
            return _Claims(token, float(claims.get("nbf", claims.get("iat", 0))), float(claims["exp"]))
        except (TypeError, ValueError, OverflowError):
            return None


def _named(claims: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := claims.get(name), str) and value), "")


def _text_at(record: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The token at a path, with or without "Bearer " before it; "" where there is none."""
    found: Any = record
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, str) or len(found) > LONGEST:
        return ""
    text = (found[7:] if found[:7].lower() == "bearer " else found).strip()
    return text if text.count(".") == 2 and text.startswith("ey") else ""
