"""The notifier for a program: each alert and each change of it is one signed POST of JSON.

The receiver checks `Auditwatch-Signature` with `signed_by` (or its own HMAC-SHA256 over "<seconds>.<body>") and takes
an `Idempotency-Key` once: after a broken connection or a crash the same one comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from alerting.alert import Alert, to_line
from alerting.case import Case, standing
from alerting.notice import is_notice
from alerting.notifier import Permanent, Receipt, Retry
from alerting.plain import plain
from alerting.webhook_sign import LOCAL, header_of, wrong
from audit.event import rfc3339
from audit.finding import Version

TIMEOUT = 10.0
"""Seconds for one call."""
LONGEST_WAIT = 3600.0
"""Seconds of a Retry-After at most."""

_AGAIN = {408, 421, 423, 425, 429, 500, 502, 503, 504}
_MEND = {
    401: "check AUDITWATCH_WEBHOOK_SECRET on both sides",
    403: "check AUDITWATCH_WEBHOOK_SECRET on both sides",
    404: "check AUDITWATCH_WEBHOOK_URL",
    410: "check AUDITWATCH_WEBHOOK_URL",
}


class WebhookNotifier:
    """Posts alerts to one URL; `clock` gives microseconds since the epoch, for the signature.

    Raises:
        ValueError: a URL that is neither https:// nor on this machine, or a secret that is too short.
    """

    pace = edit_pace = post_pace = 0.0
    fallback = "webhook"

    def __init__(self, url: str, secret: str, clock: Callable[[], int]) -> None:
        if complaint := wrong(url, secret):
            raise ValueError(complaint)
        self._url, self._secret, self._clock = url, secret, clock
        self._host = urlsplit(url).hostname
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"WebhookNotifier({self._host!r})"

    def channel(self, alert: Alert) -> str:
        """Always the one; routes may name others, and the receiver reads which."""
        return self.fallback

    async def close(self) -> None:
        """Closes the shared connection."""
        if self._session is not None:
            await self._session.close()

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """None: nobody is asked, since the receiver knows by its key what comes again."""
        return {}

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        """Posts this revision; where it is too large for the receiver, without its findings and evidence.

        Raises:
            Retry: an outage, or the receiver says later (after = its Retry-After).
            Permanent: the receiver refuses it; the message says what to mend.
        """
        alert, key = standing(alert, case), key_of(alert, case)
        status = await self._post(key, body_of(alert, channel, previous, case))
        if status == 413:
            status = await self._post(key, body_of(_brief(alert), channel, previous, case))
        if status == 413:
            raise Permanent(f"{self._host} answered 413: it takes no alert, however short")
        return Receipt(alert.revision, alert.severity, channel, key)

    async def _post(self, key: str, body: bytes) -> int:
        """The status, where it says taken or too large."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "Auditwatch-Signature": header_of(self._secret, body, self._clock()),
        }
        try:
            request = self._open().post(self._url, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                return _judged(response.status, response.headers, await response.content.read(400), self._host)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise Permanent(f"{self._host} cannot be trusted ({type(error).__name__}): mend its certificate") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"{self._host} cannot be reached: {type(error).__name__}") from None

    def _open(self) -> aiohttp.ClientSession:
        """One session for all calls, opened where the event loop runs."""
        if self._session is None or self._session.closed:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=self._host not in LOCAL)
        return self._session


def key_of(alert: Alert, case: Case | None = None) -> str:
    """What one delivery is known by: the alert's id and revision and, once somebody took a step, the case's version."""
    step = f":{case.version}" if case and case.version else ""
    return f"{quote(alert.id, safe=':')}:{alert.revision}{step}"


def body_of(alert: Alert, channel: str, previous: Receipt | None, case: Case | None) -> bytes:
    """The JSON posted: `kind` is alert or notice (digest, escalation); `first`: nothing of this id was posted yet."""
    body: dict[str, Any] = {
        "kind": "notice" if is_notice(alert) else "alert",
        "first": previous is None,
        "channel": channel,
        "alert": msgspec.Raw(to_line(alert)),
        "case": _case_line(case) if case else None,
    }
    return msgspec.json.encode(body)


def _brief(alert: Alert) -> Alert:
    """The alert in a few kilobytes: without its findings and evidence, its texts cut."""
    names = ("principal", "entity", "title", "summary", "key")
    texts = {name: plain(getattr(alert, name), 300) for name in names}
    version = Version(*(plain(one, 80) for one in msgspec.structs.astuple(alert.version)))
    reasons = tuple(plain(reason, 300) for reason in alert.reasons[:10])
    nothing: dict[str, Any] = dict.fromkeys(("findings", "evidence", "measures", "event_ids", "attack"), ())
    resolution = plain(alert.resolution, 80) if alert.resolution else None
    return msgspec.structs.replace(alert, **texts, **nothing, reasons=reasons, version=version, resolution=resolution)


def _case_line(case: Case) -> dict[str, Any]:
    line = {name: getattr(case, name) for name in ("status", "resolution", "version", "assignee", "actor", "note")}
    return line | {"at": rfc3339(case.at) if case.at else None}


def _judged(status: int, headers: Any, said: bytes, host: str | None) -> int:
    if 200 <= status < 300 or status == 413:
        return status
    if status in _AGAIN:
        raise Retry(f"{host} answered {status}", after=_retry_after(headers))
    answer = plain(said.decode("utf-8", "replace"), 120)
    mend = _MEND.get(status, "it is redirected: set the new URL" if 300 <= status < 400 else "see what it says")
    raise Permanent(f"{host} answered {status} ({answer}): {mend}")


def _retry_after(headers: Any) -> float:
    """Seconds the receiver asks for; 0 where it does not, or in a form other than seconds."""
    try:
        return min(max(0.0, float(headers.get("Retry-After", 0))), LONGEST_WAIT)
    except ValueError:
        return 0.0
