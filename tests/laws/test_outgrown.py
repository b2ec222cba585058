"""Activity that outgrows its paper, from events to Slack: closed and told to nobody, then told as reopened, once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from alerting.alert import EXPLAINED, Alert, to_line
from alerting.case import Step
from alerting.casework import advance
from alerting.route import Routing
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from streams.dispatch import Dispatch
from streams.replay import Run
from tests.alerting.conftest import Clock, redis_port, redis_store, store  # noqa: F401 - fixtures
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.test_routed import MINUTE, Hurried, until
from tests.laws.test_explained import BEGIN, CHANGE, rebuild, under, weeks

START = BEGIN + 60 * MINUTE


async def heard(*deeds: str) -> list[Alert]:
    """Every revision of alice's alert of that night, as the deeds come one by one."""
    told: list[Alert] = []
    run = Run(under(CHANGE), snapshots=False, hear=lambda alert, now: told.append(alert))
    await run.open()
    await run.feed(weeks())
    del told[:]
    for minutes, thing in enumerate(deeds, start=1):
        await run.feed([rebuild(minutes, thing)])
    await run.close()
    return [alert for alert in told if alert.principal == "alice" and alert.time >= BEGIN]


async def test_in_replay_the_same_alert_is_closed_and_then_reopened() -> None:
    alerts = await heard("acorn-a", "acorn-b", "strange", "stranger")
    assert len({alert.id for alert in alerts}) == 1
    states = [(alert.status, alert.resolution) for alert in alerts]
    turn = states.index(("reopened", None))
    assert set(states[:turn]) == {("resolved", EXPLAINED)}
    assert set(states[turn:]) == {("reopened", None)}
    assert [alert.revision for alert in alerts] == sorted({alert.revision for alert in alerts})


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer() as slack:
        yield slack


@pytest.fixture
async def slack(server: SlackServer) -> AsyncIterator[SlackNotifier]:
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    notifier.pace = 0.0
    yield notifier
    await notifier.close()


def roots(server: SlackServer) -> list[str]:
    return [body["text"] for body in server.messages.values() if not body.get("thread_ts")]


@pytest.mark.parametrize("by_hand", [False, True])
async def test_through_the_dispatcher_it_is_one_message(
    store: AlertStore,  # noqa: F811
    server: SlackServer,
    slack: SlackNotifier,
    by_hand: bool,
) -> None:
    """Where somebody had opened it by hand before, its message is the one that goes on."""
    clock: Clock = Hurried(START)
    server.now = lambda: clock() / 1e6
    alerts = await heard("acorn-a", "acorn-b", "strange", "stranger")
    turn = [alert.status for alert in alerts].index("reopened")
    desk = Dispatch(store, slack)
    for alert in alerts[:turn]:
        await desk.put(to_line(alert))
    await until(store, slack, clock, Routing(), START + 5 * MINUTE)
    assert roots(server) == []
    if by_hand:
        await advance(store, alerts[0].id, Step("reopen", "mira", clock()))
        await until(store, slack, clock, Routing(), START + 10 * MINUTE)
        assert len(roots(server)) == 1
    for number, alert in enumerate(alerts[turn:], start=1):
        await desk.put(to_line(alert))
        await until(store, slack, clock, Routing(), START + (10 + 10 * number) * MINUTE)
        assert len(roots(server)) == 1
    case = await store.case(alerts[0].id)
    assert case
    assert (case.status, case.resolution) == ("reopened", None)
    [told] = [body for body in server.messages.values() if not body.get("thread_ts")]
    assert told["metadata"]["event_payload"]["alert_id"] == alerts[0].id
