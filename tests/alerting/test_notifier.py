"""What every notifier promises the dispatcher, held against all of them: the console, a webhook and Slack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from alerting import notice
from alerting.alert import Alert, to_line
from alerting.case import transition
from alerting.console import ConsoleNotifier
from alerting.notifier import Notifier, Permanent, Retry
from alerting.route import Route, Step
from alerting.route_time import Span
from alerting.slack import SlackNotifier
from alerting.store_memory import MemoryAlertStore
from alerting.webhook import WebhookNotifier
from tests.alerting.conftest import HOUR, NOON, Clock, an_alert
from tests.alerting.hostile import hostile_alerts
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.test_dispatcher import drained, filled
from tests.alerting.webhook_server import SECRET, WebhookServer


@dataclass
class Stage:
    """A notifier, and what people (or a program) see of it: one text a message, as it is now."""

    name: str
    notifier: Notifier
    seen: Callable[[], list[str]]
    plan: Callable[..., None] | None = None  # what the next calls meet; a terminal has no such thing


def _console(_: AsyncExitStack) -> Stage:
    stream = StringIO()
    return Stage("console", ConsoleNotifier(stream), lambda: [part for part in stream.getvalue().split("\n\n") if part])


async def _webhook(stack: AsyncExitStack) -> Stage:
    server = await stack.enter_async_context(WebhookServer())
    notifier = WebhookNotifier(server.url, SECRET, lambda: NOON)
    stack.push_async_callback(notifier.close)

    def seen() -> list[str]:
        newest = {body["alert"]["id"]: str(body) for body in server.taken.values()}
        return list(newest.values())

    return Stage("webhook", notifier, seen, server.plan.extend)


async def _slack(stack: AsyncExitStack) -> Stage:
    server = await stack.enter_async_context(SlackServer())
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    stack.push_async_callback(notifier.close)
    return Stage("slack", notifier, lambda: [str(post) for post in server.posts], server.plan.extend)


async def staged(name: str, stack: AsyncExitStack) -> Stage:
    if name == "console":
        return _console(stack)
    return await (_webhook if name == "webhook" else _slack)(stack)


@pytest.fixture(params=["console", "webhook", "slack"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield await staged(request.param, stack)


async def test_a_receipt_names_the_revision_the_severity_and_the_place(stage: Stage) -> None:
    alert = an_alert(severity="critical", revision=7)
    channel = stage.notifier.channel(alert)
    receipt = await stage.notifier.deliver(alert, channel, None)
    assert (receipt.revision, receipt.severity, receipt.posted, bool(receipt.message_id)) == (7, "critical", True, True)
    assert receipt.channel == channel
    (seen,) = stage.seen()
    assert "Root login" in seen


async def test_a_newer_revision_takes_the_place_of_the_older_where_that_can_be(stage: Stage) -> None:
    notifier, first = stage.notifier, an_alert(title="Begun")
    receipt = await notifier.deliver(first, notifier.channel(first), None)
    second = an_alert(title="Grown", revision=2, count=9)
    after = await notifier.deliver(second, notifier.channel(second), receipt)
    assert (after.revision, after.posted) == (2, True)
    seen = stage.seen()
    assert "Grown" in seen[-1]
    assert len(seen) == 1 or stage.name == "console", "a terminal cannot take anything back"


async def test_it_says_where_the_case_stands(stage: Stage) -> None:
    alert = an_alert()
    store = await filled(MemoryAlertStore(), alert)
    case = await store.case(alert.id)
    assert case
    taken: Any = transition(case, "resolve", "carol", NOON)
    await stage.notifier.deliver(alert, stage.notifier.channel(alert), None, taken)
    assert "resolved" in stage.seen()[-1].lower()


async def test_notices_are_told_too(stage: Stage) -> None:
    alerts = [an_alert(n, severity="low", title=f"Title {n}") for n in range(30)]
    digest = notice.digest(None, "digest:1", "C1", NOON, alerts)
    (escalation,) = notice.escalations(an_alert(), Route("C1", escalate=(Step(Span(HOUR), "C2"),)), NOON)
    for one in (digest, escalation):
        receipt = await stage.notifier.deliver(one, notice.place(one), None)
        assert receipt.revision == 1
    assert "Digest: 30 alerts" in "".join(stage.seen())
    assert "Not acknowledged" in "".join(stage.seen())


async def test_whoever_cannot_look_or_finds_nothing_says_so(stage: Stage) -> None:
    assert await stage.notifier.find(["nobody"], stage.notifier.channel(an_alert()), NOON) == {}


async def test_an_outage_is_retry_and_what_was_posted_is_posted_once(stage: Stage) -> None:
    if stage.plan is None:
        pytest.skip("a terminal is there or is not")
    alert, channel = an_alert(), stage.notifier.channel(an_alert())
    for step in ("reset", "500", "502", "429:7", "reset_done"):
        stage.plan([step])
        with pytest.raises(Retry) as caught:
            await stage.notifier.deliver(alert, channel, None)
        assert caught.value.after == (7 if step == "429:7" else 0)
        assert "secret" not in str(caught.value)
        assert TOKEN not in str(caught.value)
    assert len(stage.seen()) == 1


async def test_a_refusal_is_permanent_and_says_what_to_do(stage: Stage) -> None:
    if stage.plan is None:
        pytest.skip("a terminal is there or is not")
    stage.plan(["401" if stage.name == "webhook" else "invalid_auth"])
    with pytest.raises(Permanent, match=r"AUDITWATCH_WEBHOOK_SECRET|SLACK_BOT_TOKEN") as caught:
        await stage.notifier.deliver(an_alert(), stage.notifier.channel(an_alert()), None)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["console", "webhook", "slack"])
@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(alert=hostile_alerts)
async def test_hostile_text_is_delivered_and_nothing_else_is_raised(name: str, alert: Alert) -> None:
    assume(_can_be_written(alert))
    async with AsyncExitStack() as stack:
        stage = await staged(name, stack)
        receipt = await stage.notifier.deliver(alert, stage.notifier.channel(alert), None)
        assert receipt.posted
        assert len(stage.seen()) >= 1


def _can_be_written(alert: Alert) -> bool:
    """Whether it could have come from audit.alerts: no lone surrogates, no year 140000."""
    try:
        return bool(to_line(alert))
    except ValueError:
        return False


async def test_through_the_dispatcher_each_alert_is_there_once(stage: Stage, clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n, title=f"Title {n};") for n in range(9)))
    if stage.plan:
        stage.plan(["reset_done", "500", "ok", "429:3", "reset", "reset_done", "502"])
    done = await drained(store, stage.notifier, clock)
    assert (done.sent, done.refused) == (9, 0)
    seen = "".join(stage.seen())
    assert {n for n in range(9) if f"Title {n};" in seen} == set(range(9))
    assert len(stage.seen()) == 9
    assert await store.due(10, clock()) == []
