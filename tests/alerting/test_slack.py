from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from alerting import ask_notice, notice, slack
from alerting.ask import Ask, Asked
from alerting.notifier import Gone, Permanent, Receipt, Retry, WrongChannel
from alerting.slack import SlackNotifier
from tests.alerting.conftest import NOON, an_alert
from tests.alerting.slack_server import BOT, TOKEN, SlackServer

NOTICES = (
    notice.digest(None, "digest:1", "C1", NOON, [an_alert(2)]),
    notice.raised(an_alert(3), "C1", NOON),
    ask_notice.question(an_alert(4), Ask((Asked("alice", "U1"),), 60_000_000, "carol", NOON), 0, NOON),
)


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer() as running:
        yield running


@pytest.fixture
async def notifier(server: SlackServer) -> AsyncIterator[SlackNotifier]:
    slack_notifier = SlackNotifier(TOKEN, "#security", server.url)
    yield slack_notifier
    await slack_notifier.close()


async def test_an_alert_is_posted_once_and_its_receipt_finds_it(server: SlackServer, notifier: SlackNotifier) -> None:
    receipt = await notifier.deliver(an_alert(revision=2), "C1", None)
    assert receipt == Receipt(2, "high", "C1", "1769860800.000001")
    (post,) = server.posts
    assert post["metadata"]["event_payload"]["revision"] == 2
    assert (post["parse"], post["link_names"], post["unfurl_links"], post["mrkdwn"]) == ("none", False, False, False)


async def test_a_newer_revision_edits_the_message(server: SlackServer, notifier: SlackNotifier) -> None:
    first = await notifier.deliver(an_alert(), "C1", None)
    second = await notifier.deliver(an_alert(revision=2, title="Grew"), "C1", first)
    assert (second.message_id, second.revision) == (first.message_id, 2)
    (post,) = server.posts
    assert "Grew" in post["text"]
    assert len(server.connections) == 1, "all calls share one connection"


@pytest.mark.parametrize("channel", ["C1", "console"])
async def test_a_message_that_is_gone_is_said_to_be(server: SlackServer, notifier: SlackNotifier, channel: str) -> None:
    with pytest.raises(Gone):
        await notifier.deliver(an_alert(revision=2), "C1", Receipt(1, "high", channel, "1.000001"))
    assert not server.posts


async def test_what_was_posted_is_found_by_its_metadata(server: SlackServer, notifier: SlackNotifier) -> None:
    receipts = {number: await notifier.deliver(an_alert(number), "C1", None) for number in range(13)}
    await notifier.deliver(an_alert(3, revision=4, severity="critical"), "C1", receipts[3])
    wanted = {an_alert(number).id for number in (0, 3, 12, 99)}
    found = await notifier.find(wanted, "C1", NOON)
    assert set(found) == wanted - {an_alert(99).id}
    assert found[an_alert(0).id] == receipts[0]
    assert found[an_alert(3).id] == Receipt(4, "critical", "C1", receipts[3].message_id)
    assert await notifier.find(wanted, "C2", NOON) == {}
    assert await notifier.find(wanted, "C1", NOON + 10**9) == {}


async def test_what_the_desk_tells_is_no_alert_and_is_found_too(server: SlackServer, notifier: SlackNotifier) -> None:
    """Who counts root messages of the type auditwatch_alert counts alerts."""
    receipts = {alert.id: await notifier.deliver(alert, "C1", None) for alert in (an_alert(1), *NOTICES)}
    kinds = {post["metadata"]["event_payload"]["alert_id"]: post["metadata"]["event_type"] for post in server.posts}
    assert kinds == {an_alert(1).id: "auditwatch_alert"} | {one.id: "auditwatch_notice" for one in NOTICES}
    assert await notifier.find(receipts, "C1", NOON) == receipts


