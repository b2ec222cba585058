"""Asking Slack about the app, over real HTTP: what is wrong is said with what to do, and no token shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from alerting.slack_app import ESSENTIAL, SCOPES, AppProblem, SlackApp

BOT = "xoxb-very-secret"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers every call as it is told."""

    def __init__(self) -> None:
        self.answer: Answer = self.fine
        self.calls: list[tuple[str, str, str]] = []

    async def fine(self, request: web.Request) -> web.StreamResponse:
        body = {"ok": True, "user": "auditwatch\u202e", "team": "Example"}
        return web.json_response(body, headers={"X-OAuth-Scopes": "chat:write, channels:read,"})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.method, request.path, request.headers.get("Authorization", "")))
        return await self.answer(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def app(server: Server) -> AsyncIterator[SlackApp]:
    web_app = web.Application()
    web_app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(web_app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with SlackApp(f"http://127.0.0.1:{runner.addresses[0][1]}/api") as app:
        yield app
    await runner.cleanup()


async def test_whose_token_and_what_it_may(server: Server, app: SlackApp) -> None:
    known = await app.identity(BOT)
    assert (known.user, known.team, known.scopes) == ("auditwatch", "Example", {"chat:write", "channels:read"})
    assert server.calls == [("GET", "/api/auth.test", f"Bearer {BOT}")]


async def test_channels_page_by_page(server: Server, app: SlackApp) -> None:
    async def pages(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("cursor") or 0)
        assert request.query["types"] == "public_channel,private_channel"
        cursor = str(at + 1) if at < 2 else ""
        channels = [{"id": f"C{at}", "name": f"name{at}"}]
        return web.json_response({"ok": True, "channels": channels, "response_metadata": {"next_cursor": cursor}})

    server.answer = pages
    assert await app.member_of(BOT) == {"C0", "C1", "C2", "#name0", "#name1", "#name2"}


async def test_a_cursor_without_end(server: Server, app: SlackApp) -> None:
    async def endless(_: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True, "channels": [], "response_metadata": {"next_cursor": "again"}})

    server.answer = endless
    assert await app.member_of(BOT) == set()
    assert len(server.calls) == 25


async def test_socket_mode_is_opened_with_a_post(server: Server, app: SlackApp) -> None:
    await app.can_listen("xapp-1")
    assert server.calls == [("POST", "/api/apps.connections.open", "Bearer xapp-1")]


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            lambda: web.json_response({"ok": False, "error": "invalid_auth"}),
            "invalid_auth; set the token to a valid one",
        ),
        (
            lambda: web.json_response({"ok": False, "error": "missing_scope", "needed": "channels:read"}),
            "missing_scope; add the scopes of slack-app.yml",
        ),
        (lambda: web.json_response({"ok": False, "error": "new_one", "needed": "x:y"}), "new_one (needs x:y)"),
        (lambda: web.json_response({"ok": "yes"}), "Slack refused: None"),
        (lambda: web.json_response({}, status=429), "rate limit; try again in a minute"),
        (lambda: web.Response(text="<html>", status=502), "the answer is not Slack's"),
        (lambda: web.json_response([1]), "the answer is not Slack's"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "the answer is not Slack's"),
    ],
)
async def test_what_is_wrong(server: Server, app: SlackApp, response: Callable[[], web.Response], said: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return response()

    server.answer = answer
    with pytest.raises(AppProblem) as error:
        await app.identity(BOT)
    assert said in str(error.value)
    assert BOT not in str(error.value)


async def test_out_of_reach() -> None:
    async with SlackApp("http://127.0.0.1:1/api/") as app:
        with pytest.raises(AppProblem, match="Slack cannot be reached"):
            await app.identity(BOT)


def test_the_essential_scopes_are_among_all() -> None:
    assert set(ESSENTIAL) <= SCOPES.keys()
