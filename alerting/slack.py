"""The notifier for Slack: an alert rendered as blocks, posted once and then kept up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from alerting.advice import what_to_do
from alerting.alert import Alert
from alerting.notifier import Permanent, Receipt, Retry
from alerting.plain import plain
from alerting.route import Route, channel_of
from audit.event import rfc3339
from audit.finding import Severity

BASE_URL = "https://slack.com/api/"
TIMEOUT = 10.0
"""Seconds for one call; Slack usually answers in 0.2."""

_SIGN: dict[Severity, str] = {"low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"http(s?)://", re.IGNORECASE)
_HEADER, _TEXT, _FIELD, _LINE = 150, 300, 300, 300  # Slack allows 150, 4000, 2000, 3000 for a whole section
_LINES = 8

_BLOCKS_REFUSED = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"}
_MESSAGE_GONE = {"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"}
_UNSURE = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_MEND = {
    "not_in_channel": "invite the app to the channel (/invite @auditwatch)",
    "channel_not_found": "set AUDITWATCH_SLACK_CHANNEL to a channel the app can see",
    "is_archived": "unarchive the channel or set AUDITWATCH_SLACK_CHANNEL to another",
    "missing_scope": "give the app the scope chat:write and install it again",
}
_TOKEN_REFUSED = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}


class Message(msgspec.Struct, frozen=True):
    """What Slack gets: `text` for notifications and as a fallback, `blocks`, and metadata to find it again."""

    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]


def safe(text: str, limit: int) -> str:
    """Log text for Slack: plain, escaped, links broken, at most `limit` UTF-16 units after escaping."""
    text = _LINK.sub(r"hxxp\1://", plain(text, limit)) or "-"
    pieces: list[str] = []
    room = limit
    for char in text:
        piece = _ENTITIES.get(char, char)
        room -= len(piece.encode("utf-16-le")) // 2
        if room < 1:
            return "".join(pieces) + "…"
        pieces.append(piece)
    return "".join(pieces)


def render(alert: Alert) -> Message:
    """The alert as at most 8 blocks: verdict, who and what, why, what to do, detections, fine print.

    Always within Slack's limits; nothing from the log can ping, link or format. Log text is in plain text objects or
    in code spans, which Slack does not interpret.
    """
    sign = "✅" if alert.status == "resolved" else _SIGN[alert.severity]
    verdict = f"{sign} {alert.severity.capitalize()}: "
    title = safe(alert.title, _HEADER - len(verdict) - 1)
    who = safe(alert.principal or alert.entity, 80)
    blocks = [
        {"type": "header", "text": _plain_text(verdict + title)},
        _section(safe(alert.summary or alert.title, 600)),
        {"type": "section", "fields": _fields(alert)},
        _section(_list("Why this alert", alert.reasons or (alert.title,))),
        _section(_list("What to do", what_to_do(alert))),
        _section(_list("Detections", map(_detection, alert.findings))) if alert.findings else None,
        {
            "type": "context",
            "elements": [_plain_text(part) for part in (_fine_print(alert), _hidden_authors(alert)) if part],
        },
    ]
    return Message(
        text=f"{verdict}{safe(alert.title, _TEXT // 3)} ({who}, risk {alert.risk})",
        blocks=[block for block in blocks if block],
        metadata={
            "event_type": "auditwatch_alert",
            "event_payload": {"alert_id": alert.id, "revision": alert.revision, "severity": alert.severity},
        },
    )


def _without_blocks(message: Message) -> Message:
    """What is left when Slack refuses the blocks: their text. 900 characters stay under chat.update's 4,000 bytes."""
    texts = [block["text"]["text"] for block in message.blocks if block["type"] == "section" and "text" in block]
    return Message("\n".join([message.text, *texts])[:900], [], message.metadata)


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain_text(text)}


def _fields(alert: Alert) -> list[dict[str, Any]]:
    since = min((finding.time for finding in alert.findings), default=alert.time)
    state = f"{alert.status} ({alert.resolution})" if alert.resolution else alert.status
    rows = {
        "Who": alert.principal or "-",
        "Where": alert.entity,
        "Risk": f"{alert.risk} of 100",
        "Findings": f"{alert.count}, events {len(alert.event_ids)}",
        "Since": rfc3339(since),
        "State": state,
    }
    return [
        {"type": "mrkdwn", "text": f"*{label}*\n`{_code(value)}`", "verbatim": True} for label, value in rows.items()
    ]


def _code(text: str) -> str:
    return safe(text.replace("`", "'"), _FIELD)