async def test_a_channel_known_by_name_is_looked_up_to_be_read(server: SlackServer) -> None:
    for known in (False, True):
        notifier = SlackNotifier(TOKEN, "#security", server.url)
        if known:
            await notifier.deliver(an_alert(2), "#security", None)
        else:
            server.messages["C1", "1769860900.000001"] = _forged(an_alert(1).id, bot_id=BOT)
        assert set(await notifier.find({an_alert(1).id}, "#security", NOON)) == {an_alert(1).id}
        await notifier.close()
    assert server.times("conversations.list") == 1
    with pytest.raises(Permanent, match="channel_not_found"):
        await SlackNotifier(TOKEN, "#nowhere", server.url).find({"a"}, "#nowhere", NOON)


async def test_somebody_elses_message_is_none_of_ours(server: SlackServer, notifier: SlackNotifier) -> None:
    alert = an_alert().id
    server.messages["C1", "1769860900.000001"] = _forged(alert, bot_id="B0EVIL")
    for number, metadata in enumerate((None, "x", {"event_type": "auditwatch_alert"}, {"event_payload": 1})):
        server.messages["C1", f"1769860901.00000{number}"] = {"text": "x", "metadata": metadata, "ts": "1"}
    server.messages["C1", "1769860902.000001"] = _forged(alert, revision="1", bot_id=BOT)
    server.messages["C1", "1769860902.000002"] = _forged(alert, severity="dire", bot_id=BOT)
    assert await notifier.find({alert}, "C1", NOON) == {}


def _forged(alert_id: str, bot_id: str, **changes: object) -> dict[str, Any]:
    payload = {"alert_id": alert_id, "revision": 1, "severity": "high"} | changes
    metadata = {"event_type": "auditwatch_alert", "event_payload": payload}
    return {"text": "x", "ts": "1769860900.000001", "bot_id": bot_id, "metadata": metadata}


@pytest.mark.parametrize(
    ("step", "after", "unsure"),
    [
        ("429:7", 7, False),
        ("429:1.5", 1.5, False),
        ("429:soon", 30, False),
        ("429:nan", 1, False),
        ("429:99999", 3600, False),
        ("ratelimited", 30, False),
        ("500", 0, True),
        ("502", 0, True),
        ("internal_error", 0, True),
        ("reset", 0, True),
        ("garbage", 0, True),
        ("plain", 0, True),
    ],
)
async def test_trouble_that_passes(
    server: SlackServer, notifier: SlackNotifier, step: str, after: float, unsure: bool
) -> None:
    server.plan.append(step)
    with pytest.raises(Retry) as trouble:
        await notifier.deliver(an_alert(), "C1", None)
    assert (trouble.value.after, trouble.value.unsure) == (after, unsure)
    assert len(server.calls) == 1, "the SDK must not retry by itself"


@pytest.mark.parametrize("step", ["reset_done", "500_done", "slow_done"])
async def test_an_answer_that_was_lost_is_unsure(
    server: SlackServer, notifier: SlackNotifier, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "TIMEOUT", 0.2)
    server.plan.append(step)
    with pytest.raises(Retry) as trouble:
        await notifier.deliver(an_alert(), "C1", None)
    assert trouble.value.unsure
    assert (len(server.posts), len(server.calls)) == (1, 1)


async def test_an_edit_is_never_unsure(server: SlackServer, notifier: SlackNotifier) -> None:
    first = await notifier.deliver(an_alert(), "C1", None)
    server.plan.append("reset_done")
    with pytest.raises(Retry) as trouble:
        await notifier.deliver(an_alert(revision=2), "C1", first)
    assert not trouble.value.unsure


async def test_a_server_that_is_not_there_is_sure() -> None:
    notifier = SlackNotifier(TOKEN, "C1", "http://127.0.0.1:1/api/")
    with pytest.raises(Retry, match="cannot be reached") as trouble:
        await notifier.deliver(an_alert(), "C1", None)
    assert not trouble.value.unsure
    await notifier.close()


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        ("token_revoked", "SLACK_BOT_TOKEN"),
        ("account_inactive", "SLACK_BOT_TOKEN"),
        ("not_in_channel", "invite"),
        ("is_archived", "AUDITWATCH_SLACK_CHANNEL"),
        ("some_new_error", "docs.slack.dev"),
    ],
)
async def test_what_somebody_must_mend(server: SlackServer, notifier: SlackNotifier, step: str, advice: str) -> None:
    server.plan.append(step)
    with pytest.raises(Permanent, match=f"{step}.*{advice}"):
        await notifier.deliver(an_alert(), "C1", None)


