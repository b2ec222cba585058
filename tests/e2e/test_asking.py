"""Was this you: from an alert on Kafka over a direct message and a signed click to the verdict on audit.events."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from alerting.alert import Alert, to_line
from alerting.slack_http import PATH
from streams.child import free_port
from streams.embedded import Broker
from streams.kafka import ALERTS, EVENTS, client_options, ensure_topics
from streams.labels import fetch
from streams.packet import Control, decode_events
from tests.alerting.asked import ALICE, BOB, an_event_alert
from tests.alerting.clicking import payload
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.e2e.house import House, Program, house, until

SECRET = "a-signing-secret"
PEOPLE = f"""
users:
  - {{id: alice, manager: bob, identities: {{slack: [{ALICE}]}}}}
  - {{id: bob, identities: {{slack: [{BOB}]}}}}
"""
ROUTES = "default: C1\nroutes: [{channel: C1}]\nask: [{when: {severity: high}, wait: 1m, closes: high}]\n"
PLACES = {name: name for name in ("C1", "D0ALICE", "D0BOB")} | {ALICE: "D0ALICE", BOB: "D0BOB"}


def furnished(place: House, slack: SlackServer, listen: str) -> None:
    """Routes that ask, people to ask, and a Slack to ask them in."""
    place.context = place.folder / "context.yml"
    place.context.write_text(PEOPLE)
    (place.folder / "routes.yml").write_text(ROUTES)
    place.environment = {
        "SLACK_BOT_TOKEN": TOKEN,
        "SLACK_SIGNING_SECRET": SECRET,
        "AUDITWATCH_SLACK_HTTP": listen,
        "AUDITWATCH_SLACK_CHANNEL": "C1",
        "AUDITWATCH_SLACK_BASE_URL": slack.url,
        "AUDITWATCH_ROUTES": str(place.folder / "routes.yml"),
    }


def told(slack: SlackServer, place: str) -> list[str]:
    """What is to be read somewhere, threads left out."""
    messages = [(where, one) for (where, _), one in slack.messages.items() if "thread_ts" not in one]
    return [one["text"] for where, one in messages if where == place]


async def click(slack: SlackServer, listen: str, who: str, place: str, action: str) -> int:
    """Presses a button under the message somebody got; Slack's status."""
    blocks = [block for (where, _), one in slack.messages.items() if where == place for block in one["blocks"]]
    buttons = [one for block in blocks if block["type"] == "actions" for one in block["elements"]]
    [value] = {one["value"] for one in buttons if one["action_id"] == action}
    body = f"payload={quote_plus(json.dumps(payload(action, who, value, trigger=str(time.time()))))}".encode()
    stamp = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signed}"}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    url = f"http://{listen}{PATH}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def raised(place: House, alert: Alert) -> None:
    """The alert on audit.alerts."""
    async with AIOKafkaProducer(**client_options(place.settings)) as producer:
        await producer.send_and_wait(ALERTS, to_line(alert))


async def verdicts(place: House) -> list[Control]:
    """The controls on audit.events."""
    count = (await ensure_topics(place.settings, [EVENTS]))[EVENTS]
    consumer: Any = AIOKafkaConsumer(**client_options(place.settings))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(EVENTS, number) for number in range(count)])
        await consumer.seek_to_beginning()
        batches = (await consumer.getmany(timeout_ms=2_000)).values()
        return [one for batch in batches for message in batch for one in decode_events(message.value).controls]
    finally:
        await consumer.stop()


async def working(place: House) -> Program:
    """A dispatcher that delivers, and hears clicks."""
    program = place.start("dispatcher")
    await program.until("its turn", lambda: "delivering alerts" in program.said)
    await program.until("its ears", lambda: "listening for clicks" in program.said)
    return program


async def test_asked_killed_and_answered(own_broker: Broker, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    async with SlackServer(PLACES, now=time.time) as slack:
        with house(own_broker, tmp_path) as place:
            furnished(place, slack, listen)
            first = await working(place)
            alert = msgspec.structs.replace(an_event_alert(), time=time.time_ns() // 1000)
            await raised(place, alert)
            await until("the question", lambda: told(slack, "D0ALICE"), program=first)
            first.kill()
            second = await working(place)
            assert await click(slack, listen, BOB, "D0ALICE", "case.yes") == 200
            assert await click(slack, listen, ALICE, "D0ALICE", "case.yes") == 200
            await until("the outcome", lambda: "You said yes" in told(slack, "D0ALICE")[0], program=second)
            assert [user for user, _ in slack.whispers] == [BOB]
            [label] = await fetch(place.settings)
            assert (label.alert_id, label.verdict, label.by, label.how) == (alert.id, "benign", "alice", "asked")
            await asyncio.sleep(1.0)
            [control] = await verdicts(place)
            assert (control.kind, control.principal, control.by) == ("learn", "alice", "alice")
            assert [len(told(slack, one)) for one in ("C1", "D0ALICE", "D0BOB")] == [1, 1, 0]
            second.end()
