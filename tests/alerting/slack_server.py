"""A Slack that misbehaves on command: real HTTP on a free loopback port, as strict about messages as the real one.

`plan` holds what the next calls meet, in order; after it every call is "ok":

    ok            accepted and answered
    429[:N]       refused with Retry-After N (default 1)
    500, 502      refused; 502 with a page of HTML
    500_done      accepted, yet answered with 500
    reset         the connection is reset, nothing is accepted
    reset_done    accepted, then the connection is reset
    slow_done     accepted, never answered
    garbage       200 with broken JSON
    plain         200 with text/plain
    CODE          {"ok": false, "error": CODE}
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

from tests.alerting.socket_server import SocketServer

TOKEN = "xoxb-a-token-for-tests"
BOT = "B0AUDIT"
TEAM = "T0TEAM"
LIMITS = {"header": 150, "section": 3000, "field": 2000, "context": 3000}
FIELDS = {
    "header": {"type", "text", "block_id"},
    "section": {"type", "text", "fields", "accessory", "block_id"},
    "context": {"type", "elements", "block_id"},
    "actions": {"type", "elements", "block_id"},
}
ELEMENTS = {
    "button": {"type", "action_id", "text", "value", "style", "url", "confirm", "accessibility_label"},
    "overflow": {"type", "action_id", "options", "confirm"},
}


@dataclass
class SlackServer:
    channels: dict[str, str] = field(default_factory=lambda: {"C1": "C1", "#security": "C1", "C2": "C2"})
    plan: deque[str] = field(default_factory=deque)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # (channel, ts) -> body
    files: dict[str, bytes] = field(default_factory=dict)  # id -> content
    shared: list[tuple[str, str, str]] = field(default_factory=list)  # (file's title, channel, thread)
    whispers: list[tuple[str, str]] = field(default_factory=list)  # (user, text)
    dialogs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (trigger, view)
    connections: set[tuple[str, int]] = field(default_factory=set)
    shown: dict[str, float] = field(default_factory=dict)  # alert id -> when it was shown first
    url: str = ""
    page: int = 5
    now: Callable[[], float] = lambda: 1769860800.0
    sockets: SocketServer | None = None  # its part for Socket Mode

    async def __aenter__(self) -> SlackServer:
        app = web.Application()
        if self.sockets:
            self.sockets.join(app)
        app.router.add_post("/api/{method}", self._handle)
        app.router.add_get("/api/{method}", self._handle)
        app.router.add_post("/upload/{id}", self._upload)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/api/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The messages that people see in channels."""
        return [message for message in self.messages.values() if "thread_ts" not in message]

    def thread(self, ts: str) -> list[str]:
        """What was said in a thread."""
        return [message["text"] for message in self.messages.values() if message.get("thread_ts") == ts]

    def step(self, reading: bool) -> str:
        """What the next call meets; the plan is for those that write."""
        return self.plan.popleft() if self.plan and not reading else "ok"

    def times(self, method: str) -> int:
        return sum(called == method for called, _ in self.calls)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        body = dict(request.query) if request.method == "GET" else await request.json()
        self.calls.append((method, body))
        assert request.transport
        self.connections.add(request.transport.get_extra_info("peername"))
        step = self.step(request.method == "GET")
        if step == "reset":
            return self._reset(request)
        if step.startswith("429"):
            after = step.partition(":")[2] or "1"
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": after})
        if step == "500":
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        if step == "502":
            return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")
        if step not in ("ok", "reset_done", "slow_done", "500_done", "garbage", "plain"):
            return web.json_response({"ok": False, "error": step})
        answer = self._accept(method, body, request.headers.get("Authorization", ""))
        if step == "reset_done":
            return self._reset(request)
        if step == "slow_done":
            await asyncio.sleep(30)
        if step == "500_done":
            return web.json_response({"ok": False, "error": "fatal_error"}, status=500)
        if step == "garbage":
            return web.Response(text='{"ok": tr', content_type="application/json")
        if step == "plain":
            return web.Response(text="ok")
        return web.json_response(answer)

    async def _upload(self, request: web.Request) -> web.Response:
        content = await request.read()
        if len(content) != len(self.files[request.match_info["id"]]):
            return web.Response(status=400)
        self.files[request.match_info["id"]] = content
        return web.Response(text="OK - 3")

    def _reset(self, request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    def _accept(self, method: str, body: dict[str, Any], authorization: str) -> dict[str, Any]:
        if authorization != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if method == "auth.test":
            us = {"user": "auditwatch", "team": "Example", "team_id": TEAM, "bot_id": BOT}
            return {"ok": True, "url": self.url, **us}
        if method == "conversations.list":
            known = [{"id": value, "name": name[1:]} for name, value in self.channels.items() if name.startswith("#")]
            return {"ok": True, "channels": known}
        if method == "conversations.open" and body["users"] in self.channels:
            return {"ok": True, "channel": {"id": self.channels[body["users"]]}}
        if method == "files.getUploadURLExternal":
            self.files[name := f"F{len(self.files)}"] = b"?" * int(body["length"])
            return {"ok": True, "upload_url": self.url.replace("/api/", f"/upload/{name}"), "file_id": name}
        if method == "views.open":
            self.dialogs.append((body["trigger_id"], body["view"]))
            return {"ok": True, "view": {"id": "V1"}}
        channel = self.channels.get(body.get("channel", body.get("channel_id", "")))
        if channel is None:
            return {"ok": False, "error": "channel_not_found"}
        if method == "conversations.history":
            return self._history(channel, body)
        if method == "conversations.replies":
            return self._replies(channel, body)
        if method == "files.completeUploadExternal":
            self.shared += [(one["title"], channel, body["thread_ts"]) for one in body["files"]]
            return {"ok": True, "files": body["files"]}
        if method == "chat.postEphemeral":
            self.whispers.append((body["user"], body["text"]))
            return {"ok": True, "message_ts": "1.1"}
        if "thread_ts" in body and (channel, body["thread_ts"]) not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        faults = complaints(body)
        if faults:
            return {"ok": False, "error": "invalid_blocks", "errors": faults}
        ts = body.get("ts") or f"{self.now():.0f}.{len(self.messages) + 1:06}"
        if method == "chat.update" and (channel, ts) not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        if method == "chat.update" and len(body["text"].encode()) > 4000:
            return {"ok": False, "error": "msg_too_long"}
        if "metadata" in body and "thread_ts" not in body:
            self.shown.setdefault(str(body["metadata"].get("event_payload", {}).get("alert_id")), self.now())
        self.messages[channel, ts] = {"bot_id": BOT, **body, "ts": ts}
        return {"ok": True, "channel": channel, "ts": ts, "message": {"text": body["text"]}}

    def _history(self, channel: str, body: dict[str, Any]) -> dict[str, Any]:
        """Newest first, `page` at a time, metadata only for who asks."""
        mine = [
            message
            for (place, ts), message in sorted(self.messages.items(), key=lambda item: item[0][1], reverse=True)
            if place == channel and float(ts) > float(body.get("oldest", 0))
            if "thread_ts" not in message or message.get("reply_broadcast")
        ]
        return self._paged(mine, body)

    def _replies(self, channel: str, body: dict[str, Any]) -> dict[str, Any]:
        """The message and its replies, oldest first."""
        if (channel, body["ts"]) not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        mine = [
            message
            for (place, ts), message in sorted(self.messages.items())
            if place == channel and body["ts"] in (ts, message.get("thread_ts"))
        ]
        return self._paged(mine, body)

    def _paged(self, mine: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("include_all_metadata"):
            mine = [{key: value for key, value in message.items() if key != "metadata"} for message in mine]
        start = int(body.get("cursor") or 0)
        more = str(start + self.page) if len(mine) > start + self.page else ""
        return {"ok": True, "messages": mine[start : start + self.page], "response_metadata": {"next_cursor": more}}


def complaints(body: dict[str, Any]) -> list[str]:
    """What Slack would refuse in a message: sizes, empty texts, properties it does not know."""
    blocks = body.get("blocks", [])
    faults = [] if len(blocks) <= 50 else ["more than 50 blocks"]
    texts: list[str] = []
    for number, block in enumerate(blocks):
        known = FIELDS.get(block["type"])
        if known is None or not set(block) <= known:
            faults.append(f"unknown type or property in /blocks/{number}")
        if block["type"] == "section" and "text" not in block and not block.get("fields"):
            faults.append(f"empty section /blocks/{number}")
        if block["type"] == "actions":
            faults += _action_complaints(block["elements"], f"/blocks/{number}")
            continue
        if len(block.get("fields", ())) > 10 or len(block.get("elements", ())) > 10:
            faults.append(f"too many parts in /blocks/{number}")
        parts = [(LIMITS[block["type"]], block["text"])] if "text" in block else []
        parts += [(LIMITS["field"], part) for part in block.get("fields", ())]
        parts += [(LIMITS["context"], part) for part in block.get("elements", ())]
        for limit, part in parts:
            texts.append(part["text"])
            faults += _text_complaints(part, limit, f"/blocks/{number}")
    if sum(len(text) + 60 for text in texts) > 13_300:
        faults.append("msg_blocks_too_long")
    if len(json.dumps(body.get("metadata", {}))) > 16_000:
        faults.append("metadata_too_large")
    return faults


def _action_complaints(elements: list[dict[str, Any]], place: str) -> list[str]:
    """What Slack would refuse in buttons and menus."""
    faults = [] if 1 <= len(elements) <= 25 else [f"must be 1 to 25 elements in {place}"]
    if len({one["action_id"] for one in elements}) < len(elements):
        faults.append(f"action_id is not unique in {place}")
    for one in elements:
        if one["type"] not in ELEMENTS or not set(one) <= ELEMENTS[one["type"]] or len(one["action_id"]) > 255:
            faults.append(f"unknown type, property or a long action_id in {place}")
        if one["type"] == "overflow" and not 1 <= len(one["options"]) <= 5:
            faults.append(f"must be 1 to 5 options in {place}")
        if one.get("style", "primary") not in ("primary", "danger") or len(one.get("value", "")) > 2000:
            faults.append(f"unknown style or a long value in {place}")
        faults += _text_complaints(one["text"], 75, place) if "text" in one else []
        for option in one.get("options", ()):
            faults += _text_complaints(option["text"], 75, place)
            faults += [f"a long value in {place}"] if not 1 <= len(option["value"]) <= 150 else []
    return faults


def _text_complaints(part: dict[str, Any], limit: int, place: str) -> list[str]:
    allowed = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}[part["type"]]
    faults = [] if set(part) <= allowed else [f"invalid additional property in {place}"]
    units = len(part["text"].encode("utf-16-le")) // 2
    return faults if 1 <= units <= limit else [*faults, f"must be 1 to {limit} characters, not {units} in {place}"]
