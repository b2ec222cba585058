"""The notifier for Slack: an alert rendered as blocks, posted once and then kept up to date."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from alerting.alert import Alert
from alerting.ask_message import render_ask
from alerting.ask_notice import is_ask
from alerting.case import Case
from alerting.doubts import Partly
from alerting.interaction import Click
from alerting.notice import is_notice
from alerting.notifier import Gone, Permanent, Receipt, Retry, WrongChannel
from alerting.slack_errors import BLOCKS_REFUSED, CHANNEL_REFUSED, MESSAGE_GONE, METADATA_REFUSED, Refused, judge
from alerting.slack_found import FAR, STEP_TYPE, payload_of, posted_at, shown_by
from alerting.slack_message import Message, render, safe, without_blocks
from alerting.slack_notice import render_notice
from alerting.thread import Reply
from audit.event import MICROSECONDS

BASE_URL = "https://slack.com/api/"
TIMEOUT = 10.0
"""Seconds for one call; Slack usually answers in 0.2."""
HISTORY_PAGE, MOST_PAGES = 200, 45
"""Slack's advice for one answer; just below the 50 calls a minute it lets one read with."""
CLOCKS_APART = 120.0
"""Seconds Slack's clock may be behind ours when messages are looked for."""

_CHANNEL_ID, _USER_ID = re.compile(r"[CDG][A-Z0-9]+"), re.compile(r"[UW][A-Z0-9]+")
_LONGEST_REPLY = 3000
_QUIET = {"unfurl_links": False, "unfurl_media": False, "parse": "none", "link_names": False}


class Cut(Permanent):
    """There is more than MOST_PAGES pages hold."""


