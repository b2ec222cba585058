"""Labels: what a case says an alert was; kept by both stores in the step of the verdict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerting.alert import EXPLAINED
from alerting.ask import Ask, Asked
from alerting.ask_case import asking, said
from alerting.case import Action, Case, case_of, transition
from alerting.label import KEPT, MOST_EVENTS, Label, label_of
from alerting.label_store import MemoryLabels, arguments, read
from alerting.notice import escalations
from alerting.route import Route, Step
from alerting.route_time import Span
from alerting.store import AlertStore
from alerting.store_redis import RedisAlertStore
from audit.event import MICROSECONDS
from tests.alerting.asked import ALICE
from tests.alerting.conftest import NOON, SECOND, a_finding, an_alert

ALERT = an_alert()


def done(case: Case | Any) -> Case:
    assert isinstance(case, Case), case
    return case


async def step(store: AlertStore, action: Action, by: str = "carol", at: int = NOON, number: int = 1) -> None:
    case = await store.case(an_alert(number).id)
    assert case
    assert await store.save_case(done(transition(case, action, by, at)))


async def verdicts(store: AlertStore, since: int = 0) -> list[tuple[str, str, str]]:
    return [(label.alert_id, label.verdict, label.by) for label in await store.labels(since)]


@pytest.mark.parametrize(
    ("action", "verdict"), [("resolve", "true_positive"), ("benign", "benign"), ("false_positive", "false_positive")]
)
def test_what_a_resolution_says(action: Action, verdict: str) -> None:
    findings = (a_finding(), a_finding(id="f2", detection="anomaly"), a_finding(id="f3"))
    alert = an_alert(findings=findings)
    label = label_of(alert, done(transition(Case(alert.id), action, "carol", NOON + SECOND)))
    assert label == Label(
        alert_id=alert.id,
        verdict=verdict,
        by="carol",
        at=NOON + SECOND,
        how="case",
        time=alert.time,
        principal="alice",
        severity="high",
        title="Root login",
        detections=("r-root-login", "anomaly"),
        event_ids=("e1", "e2"),
        version=alert.version,
        case_version=1,
    )


@pytest.mark.parametrize("action", ["ack", "snooze"])
def test_what_is_not_decided_has_no_label(action: Action) -> None:
    assert label_of(ALERT, Case(ALERT.id)) is None
    assert label_of(ALERT, done(transition(Case(ALERT.id), action, "carol", NOON))) is None


def test_what_declared_paper_explains_was_harmless() -> None:
    explained = an_alert(status="resolved", resolution=EXPLAINED)
    label = label_of(explained, case_of(explained))
    assert label
    assert (label.verdict, label.how, label.at) == ("benign", "check", explained.time)


def test_answers_of_people() -> None:
    asked = done(asking(Case(ALERT.id), ALERT, Ask((Asked("alice", ALICE),), 1, "carol", NOON)))
    yes, no = (done(said(asked, ALERT, 0, (ALICE, word, NOON + SECOND))) for word in ("yes", "no"))
    label = label_of(ALERT, yes)
    assert label
    assert (label.verdict, label.how, label.by) == ("benign", "asked", "alice")
    label = label_of(ALERT, no)
    assert label
    assert (label.verdict, label.how, label.by) == ("true_positive", "asked", "alice")
    label = label_of(ALERT, done(transition(no, "false_positive", "carol", NOON)))
    assert label
    assert (label.verdict, label.how, label.by) == ("false_positive", "case", "carol"), "the team has the last word"


def test_a_label_is_bounded() -> None:
    alert = an_alert(event_ids=tuple(map(str, range(1000))), title="x" * 10_000)
    label = label_of(alert, done(transition(Case(alert.id), "benign", "carol", NOON)))
    assert label
    assert (len(label.event_ids), len(label.title)) == (MOST_EVENTS, 300)


async def test_a_verdict_is_a_label_in_the_same_step(store: AlertStore) -> None:
    for number in (1, 2):
        await store.put(an_alert(number))
    await step(store, "false_positive", at=NOON + SECOND)
    await step(store, "ack", number=2)
    assert await verdicts(store) == [(ALERT.id, "false_positive", "carol")]
    await step(store, "resolve", at=NOON, number=2)
    assert [alert_id for alert_id, _, _ in await verdicts(store)] == [an_alert(2).id, ALERT.id], "oldest first"
    assert [alert_id for alert_id, _, _ in await verdicts(store, NOON + 1)] == [ALERT.id]


async def test_reopening_takes_a_label_back_and_a_later_verdict_replaces_it(store: AlertStore) -> None:
    await store.put(ALERT)
    await step(store, "false_positive")
    await step(store, "reopen")
    assert await verdicts(store) == []
    await step(store, "resolve", "dan")
    assert await verdicts(store) == [(ALERT.id, "true_positive", "dan")]


async def test_a_step_that_loses_changes_no_label(store: AlertStore) -> None:
    await store.put(ALERT)
    await step(store, "resolve")
    stale = done(transition(Case(ALERT.id), "benign", "dan", NOON))
    assert not await store.save_case(stale)
    assert await verdicts(store) == [(ALERT.id, "true_positive", "carol")]
    assert not await store.save_case(msgspec.structs.replace(stale, alert_id="nobody"))


async def test_what_comes_in_explained_is_labelled_until_it_is_not(store: AlertStore) -> None:
    await store.put(an_alert(status="resolved", resolution=EXPLAINED))
    assert await verdicts(store) == [(ALERT.id, "benign", "")]
    await store.put(an_alert(revision=2))
    assert await verdicts(store) == []
    await step(store, "resolve")
    await store.put(an_alert(revision=3, status="resolved", resolution=EXPLAINED))
    assert await verdicts(store) == [(ALERT.id, "true_positive", "carol")], "people have the last word"


async def test_a_notice_has_no_label(store: AlertStore) -> None:
    explained = an_alert(status="resolved", resolution=EXPLAINED)
    for notice in escalations(explained, Route("sec", escalate=(Step(Span(SECOND), "U1"),)), NOON):
        await store.put(notice)
        assert await store.labels() == []


async def test_in_redis_labels_outlive_their_alerts_are_bounded_and_expire(redis_store: RedisAlertStore) -> None:
    await redis_store.put(ALERT)
    await step(redis_store, "benign")
    *_, labels, labelled = redis_store._sets
    client = redis_store._client
    assert KEPT - 10 < await client.ttl(labels) <= KEPT
    assert KEPT - 10 < await client.ttl(labelled) <= KEPT
    await client.delete(redis_store._root + ALERT.id)
    assert await verdicts(redis_store) == [(ALERT.id, "benign", "carol")]
    await redis_store.put(an_alert(2))
    await step(redis_store, "resolve", at=NOON + (KEPT + 10) * MICROSECONDS, number=2)
    assert [alert_id for alert_id, _, _ in await verdicts(redis_store)] == [an_alert(2).id], "too old"
    assert await client.hlen(labels) == await client.zcard(labelled) == 1


async def test_in_redis_the_oldest_go_first(redis_store: RedisAlertStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerting.label_store.arguments", lambda alert, case: arguments(alert, case, most=3))
    for number in range(6):
        await redis_store.put(an_alert(number))
        await step(redis_store, "benign", at=NOON + number * SECOND, number=number)
    assert [alert_id for alert_id, _, _ in await verdicts(redis_store)] == [an_alert(n).id for n in (3, 4, 5)]


def test_in_memory_the_oldest_go_first() -> None:
    labels = MemoryLabels(most=3)
    for number in (5, 1, 4, 2, 3):
        alert = an_alert(number)
        labels.note(alert, done(transition(Case(alert.id), "benign", "carol", NOON + number)))
    assert [label.at - NOON for label in labels.since(0)] == [3, 4, 5]


def test_what_another_version_wrote_is_left_out() -> None:
    label = label_of(ALERT, done(transition(Case(ALERT.id), "benign", "carol", NOON)))
    good = b"1:" + msgspec.msgpack.encode(label)
    assert read([None, b"1:\x93", good, b"", b"nonsense"]) == [label]