async def test_a_wrong_token_or_channel_is_refused(server: SlackServer) -> None:
    for token, channel, reason in ((TOKEN + "x", "C1", "invalid_auth"), (TOKEN, "C404", "channel_not_found")):
        notifier = SlackNotifier(token, channel, server.url)
        with pytest.raises(Permanent, match=reason) as raised:
            await notifier.deliver(an_alert(), channel, None)
        assert isinstance(raised.value, WrongChannel) == (reason == "channel_not_found")
        await notifier.close()


async def test_blocks_slack_refuses_go_as_text(server: SlackServer, notifier: SlackNotifier) -> None:
    server.plan.append("invalid_blocks")
    first = await notifier.deliver(an_alert(), "C1", None)
    (post,) = server.posts
    assert post["blocks"] == []
    assert "root was used from a new country" in post["text"]
    server.plan.append("msg_blocks_too_long")
    await notifier.deliver(an_alert(revision=2, summary="🔥" * 9999), "C1", first)
    (post,) = server.posts
    assert len(post["text"].encode()) < 4000


@pytest.mark.parametrize("code", ["msg_too_long", "msg_blocks_too_long"])
async def test_what_is_too_long_for_slack_goes_as_text(server: SlackServer, notifier: SlackNotifier, code: str) -> None:
    server.plan.append(code)
    first = await notifier.deliver(an_alert(), "C1", None)
    assert [post["blocks"] for post in server.posts] == [[]]
    server.plan.append(code)
    await notifier.deliver(an_alert(revision=2, title="Grew"), "C1", first)
    (post,) = server.posts
    assert (post["blocks"], "Grew" in post["text"]) == ([], True)
    assert set(await notifier.find({an_alert().id}, "C1", NOON)) == {an_alert().id}, "its metadata still finds it"


async def test_metadata_slack_refuses_stays_out_and_the_message_is_whole(
    server: SlackServer, notifier: SlackNotifier
) -> None:
    server.plan.append("metadata_too_large")
    first = await notifier.deliver(an_alert(), "C1", None)
    (post,) = server.posts
    assert post["blocks"]
    assert "metadata" not in post
    server.plan.extend(["metadata_too_large", "msg_too_long"])
    await notifier.deliver(an_alert(revision=2, title="Grew"), "C1", first)
    (post,) = server.posts
    assert (post["blocks"], "Grew" in post["text"]) == ([], True)
    server.plan.extend(["metadata_too_large", "metadata_too_large"])
    with pytest.raises(Permanent, match="metadata_too_large"):
        await notifier.deliver(an_alert(2), "C1", None)


async def test_text_slack_refuses_too_is_not_tried_for_ever(server: SlackServer, notifier: SlackNotifier) -> None:
    server.plan.extend(["invalid_blocks", "invalid_blocks"])
    with pytest.raises(Permanent, match="invalid_blocks"):
        await notifier.deliver(an_alert(), "C1", None)


async def test_another_channel_is_posted_to(server: SlackServer) -> None:
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    assert notifier.channel(an_alert()) == "C1"
    assert (await notifier.deliver(an_alert(severity="critical"), "C2", None)).channel == "C2"
    await notifier.close()


async def test_a_proxy_in_the_environment_does_not_catch_loopback(
    server: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    await notifier.deliver(an_alert(), "C1", None)
    await notifier.close()
    assert len(server.posts) == 1


async def test_the_token_is_never_shown(server: SlackServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    shown = [repr(notifier), str(notifier)]
    for step in ("token_revoked", "500", "reset", "garbage"):
        server.plan.append(step)
        with pytest.raises((Retry, Permanent)) as problem:
            await notifier.deliver(an_alert(), "C1", None)
        shown += [repr(problem.value), str(problem.value), "".join(traceback.format_exception(problem.value))]
    await notifier.close()
    assert TOKEN not in "\n".join([*shown, caplog.text])


def test_a_base_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="AUDITWATCH_SLACK_BASE_URL"):
        SlackNotifier(TOKEN, "C1", "slack.com/api")
