"""The notifier for Slack: an alert rendered as blocks, posted once and then kept up to date."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from alerting.alert import Alert
from alerting.notice import is_notice
from alerting.notifier import Gone, Permanent, Receipt, Retry, WrongChannel
from alerting.plain import plain
from alerting.slack_message import EVENT_TYPE, Message, render, without_blocks
from alerting.slack_notice import render_notice
from audit.event import MICROSECONDS
from audit.finding import SEVERITIES

BASE_URL = "https://slack.com/api/"
TIMEOUT = 10.0
"""Seconds for one call; Slack usually answers in 0.2."""
HISTORY_PAGE, MOST_PAGES = 200, 25
CLOCKS_APART = 120.0
"""Seconds Slack's clock may be behind ours when messages are looked for."""

_CHANNEL_ID, _USER_ID = re.compile(r"[CDG][A-Z0-9]+"), re.compile(r"[UW][A-Z0-9]+")
_BLOCKS_REFUSED = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"}
_CHANNEL_REFUSED = {
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
    "posting_to_general_channel_denied",
}
_MESSAGE_GONE = {"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"}
_UNSURE = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_MEND = {
    "not_in_channel": "invite the app to the channel (/invite @auditwatch)",
    "channel_not_found": "set AUDITWATCH_SLACK_CHANNEL to a channel the app can see",
    "is_archived": "unarchive the channel or set AUDITWATCH_SLACK_CHANNEL to another",
    "missing_scope": "give the app the scopes chat:write, channels:history and channels:read and install it again",
}
_TOKEN_REFUSED = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}


class SlackNotifier:
    """Posts alerts to Slack channels and edits its own messages. Never raises anything but Retry and Permanent.

    Everything about retrying is the dispatcher's: the SDK's own handlers post twice after a reset. The token is in the
    client's hands only and never in a message, an error or a log line.
    """

    pace = 1.0

    def __init__(self, token: str, channel: str, base_url: str = BASE_URL) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError(f"AUDITWATCH_SLACK_BASE_URL must begin with https://, not {base_url!r}")
        self._client = AsyncWebClient(token=token, base_url=base_url, retry_handlers=[])
        self._client.proxy = None  # the SDK ignores NO_PROXY; aiohttp's session (trust_env) does not
        self._channel = channel
        self._ids: dict[str, str] = {}
        self._bot: str | None = None

    def __repr__(self) -> str:
        return f"SlackNotifier(channel={self._channel!r}, base_url={self._client.base_url!r})"

    @property
    def fallback(self) -> str:
        """The channel that is set for everything without a route."""
        return self._channel

    def channel(self, alert: Alert) -> str:
        """The channel that is set: routes are the dispatcher's."""
        return self._channel

    async def close(self) -> None:
        """Closes the shared connection."""
        if self._client.session is not None:
            await self._client.session.close()

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
        """Edits the message `previous` stands for, or posts a new one; blocks Slack refuses are sent as text.

        Raises:
            Retry: 429 (after = Retry-After), or an outage; unsure when a post may have arrived all the same.
            Gone: the message was deleted.
            WrongChannel, Permanent: token, channel or scope are wrong; the message says what to mend.
        """
        message = render_notice(alert) if is_notice(alert) else render(alert)
        if previous is None:
            try:
                return await self._send(alert, message, {"channel": channel})
            except _Refused as refused:
                if refused.code in _CHANNEL_REFUSED:
                    raise WrongChannel(str(refused)) from None
                raise
        try:
            return await self._send(alert, message, {"channel": previous.channel, "ts": previous.message_id})
        except _Refused as refused:
            if refused.code in _MESSAGE_GONE:
                raise Gone(refused.code) from None
            raise

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """Looks for alerts' messages by their metadata, newest first; of an alert with several the oldest counts.

        Raises:
            Retry: Slack is out of reach or limits the rate.
            Permanent: the history cannot be read.
        """
        where = {
            "channel": await self._id_of(channel),
            "oldest": f"{since / MICROSECONDS - CLOCKS_APART:.6f}",
            "include_all_metadata": True,
            "limit": HISTORY_PAGE,
        }
        found: dict[str, Receipt] = {}
        async for message in self._pages("conversations.history", "messages", where):
            shown = _receipt_of(message, str(where["channel"]))
            if shown and shown[0] in alert_ids and message.get("bot_id") in (None, await self._bot_id()):
                found[shown[0]] = shown[1]
        return found

    async def _bot_id(self) -> str | None:
        """Which bot we are: anybody may post a message that says it shows an alert."""
        if self._bot is None:
            self._bot = str((await self._ask("auth.test", params={})).get("bot_id") or "")
        return self._bot or None

    async def _id_of(self, channel: str) -> str:
        """Reading a channel takes its id; posting to it also takes its name, or the id of a user."""
        if channel in self._ids or _CHANNEL_ID.fullmatch(channel):
            return self._ids.get(channel, channel)
        if _USER_ID.fullmatch(channel):
            opened = (await self._ask("conversations.open", {"users": channel})).get("channel")
            self._ids[channel] = str(opened.get("id") if isinstance(opened, dict) else channel)
            return self._ids[channel]
        async for known in self._pages("conversations.list", "channels", {"limit": HISTORY_PAGE}):
            self._ids[f"#{known.get('name')}"] = self._ids[str(known.get("name"))] = str(known.get("id"))
        if channel not in self._ids:
            raise _Refused("channel_not_found")
        return self._ids[channel]

    async def _pages(self, method: str, items: str, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        for _ in range(MOST_PAGES):
            answer = await self._ask(method, params=query | ({"cursor": cursor} if cursor else {}))
            for item in answer.get(items) or ():
                if isinstance(item, dict):
                    yield item
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return

    async def _send(self, alert: Alert, message: Message, place: dict[str, str]) -> Receipt:
        try:
            channel, ts = await self._call(place, message)
        except _Refused as refused:
            if refused.code not in _BLOCKS_REFUSED:
                raise
            channel, ts = await self._call(place, without_blocks(message))
        self._ids[place["channel"]] = channel
        return Receipt(alert.revision, alert.severity, channel, ts)

    async def whoami(self) -> str:
        """Whose token this is, "BOT in TEAM"; posts nothing.

        Raises:
            Retry: Slack is out of reach.
            Permanent: the token is refused; the message says what to mend.
        """
        answer = await self._ask("auth.test", params={})
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

    async def _ask(
        self,
        method: str,
        body: dict[str, Any] | None = None,
        posting: bool = False,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Slack's answer to one call; `posting`: a broken connection leaves open whether people saw it.

        What only reads takes `params`: Slack ignores a body there.
        """
        try:
            self._open()
            verb = "GET" if params is not None else "POST"
            response = await self._client.api_call(method, http_verb=verb, json=body, params=params)
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


def _receipt_of(message: dict[str, Any], channel: str) -> tuple[str, Receipt] | None:
    """The alert a message shows, and what stands for it; None where it shows none of ours."""
    metadata = message.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    if metadata is None or not isinstance(payload, dict) or metadata.get("event_type") != EVENT_TYPE:
        return None
    revision, severity, ts = payload.get("revision"), payload.get("severity"), message.get("ts")
    if not (type(revision) is int and severity in SEVERITIES and ts):
        return None
    return str(payload.get("alert_id")), Receipt(revision, severity, channel, str(ts))


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