class SlackNotifier:
    """Posts alerts to Slack channels and edits its own messages. Never raises anything but Retry and Permanent.

    Without `buttons` messages have none: where nobody listens to clicks, they would be dead.

    Everything about retrying is the dispatcher's: the SDK's own handlers post twice after a reset. The token is in the
    client's hands only and never in a message, an error or a log line.
    """

    pace = 1.0
    edit_pace = 1.3  # chat.update: 50 a minute over all channels
    post_pace = 0.2  # "several hundred" a minute over all channels

    def __init__(self, token: str, channel: str, base_url: str = BASE_URL, buttons: bool = True) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError(f"AUDITWATCH_SLACK_BASE_URL must begin with https://, not {base_url!r}")
        self._client = AsyncWebClient(token=token, base_url=base_url, retry_handlers=[])
        self._client.proxy = None  # the SDK ignores NO_PROXY; aiohttp's session (trust_env) does not
        self._channel = channel
        self._buttons = buttons
        self._ids: dict[str, str] = {}
        self._us: dict[str, Any] = {}
        self._looking = asyncio.Lock()

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

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        """Edits the message `previous` stands for, or posts a new one; blocks Slack refuses are sent as text.

        Raises:
            Retry: 429 (after = Retry-After), or an outage; unsure when a post may have arrived all the same.
            Gone: the message was deleted.
            WrongChannel, Permanent: token, channel or scope are wrong; the message says what to mend.
        """
        message = _message(alert, case)
        if not self._buttons:
            message = msgspec.structs.replace(
                message, blocks=[one for one in message.blocks if one["type"] != "actions"]
            )
        if previous is None:
            try:
                return await self._send(alert, message, {"channel": channel})
            except Refused as refused:
                if refused.code in CHANNEL_REFUSED:
                    raise WrongChannel(str(refused)) from None
                raise
        try:
            return await self._send(alert, message, {"channel": previous.channel, "ts": previous.message_id})
        except Refused as refused:
            if refused.code in MESSAGE_GONE:
                raise Gone(refused.code) from None
            raise

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """Looks for alerts' messages by their metadata, newest first; of an alert with several the oldest counts.

        Partly where there are more messages than it reads. One look at a time, so that each has a minute's calls.

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
        found, last = Partly(), FAR
        async with self._looking:
            try:
                async for message in self._pages("conversations.history", "messages", where):
                    last = posted_at(message)
                    shown = shown_by(message, str(where["channel"]))
                    if shown and shown[0] in alert_ids and await self._ours(message):
                        found[shown[0]] = shown[1]
            except Cut:
                found.back_to = round((last + CLOCKS_APART) * MICROSECONDS)
        return found

    async def reply(self, receipt: Receipt, reply: Reply) -> None:
        """Posts text into the thread of a message; nothing in it can ping, link or format.

        Raises:
            Retry, Permanent: as deliver.
        """
        text = "\n".join(safe(line, _LONGEST_REPLY) for line in reply.text.splitlines()[:50])[:_LONGEST_REPLY]
        payload = {"alert_id": reply.alert_id, "version": reply.version}
        body = {"metadata": {"event_type": STEP_TYPE, "event_payload": payload}, "reply_broadcast": reply.loud}
        body |= {"channel": receipt.channel, "thread_ts": receipt.message_id, "text": text, "mrkdwn": False}
        await self._ask("chat.postMessage", body | _QUIET, posting=True)

    async def replied(self, receipt: Receipt, alert_id: str) -> Collection[int]:
        """The versions of the case that replies in the thread of a message lead up to.

        Raises:
            Retry, Permanent: as find.
        """
        where = {"channel": receipt.channel, "ts": receipt.message_id, "include_all_metadata": True}
        found: list[int] = []
        async for message in self._pages("conversations.replies", "messages", where | {"limit": HISTORY_PAGE}):
            payload = payload_of(message, STEP_TYPE)
            if (
                payload.get("alert_id") == alert_id
                and type(payload.get("version")) is int
                and await self._ours(message)
            ):
                found.append(payload["version"])
        return found

    async def attach(self, receipt: Receipt, name: str, content: bytes) -> None:
        """Puts a file into the thread of a message.

        Raises:
            Retry, Permanent: as deliver; unsure: it may be there.
        """
        opened = await self._ask("files.getUploadURLExternal", params={"filename": name, "length": len(content)})
        address, file = str(opened.get("upload_url")), {"id": str(opened.get("file_id")), "title": name}
        host = urlsplit(address).hostname or ""
        if host != urlsplit(self._client.base_url).hostname and not host.endswith(".slack.com"):
            raise Retry("Slack's answer cannot be read")
        await self._upload(address, content)
        body = {"files": [file], "channel_id": receipt.channel, "thread_ts": receipt.message_id}
        await self._ask("files.completeUploadExternal", body, posting=True)

    async def _upload(self, address: str, content: bytes) -> None:
        assert self._client.session
        try:
            async with self._client.session.post(address, data=content, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Retry(f"Slack answered {answer.status} to a file")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"the connection to Slack broke: {type(error).__name__}") from None

    async def whisper(self, click: Click, text: str) -> None:
        """Tells only the one who clicked, where the click was.

        Raises:
            Retry, Permanent: as deliver.
        """
        body = {"channel": click.channel or click.user, "user": click.user, "text": safe(text, _LONGEST_REPLY)}
        await self._ask("chat.postEphemeral", body | {"parse": "none", "link_names": False})

    async def dialog(self, trigger: str, view: dict[str, Any]) -> None:
        """Opens a dialog for whoever clicked less than 3 s ago.

        Raises:
            Retry, Permanent: as deliver.
        """
        await self._ask("views.open", {"trigger_id": trigger, "view": view})

    async def team(self) -> str:
        """The id of our workspace.

        Raises:
            Retry: Slack is out of reach.
            Permanent: the token is refused; the message says what to mend.
        """
        return str((await self._me()).get("team_id") or "")

    async def _ours(self, message: dict[str, Any]) -> bool:
        """Whether our bot wrote it: anybody may post a message that says it shows an alert."""
        return message.get("bot_id") in (None, (await self._me()).get("bot_id") or None)

    async def _me(self) -> dict[str, Any]:
        self._us = self._us or await self._ask("auth.test", params={})
        return self._us

    async def _id_of(self, channel: str) -> str:
        """Reading a channel takes its id; posting to it also takes its name, or the id of a user."""
        if channel in self._ids or _CHANNEL_ID.fullmatch(channel):
            return self._ids.get(channel, channel)
        if _USER_ID.fullmatch(channel):
            opened = (await self._ask("conversations.open", {"users": channel})).get("channel")
            self._ids[channel] = str(opened.get("id") if isinstance(opened, dict) else channel)
            return self._ids[channel]
        with suppress(Cut):
            async for known in self._pages("conversations.list", "channels", {"limit": HISTORY_PAGE}):
                self._ids[f"#{known.get('name')}"] = self._ids[str(known.get("name"))] = str(known.get("id"))
        if channel not in self._ids:
            raise Refused("channel_not_found")
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
        raise Cut(f"{method} has more than {MOST_PAGES} pages of {HISTORY_PAGE}")

    async def _send(self, alert: Alert, message: Message, place: dict[str, str]) -> Receipt:
        """The message, or what is left of it once all that Slack refuses is taken out."""
        while True:
            try:
                channel, ts = await self._call(place, message)
                break
            except Refused as refused:
                message = _cut(message, refused)
        self._ids[place["channel"]] = channel
        return Receipt(alert.revision, alert.severity, channel, ts)

    async def _call(self, place: dict[str, str], message: Message) -> tuple[str, str]:
        """chat.update where `place` has a ts, else chat.postMessage; the channel and ts of the message."""
        posting = "ts" not in place
        body: dict[str, Any] = {**place, **msgspec.structs.asdict(message), "parse": "none", "link_names": False}
        if not message.metadata:
            del body["metadata"]
        if posting:
            body |= {"mrkdwn": False} | _QUIET
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
            raise judge(error.response, posting) from None
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


def _message(alert: Alert, case: Case | None) -> Message:
    if is_ask(alert):
        return render_ask(alert)
    return render_notice(alert) if is_notice(alert) else render(alert, case)


def _cut(message: Message, refused: Refused) -> Message:
    """The message without what was refused; raises the refusal where that is out already."""
    if refused.code in METADATA_REFUSED and message.metadata:
        return msgspec.structs.replace(message, metadata={})
    if refused.code in BLOCKS_REFUSED and message.blocks:
        return without_blocks(message)
    raise refused
