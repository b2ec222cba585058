"""What a false positive offers: the exception loads, excuses what it says, and never what was real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from alerting.alert import Alert
from alerting.case import Case, transition
from alerting.notifier import Permanent, Receipt
from alerting.store_memory import MemoryAlertStore
from audit.brief import brief
from audit.event import AuditEvent, Principal, Resource
from audit.finding import stable_id
from rules.compile import RuleSet
from rules.sigma import load
from streams.offer import Asker, Offer, Past, offers, told
from streams.offering import Offering, offered
from streams.settings import Settings
from tests.alerting.conftest import NOON, SECOND, a_finding, an_alert
from tests.alerting.hostile import hostile_alerts

RULE_ID = "11111111-1111-4111-8111-111111111111"
RULE = f"""
title: A policy is attached
id: {RULE_ID}
status: test
description: Tests.
author: auditwatch
date: 2026-01-01
level: high
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: AttachUserPolicy}}, condition: s}}
falsepositives: [none]
"""
ASKER = Asker("carol", "the pipeline does that", NOON)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rules")
    (place / "rule.yml").write_text(RULE)
    return place


@pytest.fixture(scope="module")
def rules(folder: Path) -> RuleSet:
    return load([folder])


def event(number: int, actor: str = "ci", **changes: Any) -> AuditEvent:
    given: dict[str, Any] = {
        "id": f"e{number}",
        "time": NOON + number * SECOND,
        "source": "cloudtrail",
        "action": "AttachUserPolicy",
        "outcome": "success",
        "actor": Principal(actor, f"arn:{actor}"),
        "resource": Resource("policy", "AdministratorAccess"),
        "source_ip": "192.0.2.1",
        "raw": orjson.dumps({"eventName": "AttachUserPolicy"}),
    }
    return AuditEvent(**given | changes)


def alert_of(number: int, *events: AuditEvent, **changes: Any) -> Alert:
    ids = tuple(one.id for one in events)
    finding = a_finding(id=f"f{number}", detection=RULE_ID, title="A policy is attached", event_ids=ids)
    given = {"findings": (finding,), "event_ids": ids, "evidence": tuple(map(brief, events))}
    return an_alert(number, **given | changes)


def excuses(text: str, folder: Path, tmp_path: Path, one: AuditEvent) -> bool:
    """Whether the exception, loaded as the worker loads it, excuses an event."""
    (tmp_path / "exception.yml").write_text(text)
    loaded = load([folder, tmp_path / "exception.yml"])
    return bool(loaded.excused(RULE_ID, one, orjson.loads(one.raw)))


def one_of(made: list[Offer]) -> Offer:
    (offer,) = made
    return offer


def test_the_exception_excuses_what_it_says_and_nothing_real(rules: RuleSet, folder: Path, tmp_path: Path) -> None:
    false = alert_of(1, event(1), event(2))
    again, real, other = alert_of(2, event(3)), alert_of(3, event(4, "mallory")), alert_of(4, event(5, "bob"))
    offer = one_of(offers(false, Past([false, again, real, other], {real.id}), rules, ASKER))
    assert "owner: carol" in offer.exception
    assert "reason: the pipeline does that" in offer.exception
    assert "created: '2026-01-31'" in offer.exception
    assert "expires: '2026-03-02'" in offer.exception
    assert (
        "It would have excused 2 of the 4 alerts with this rule since 2026-01-31; 2 of them would not" in offer.effect
    )
    assert "1 of the 4 were real: none of those is excused." in offer.effect
    assert f"auditwatch rules tune {RULE_ID}" in offer.effect
    held = {
        one.id: excuses(offer.exception, folder, tmp_path, one) for one in (event(1), event(3), event(4, "mallory"))
    }
    assert held == {"e1": True, "e3": True, "e4": False}


def test_where_only_a_real_one_is_alike_nothing_is_offered(rules: RuleSet) -> None:
    false, real = alert_of(1, event(1)), alert_of(2, event(2))
    offer = one_of(offers(false, Past([false, real], {real.id}), rules, ASKER))
    assert offer.exception == ""
    assert offer.effect.startswith("No exception is offered: refused: every exception that takes")
    assert "rules tune" in offer.effect


def test_without_events_in_brief_nothing_is_offered(rules: RuleSet) -> None:
    bare = alert_of(1, event(1), evidence=())
    assert one_of(offers(bare, Past([bare]), rules, ASKER)).exception == ""


def test_what_was_cut_or_redacted_is_no_condition(rules: RuleSet) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    long = event(1, "x" * 500, resource=Resource("policy", f"token={secret}"), source_ip=None)
    offer = one_of(offers(alert_of(1, long), Past([alert_of(2, event(2))]), rules, ASKER))
    for word in ("…", "redacted", secret, "xxx"):
        assert word not in offer.exception


def test_the_name_of_a_pod_is_no_condition(rules: RuleSet) -> None:
    pod = event(1, resource=Resource("pods", "payments/api-b4acb46f0-57fe3"))
    offer = one_of(offers(alert_of(1, pod), Past([alert_of(2, event(2, "bob"))]), rules, ASKER))
    assert "57fe3" not in offer.exception
    assert "auditwatch.actor.id: ci" in offer.exception


def test_an_alert_of_several_detections_is_not_gone_without_one(rules: RuleSet) -> None:
    false = alert_of(1, event(1))
    more = an_alert(2, findings=(*alert_of(2, event(2)).findings, a_finding(id="x")), evidence=(brief(event(2)),))
    offer = one_of(offers(false, Past([false, more]), rules, ASKER))
    assert "excused 2 of the 2 alerts with this rule since 2026-01-31; 1 of them" in offer.effect


def test_an_anomaly_says_what_is_learnt_and_until_when(rules: RuleSet) -> None:
    found = a_finding(kind="anomaly", detection="anomaly", title="Unusual for alice", reasons=("new country PT",))
    offer = one_of(offers(an_alert(findings=(found,)), Past([]), rules, ASKER))
    assert offer.exception == ""
    assert "Learnt as usual for alice, as far as it is still held: new country PT." in offer.effect
    assert "It counts half after 14 days and a sixteenth on 2026-03-28" in offer.effect


def test_what_is_neither_rule_nor_anomaly_offers_nothing(rules: RuleSet) -> None:
    assert offers(an_alert(findings=(a_finding(kind="access", detection="access"),)), Past([]), rules, ASKER) == []


def test_the_text_is_yaml_to_paste(rules: RuleSet, folder: Path, tmp_path: Path) -> None:
    anomaly = a_finding(
        id="f9", kind="anomaly", detection="anomaly", title="odd\n\x1b[31mred: *", reasons=("a\nb: - c",)
    )
    alert = alert_of(1, event(1))
    alert = an_alert(1, findings=(*alert.findings, anomaly), event_ids=alert.event_ids, evidence=alert.evidence)
    text = told(offers(alert, Past([alert, alert_of(2, event(2, "bob"))]), rules, ASKER))
    assert text.startswith("# A policy is attached\n# It would have excused 1 of the 2 alerts")
    assert "# odd red: *\n# Learnt as usual" in text
    assert excuses(text, folder, tmp_path, event(1))
    assert not excuses(text, folder, tmp_path, event(2, "bob"))


@settings(max_examples=40, deadline=None)
@given(hostile_alerts)
def test_whatever_the_log_says_it_stays_a_comment_or_a_value(rules: RuleSet, folder: Path, alert: Alert) -> None:
    ids = tuple(one.id for one in alert.evidence[:3])
    finding = a_finding(detection=RULE_ID, title=alert.title, event_ids=ids)
    anomaly = a_finding(id="x", kind="anomaly", detection="anomaly", title=alert.title, reasons=alert.reasons)
    made = offers(an_alert(1, findings=(finding, anomaly), evidence=alert.evidence), Past([]), rules, ASKER)
    for line in told([one for one in made if not one.exception]).splitlines():
        assert line.startswith("# ") or line in ("", "---")
    for one in made:
        if one.exception:
            place = folder.parent / f"{stable_id(told([one]))}.yml"
            place.write_text(told([one]), "utf-8")
            assert len(load([folder, place]).exceptions) == 1
            place.unlink()


def done(case: Case | Any) -> Case:
    assert isinstance(case, Case)
    return case


async def _stored(store: MemoryAlertStore, alert: Alert, action: Any) -> Case:
    await store.put(alert)
    await store.receipt(alert.id, Receipt(1, "high", "C1", "1.2", NOON))
    case = done(transition(Case(alert.id), action, "carol", NOON, "terraform does it"))
    assert await store.save_case(case)
    return case


async def test_it_is_gathered_from_the_outbox_and_shown_in_the_thread(folder: Path) -> None:
    store, shown = MemoryAlertStore(), list[tuple[str, str, str]]()

    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        shown.append((receipt.message_id, name, content.decode()))

    offering = Offering(Settings(rules=(folder,)), store, attach)
    false, real = alert_of(1, event(1)), alert_of(2, event(2, "mallory"))
    await offering(real, await _stored(store, real, "resolve"))
    assert shown == []
    case = await _stored(store, false, "false_positive")
    await offering(false, case)
    ((place, name, text),) = shown
    assert (place, name.endswith(".yml")) == ("1.2", True)
    assert "owner: carol\n  reason: terraform does it" in text
    assert "1 of the 2 were real: none of those is excused." in text
    made = await offered(offering.settings, store, false, case)
    assert told(made) == text


async def test_an_alert_without_a_message_is_offered_nothing_in_slack(folder: Path) -> None:
    store, shown = MemoryAlertStore(), list[str]()

    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        shown.append(name)

    alert = alert_of(1, event(1))
    await store.put(alert)
    case = done(transition(Case(alert.id), "false_positive", "carol", NOON))
    await store.save_case(case)
    await Offering(Settings(rules=(folder,)), store, attach)(alert, case)
    assert shown == []


async def test_a_slack_that_takes_no_files_is_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, alert = MemoryAlertStore(), alert_of(1, event(1))

    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        raise Permanent("missing_scope")

    await Offering(Settings(rules=(folder,)), store, attach)(alert, await _stored(store, alert, "false_positive"))
    assert f"missing_scope; auditwatch alerts resolve {alert.id} --as false_positive shows it" in caplog.text
