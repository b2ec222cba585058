"""The signature of a webhook: who sent it, and when. `Auditwatch-Signature: t=<seconds>,v1=<HMAC-SHA256 in hex>`."""

from __future__ import annotations

import hmac
from hashlib import sha256
from urllib.parse import urlsplit

from audit.event import MICROSECONDS

TOLERANCE = 300
"""Seconds a signature may be old, or ahead."""
SHORTEST_SECRET = 16
"""Characters: whoever reads one message can try out every shorter secret at home."""
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Hosts that are this machine."""


def header_of(secret: str, body: bytes, now: int) -> str:
    """The header for a body sent `now` (microseconds since the epoch)."""
    seconds = now // MICROSECONDS
    return f"t={seconds},v1={_signature(secret, seconds, body)}"


def signed_by(secret: str, header: str, body: bytes, now: int) -> bool:
    """Whether a body bears the signature of who knows the secret, made within TOLERANCE of `now` (microseconds)."""
    parts = dict(part.partition("=")[::2] for part in header.split(",")[:5])
    seconds, given = parts.get("t", ""), parts.get("v1", "")
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= 12 and given.isascii()):
        return False
    fresh = abs(int(seconds) - now // MICROSECONDS) <= TOLERANCE
    return hmac.compare_digest(_signature(secret, int(seconds), body), given) and fresh


def wrong(url: str, secret: str) -> str:
    """What is wrong with a URL and its secret, and what to do; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "the webhook's URL is none"
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL)):
        return "a webhook's URL begins with https:// (http:// only on this machine)"
    if len(secret) < SHORTEST_SECRET:
        return f"a webhook is signed: set AUDITWATCH_WEBHOOK_SECRET to {SHORTEST_SECRET} characters or more"
    return ""


def _signature(secret: str, seconds: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % seconds + body, sha256).hexdigest()
