"""What `auditwatch doctor` asks about Slack: token, scopes, channels, clicks, and whether a message arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Literal

from alerting.alert import Alert
from alerting.notifier import Permanent, Retry
from alerting.route import Routes
from alerting.slack import SlackNotifier
from alerting.slack_app import ESSENTIAL, SCOPES, AppProblem, SlackApp
from audit.finding import Version, stable_id
from streams.settings import Settings

Answer = tuple[Literal["ok", "warn", "fail"], str]
Examination = Callable[[], Awaitable[Answer]]

MOST_NAMED = 10


def token(settings: Settings, channel: str, ask: bool) -> Answer | Examination:
    """Is there a bot token, and a channel? `ask`: whose is it?"""
    bot, instead = settings.slack_bot_token, "the webhook" if settings.webhook_url else "the dispatcher's terminal"
    if not bot and not channel and settings.webhook_url:
        return "ok", f"not set up: alerts go to {instead}"
    if not bot and not channel:
        return "fail" if ask else "warn", f"SLACK_BOT_TOKEN is not set: alerts go to {instead}"
    if not bot or not channel:
        missing = "AUDITWATCH_SLACK_CHANNEL" if bot else "SLACK_BOT_TOKEN"
        return "fail", f"{missing} is not set: without both, alerts go to {instead}"
    if not bot.startswith("xoxb-"):
        return "fail", "SLACK_BOT_TOKEN is no bot token: it begins with xoxb-"
    if not ask:
        return "ok", f"alerts go to {channel}; --slack asks Slack whether it knows the token"
    return lambda: _whose(settings, channel)


async def _whose(settings: Settings, channel: str) -> Answer:
    async with SlackApp(settings.slack_base_url) as app:
        try:
            known = await app.identity(settings.slack_bot_token)
        except AppProblem as error:
            return "fail", f"SLACK_BOT_TOKEN: {error}"
    return "ok", f"{known.user} in {known.team}; alerts go to {channel}"


async def scopes(settings: Settings) -> Answer:
    """May the token do what it must?"""
    async with SlackApp(settings.slack_base_url) as app:
        try:
            has = (await app.identity(settings.slack_bot_token)).scopes
        except AppProblem as error:
            return "fail", str(error)
    if not has:
        return "warn", "Slack does not say which scopes the token has"
    missing = [scope for scope in SCOPES if scope not in has]
    if not missing:
        return "ok", f"all {len(SCOPES)} that are used"
    lacking = "; ".join(f"{scope} ({SCOPES[scope]})" for scope in missing)
    state: Literal["warn", "fail"] = "fail" if set(missing) & set(ESSENTIAL) else "warn"
    return state, f"missing: {lacking}. Add them under OAuth & Permissions and install the app again"


def channels_of(settings: Settings, routes: Routes) -> list[str]:
    """Every channel alerts may go to; people are left out."""
    named = [settings.slack_channel, routes.default, *(route.channel for route in routes.routes)]
    named += [step.to for route in routes.routes for step in route.escalate]
    return [name for name in dict.fromkeys(named) if name and name[0] in "#CG"]


async def channels(settings: Settings, wanted: Iterable[str]) -> Answer:
    """Was the app invited to all of them?"""
    async with SlackApp(settings.slack_base_url) as app:
        try:
            there = await app.member_of(settings.slack_bot_token)
        except AppProblem as error:
            return "fail", str(error)
    names = [name if name[0] in "#CG" else f"#{name}" for name in wanted]
    missing = [name for name in names if name not in there]
    if not missing:
        return "ok", f"the app is in {', '.join(names[:MOST_NAMED])}"
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    listed = ", ".join(missing[:MOST_NAMED]) + more
    return "fail", f"not in {listed}: `/invite @auditwatch` there, or mend the name"


def clicks(settings: Settings, ask: bool) -> Answer | Examination:
    """Can people work on alerts from Slack?"""
    ways = list(_ways(settings))
    if not ways:
        return (
            "warn",
            "messages have no buttons: set SLACK_APP_TOKEN (Socket Mode), or slack_http and SLACK_SIGNING_SECRET",
        )
    if settings.slack_app_token and not settings.slack_app_token.startswith("xapp-"):
        return "fail", "SLACK_APP_TOKEN is no app-level token: it begins with xapp-"
    if not (ask and settings.slack_app_token):
        return "ok", " and ".join(ways)
    return lambda: _listens(settings, ways)


def _ways(settings: Settings) -> Iterator[str]:
    if settings.slack_app_token:
        yield "over Socket Mode"
    if settings.slack_http:
        yield f"signed, over HTTP at {settings.slack_http}"


async def _listens(settings: Settings, ways: list[str]) -> Answer:
    async with SlackApp(settings.slack_base_url) as app:
        try:
            await app.can_listen(settings.slack_app_token)
        except AppProblem as error:
            return "fail", f"SLACK_APP_TOKEN: {error}"
    return "ok", " and ".join(ways)


async def send_test(settings: Settings, channel: str, now: int) -> Answer:
    """Does a message arrive? It says that it is a test, and has no buttons: there is no case behind it."""
    notifier = SlackNotifier(settings.slack_bot_token, channel, settings.slack_base_url, buttons=False)
    try:
        receipt = await notifier.deliver(test_alert(now), channel, None)
    except (Permanent, Retry) as error:
        return "fail", f"{channel}: {error}"
    finally:
        await notifier.close()
    return "ok", f"a test alert stands in {channel} ({receipt.channel}, message {receipt.message_id})"


def test_alert(now: int) -> Alert:
    """An alert that nobody should act on, and that says so."""
    return Alert(
        id=f"test:{stable_id(now)}",
        time=now,
        severity="low",
        risk=0,
        principal="auditwatch",
        entity="auditwatch:test",
        title="TEST: auditwatch can post here",
        summary="TEST. Somebody ran `auditwatch doctor --send-test`. Nothing happened, and nothing is to be done.",
        findings=(),
        event_ids=(),
        reasons=("This message is a test of the connection.",),
        attack=(),
        version=Version(),
        key="auditwatch:test",
        status="resolved",
        resolution="test",
    )
