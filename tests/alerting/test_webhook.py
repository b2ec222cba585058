from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.alert import from_line
from alerting.case import Case
from alerting.notifier import Permanent, Receipt, Retry
from alerting.webhook import WebhookNotifier, key_of
from alerting.webhook_sign import TOLERANCE, header_of, signed_by, wrong
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.webhook_server import SECRET, WebhookServer


@pytest.fixture
async def server() -> AsyncIterator[WebhookServer]:
    async with WebhookServer() as running:
        yield running


@pytest.fixture
async def hook(server: WebhookServer) -> AsyncIterator[WebhookNotifier]:
    notifier = WebhookNotifier(server.url, SECRET, lambda: NOON)
    yield notifier
    await notifier.close()


async def test_the_body_is_the_alert_line_its_channel_and_its_case(
    hook: WebhookNotifier, server: WebhookServer
) -> None:
    case = Case(an_alert().id, "acknowledged", None, 3, "carol", NOON, "looking", "carol")
    receipt = await hook.deliver(an_alert(revision=4), "#security", None, case)
    assert receipt == Receipt(4, "high", "#security", f"{an_alert().id}:4:3")
    ((key, body),) = server.taken.items()
    assert key == receipt.message_id
    assert (body["kind"], body["first"], body["channel"]) == ("alert", True, "#security")
    assert (body["alert"]["status"], body["alert"]["revision"]) == ("acknowledged", 4)
    assert body["case"]["at"] == "2026-01-31T12:00:00.000Z"
    assert (body["case"]["assignee"], body["case"]["version"]) == ("carol", 3)
    assert from_line(json.dumps(body["alert"])).findings == an_alert().findings


async def test_what_comes_again_bears_the_same_key_and_is_taken_once(
    hook: WebhookNotifier, server: WebhookServer
) -> None:
    server.plan.append("reset_done")
    with pytest.raises(Retry) as caught:
        await hook.deliver(an_alert(), "webhook", None)
    assert not caught.value.unsure, "nobody has to look: the receiver knows the key"
    await hook.deliver(an_alert(), "webhook", None)
    assert (server.calls, len(server.taken)) == (2, 1)


def test_a_key_is_the_alert_its_revision_and_a_step_of_its_case() -> None:
    assert key_of(an_alert(id="a")) == "a:1"
    assert key_of(an_alert(id="a", revision=2), Case("a")) == "a:2"
    assert key_of(an_alert(id="a"), Case("a", version=5)) == "a:1:5"
    assert key_of(an_alert(id="digest:x\r\nEvil: 1 ü")) == "digest:x%0D%0AEvil%3A%201%20%C3%BC:1".replace("%3A", ":")


async def test_an_id_of_somebody_else_cannot_write_headers(hook: WebhookNotifier, server: WebhookServer) -> None:
    await hook.deliver(an_alert(id="a\r\nX-Evil: 1"), "webhook", None)
    (key,) = server.taken
    assert key.isprintable()


@pytest.mark.parametrize("step", ["408", "425", "429:0", "500", "503:x", "504"])
async def test_later(hook: WebhookNotifier, server: WebhookServer, step: str) -> None:
    server.plan.append(step)
    with pytest.raises(Retry, match=f"answered {step[:3]}") as caught:
        await hook.deliver(an_alert(), "webhook", None)
    assert caught.value.after == 0


@pytest.mark.parametrize(("after", "waits"), [("12", 12), ("1e9", 3600), ("-4", 0), ("nan", 0)])
async def test_retry_after_is_obeyed_within_reason(
    hook: WebhookNotifier, server: WebhookServer, after: str, waits: float
) -> None:
    server.plan.append(f"503:{after}")
    with pytest.raises(Retry) as caught:
        await hook.deliver(an_alert(), "webhook", None)
    assert caught.value.after == waits


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("301", "set the new URL"),
        ("400", "see what it says"),
        ("401", "AUDITWATCH_WEBHOOK_SECRET"),
        ("404", "AUDITWATCH_WEBHOOK_URL"),
    ],
)
async def test_refusals_say_what_to_mend_and_hold_nothing_hostile(
    hook: WebhookNotifier, server: WebhookServer, status: str, advice: str
) -> None:
    server.plan.append(status)
    with pytest.raises(Permanent, match=advice) as caught:
        await hook.deliver(an_alert(), "webhook", None)
    said = str(caught.value)
    assert status in said
    assert said.isprintable()
    assert len(said) < 300
    assert "secret-path" not in said


async def test_what_is_too_large_comes_without_its_findings(hook: WebhookNotifier, server: WebhookServer) -> None:
    server.largest = 2_000
    many = an_alert(event_ids=tuple(f"event-{n}" for n in range(1_000)), findings=an_alert().findings * 50)
    receipt = await hook.deliver(many, "webhook", None)
    (body,) = server.taken.values()
    assert receipt.revision == 1
    assert body["alert"]["title"] == "Root login"
    assert body["alert"]["findings"] == body["alert"]["event_ids"] == []
    server.largest = 10
    with pytest.raises(Permanent, match="413"):
        await hook.deliver(an_alert(2), "webhook", None)


async def test_nobody_listens() -> None:
    notifier = WebhookNotifier("http://127.0.0.1:9/hook/secret-path", SECRET, Clock())
    with pytest.raises(Retry, match=r"127\.0\.0\.1 cannot be reached") as caught:
        await notifier.deliver(an_alert(), "webhook", None)
    await notifier.close()
    assert "secret" not in str(caught.value)
    assert repr(notifier) == "WebhookNotifier('127.0.0.1')"


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("http://hooks.example.com/x", SECRET, "https://"),
        ("ftp://hooks.example.com/x", SECRET, "https://"),
        ("hooks.example.com", SECRET, "https://"),
        ("https://", SECRET, "https://"),
        ("https://[::1/x", SECRET, "is none"),
        ("https://example.com:port/x", SECRET, "is none"),
        ("https://hooks.example.com/x", "short", "AUDITWATCH_WEBHOOK_SECRET"),
        ("https://hooks.example.com/x", SECRET, ""),
        ("http://localhost:8080/x", SECRET, ""),
    ],
)
def test_https_and_a_secret_are_asked_for(url: str, secret: str, said: str) -> None:
    complaint = wrong(url, secret)
    assert said in complaint
    assert bool(complaint) == bool(said)
    if said:
        with pytest.raises(ValueError, match="webhook"):
            WebhookNotifier(url, secret, Clock())


@given(st.binary(max_size=200), st.integers(-TOLERANCE, TOLERANCE))
def test_a_signature_holds_for_its_body_its_secret_and_its_time(body: bytes, late: int) -> None:
    header = header_of(SECRET, body, NOON)
    assert signed_by(SECRET, header, body, NOON + late * SECOND)
    assert not signed_by(SECRET, header, body + b" ", NOON)
    assert not signed_by(SECRET + "x", header, body, NOON)
    assert not signed_by(SECRET, header, body, NOON + (TOLERANCE + 1) * SECOND)
    assert not signed_by(SECRET, header.replace("t=1", "t=2"), body, NOON)


@given(st.text(max_size=60))
def test_no_header_breaks_the_check(header: str) -> None:
    assert not signed_by(SECRET, header, b"{}", NOON)
    assert not signed_by(SECRET, f"t=1769860800,v1={header}", b"{}", NOON)