def _list(label: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return "\n".join([label, *(f"• {safe(line, _LINE)}" for line in lines[:_LINES]), *more])


def _detection(finding: Any) -> str:
    author = f", rule by {plain(finding.author, 80)}" if finding.author else ""
    return f"{plain(finding.title, 120)} ({finding.severity}, risk {finding.risk}){author}"


def _hidden_authors(alert: Alert) -> str:
    """The authors of the detections that the list leaves out: their licence asks that they are named."""
    shown = {finding.author for finding in alert.findings[:_LINES]}
    hidden = dict.fromkeys(plain(one.author, 80) for one in alert.findings[_LINES:] if one.author not in shown)
    return safe(f"more rules by {', '.join(filter(None, hidden))}", 1000) if any(hidden) else ""


def _fine_print(alert: Alert) -> str:
    attack = f"ATT&CK {', '.join(alert.attack)} · " if alert.attack else ""
    version = msgspec.structs.asdict(alert.version)
    made = ", ".join(f"{part} {hashed[:12] or '-'}" for part, hashed in version.items())
    return safe(f"{attack}alert {alert.id} revision {alert.revision} · {made}", 600)


class SlackNotifier:
    """Posts alerts to Slack channels and edits its own messages. Never raises anything but Retry and Permanent.

    Everything about retrying is the dispatcher's: the SDK's own handlers post twice after a reset. The token is in the
    client's hands only and never in a message, an error or a log line.
    """

    pace = 1.0

    def __init__(self, token: str, channel: str, base_url: str = BASE_URL, routes: Sequence[Route] = ()) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError(f"AUDITWATCH_SLACK_BASE_URL must begin with https://, not {base_url!r}")
        self._client = AsyncWebClient(token=token, base_url=base_url, retry_handlers=[])
        self._client.proxy = None  # the SDK ignores NO_PROXY; aiohttp's session (trust_env) does not
        self._channel = channel
        self._routes = tuple(routes)

    def __repr__(self) -> str:
        return f"SlackNotifier(channel={self._channel!r}, base_url={self._client.base_url!r})"

    def channel(self, alert: Alert) -> str:
        """The channel of the alert's route."""
        return channel_of(alert, self._routes, self._channel)

    async def close(self) -> None:
        """Closes the shared connection."""
        if self._client.session is not None:
            await self._client.session.close()

    async def deliver(self, alert: Alert, previous: Receipt | None) -> Receipt:
        """Edits the message `previous` stands for, or posts a new one; blocks Slack refuses are sent as text.

        Raises:
            Retry: 429 (after = Retry-After), or an outage; unsure when a post may have arrived all the same.
            Permanent: token, channel or scope are wrong; the message says what to mend.
        """
        message = render(alert)
        if previous is not None:
            try:
                return await self._send(alert, message, {"channel": previous.channel, "ts": previous.message_id})
            except _Refused as refused:
                if refused.code not in _MESSAGE_GONE:
                    raise
        return await self._send(alert, message, {"channel": self.channel(alert)})

    async def _send(self, alert: Alert, message: Message, place: dict[str, str]) -> Receipt:
        try:
            channel, ts = await self._call(place, message)
        except _Refused as refused:
            if refused.code not in _BLOCKS_REFUSED:
                raise
            channel, ts = await self._call(place, _without_blocks(message))
        return Receipt(alert.revision, alert.severity, channel, ts)

    async def whoami(self) -> str:
        """Whose token this is, "BOT in TEAM"; posts nothing.

        Raises:
            Retry: Slack is out of reach.
            Permanent: the token is refused; the message says what to mend.
        """
        answer = await self._ask("auth.test", {}, posting=False)
        return f"{plain(str(answer.get('user')), 80)} in {plain(str(answer.get('team')), 80)}"

    async def _call(self, place: dict[str, str], message: Message) -> tuple[str, str]:
        """chat.update where `place` has a ts, else chat.postMessage; the channel and ts of the message."""
        posting = "ts" not in place
        body: dict[str, Any] = {**place, **msgspec.structs.asdict(message), "parse": "none", "link_names": False}
        if posting:
            body |= {"unfurl_links": False, "unfurl_media": False, "mrkdwn": False}
        answer = await self._ask("chat.postMessage" if posting else "chat.update", body, posting)
        if not answer.get("channel") or not answer.get("ts"):
            raise Retry("Slack's answer cannot be read", unsure=posting)
        return str(answer["channel"]), str(answer["ts"])

    async def _ask(self, method: str, body: dict[str, Any], posting: bool) -> dict[str, Any]:
        """Slack's answer to one call; `posting`: a broken connection leaves open whether people saw it."""
        try:
            self._open()
            response = await self._client.api_call(method, json=body)
            if not isinstance(response.data, dict):
                raise Retry("Slack's answer cannot be read", unsure=posting)
            return response.data
        except SlackApiError as error:
            raise _judge(error.response, posting) from None
        except aiohttp.ClientConnectorError as error:
            raise Retry(f"Slack cannot be reached: {error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"the connection to Slack broke: {type(error).__name__} {error}", unsure=posting) from None
        except (AttributeError, KeyError, TypeError, ValueError):  # the SDK on an answer that is not Slack's JSON
            raise Retry("Slack's answer cannot be read", unsure=posting) from None

    def _open(self) -> None:
        """One session for all calls, opened where the event loop runs."""
        if self._client.session is None or self._client.session.closed:
            local = urlsplit(self._client.base_url).hostname in ("127.0.0.1", "localhost", "::1")
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._client.session = aiohttp.ClientSession(timeout=timeout, trust_env=not local)


class _Refused(Permanent):
    """Slack said no, with a code of its own."""

    def __init__(self, code: str) -> None:
        token = "set SLACK_BOT_TOKEN to a valid bot token (xoxb-...)" if code in _TOKEN_REFUSED else ""
        super().__init__(f"Slack refused: {code}; {token or _MEND.get(code, 'see docs.slack.dev/reference/methods')}")
        self.code = code


def _judge(response: Any, posting: bool) -> Retry | _Refused:
    """What an answer without ok means. `response` is the SDK's, or aiohttp's where the body was not JSON."""
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Retry("Slack's rate limit", after=_retry_after(response.headers))
    if status >= 500 or (status in (200, 408) and (code is None or code in _UNSURE)):
        return Retry(f"Slack answered {code or status}", unsure=posting)
    return _Refused(str(code or f"HTTP {status}"))


def _retry_after(headers: Any) -> float:
    """Seconds; 30 where the header is missing or none, never more than an hour."""
    try:
        return min(max(1.0, float(headers.get("Retry-After", 30))), 3600.0)
    except ValueError:
        return 30.0
