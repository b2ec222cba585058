"""Is the Slack app set up as it must be? Asks Slack, and changes nothing there."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from alerting.plain import plain

SECONDS = 8.0
PAGE, MOST_PAGES = 200, 25

SCOPES: Mapping[str, str] = {
    "chat:write": "post alerts, keep them up to date, answer in their threads",
    "channels:read": "find a public channel by its name, and know where the app was invited",
    "groups:read": "the same for private channels",
    "channels:history": "look whether a message arrived, after a broken connection, before it is posted again",
    "groups:history": "the same in private channels",
    "im:write": "write to one person: escalations, and to ask the user",
    "im:history": "look whether a direct message arrived",
    "files:write": "put the whole evidence of an alert into its thread",
}
"""What the bot token must be allowed, and what for."""
ESSENTIAL = ("chat:write", "channels:read", "channels:history")
"""Without these nothing is delivered surely; without the others only what they are for is missing."""


class AppProblem(Exception):
    """Slack cannot be asked, or says no; the text says what to do."""


class Identity(msgspec.Struct, frozen=True):
    """Whose token it is, and what it may; no scopes where Slack did not say."""

    user: str
    team: str
    scopes: frozenset[str]


class SlackApp:
    """Asks Slack about the app. The tokens are in no message and no repr."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/") + "/"
        local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=not local)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def identity(self, bot_token: str) -> Identity:
        """Whose token it is. Raises AppProblem."""
        answer, headers = await self._ask("auth.test", bot_token, {})
        scopes = frozenset(scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        return Identity(plain(str(answer.get("user")), 80), plain(str(answer.get("team")), 80), scopes)

    async def member_of(self, bot_token: str) -> set[str]:
        """The channels the app was invited to: each by its id and by #name. Raises AppProblem."""
        found: set[str] = set()
        query = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            answer, _headers = await self._ask("users.conversations", bot_token, query)
            for channel in answer.get("channels") or ():
                found |= {str(channel.get("id")), f"#{channel.get('name')}"}
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
            query["cursor"] = cursor
        return found

    async def can_listen(self, app_token: str) -> None:
        """Whether Socket Mode would open with this app-level token. Raises AppProblem."""
        await self._ask("apps.connections.open", app_token, None)

    async def _ask(
        self, method: str, token: str, query: dict[str, str] | None
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Reading is a GET; None: a POST without a body."""
        verb = "POST" if query is None else "GET"
        sent: dict[str, Any] = {"params": query, "headers": {"Authorization": f"Bearer {token}"}}
        try:
            async with self._session.request(verb, self._base + method, allow_redirects=False, **sent) as response:
                if response.status == 429:
                    raise AppProblem(f"{method}: Slack's rate limit; try again in a minute")
                answer = msgspec.json.decode(await response.read(), type=dict[str, Any])
                said = response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AppProblem(
                f"Slack cannot be reached: {type(error).__name__}; check the network and proxies"
            ) from None
        except msgspec.MsgspecError:
            raise AppProblem(f"{method}: the answer is not Slack's: check slack_base_url and proxies") from None
        if answer.get("ok") is not True:
            raise AppProblem(f"{method}: Slack refused: {_code(answer)}")
        return answer, said


def _code(answer: Mapping[str, Any]) -> str:
    code = plain(str(answer.get("error")), 60)
    needed = plain(str(answer.get("needed") or ""), 80)
    return f"{code}; {_MEND[code]}" if code in _MEND else code + (f" (needs {needed})" if needed else "")


_MEND = {
    "invalid_auth": "set the token to a valid one",
    "not_authed": "set the token",
    "token_revoked": "install the app again and set the new token",
    "account_inactive": "install the app again and set the new token",
    "missing_scope": "add the scopes of slack-app.yml and install the app again",
    "not_allowed_token_type": "this takes an app-level token (xapp-...) with connections:write",
    "not_enabled": "turn on Socket Mode in the settings of the Slack app",
}
