"""One alert of each kind, as they look in an ordinary company: for pictures, and for tests that want something real."""

from __future__ import annotations

import msgspec

from alerting import ask_notice
from alerting.alert import EXPLAINED, Alert
from alerting.ask import Ask, Asked
from alerting.ask_message import render_ask
from alerting.case import Case, Step, take
from alerting.notice import digest, escalations
from alerting.route import Route
from alerting.route import Step as RouteStep
from alerting.slack_message import Message, render
from alerting.slack_notice import render_notice
from audit.brief import EventBrief, Measure
from audit.finding import RISK, Finding, Version, stable_id
from tests.alerting.conftest import HOUR, NOON, SECOND

MINUTE = 60 * SECOND
MADE = Version("2a6b9169ef4a", "7a07595692fc", "3f363411cc29")


def _finding(detection: str, title: str, severity: str, reasons: tuple[str, ...], **more: object) -> Finding:
    finding = Finding(
        id=detection,
        time=NOON,
        kind="rule",
        detection=detection,
        title=title,
        severity=severity,  # type: ignore[arg-type]
        risk=RISK[severity],  # type: ignore[index]
        principal="",
        entity="",
        event_ids=(),
        reasons=reasons,
        version=MADE,
        author="auditwatch",
    )
    return msgspec.structs.replace(finding, **more)


def _alert(principal: str, findings: tuple[Finding, ...], evidence: tuple[EventBrief, ...], **more: object) -> Alert:
    entity = str(more.pop("entity", f"user:{principal}"))
    findings = tuple(msgspec.structs.replace(one, principal=principal, entity=entity) for one in findings)
    first = findings[0]
    alert = Alert(
        id=stable_id(principal, entity, first.detection),
        time=evidence[0].time,
        severity=first.severity,
        risk=min(100, sum(one.risk for one in findings)),
        principal=principal,
        entity=entity,
        title=first.title,
        summary="",
        findings=findings,
        event_ids=tuple(one.id for one in evidence),
        reasons=tuple(reason for one in findings for reason in one.reasons),
        attack=tuple(dict.fromkeys(technique for one in findings for technique in one.attack)),
        version=MADE,
        key=entity,
        count=len(findings),
        evidence=evidence,
    )
    return msgspec.structs.replace(alert, **more)


def _events(*rows: tuple[int, str, str, str, str, str, str], actor: str, target: str = "") -> tuple[EventBrief, ...]:
    """Rows of (seconds after noon, source, action, outcome, resource, address, country)."""
    return tuple(
        EventBrief(NOON + at * SECOND, f"e{place}", source, action, outcome, actor, target, resource, address, country)
        for place, (at, source, action, outcome, resource, address, country) in enumerate(rows)
    )


def critical() -> Alert:
    """Rules and a correlation about one person."""
    findings = (
        _finding(
            "secrets-after-admin",
            "Secrets listed after cluster-admin was bound",
            "critical",
            ("2 matching events for user.username victor.novak@acornlabs.example, from 12:01:00 to 12:05:00",),
            kind="correlation",
            attack=("T1552.007", "T1098.006"),
            runbook=(
                "Remove the binding unless a ticket covers it.",
                "Take every secret the list answered for known to others, and rotate it.",
                "Ask {principal}, over another channel, whether that was them.",
            ),
        ),
        _finding(
            "cluster-admin-bound",
            "cluster-admin bound",
            "high",
            (
                "A binding to cluster-admin, the role that may do everything, was created or changed.",
                "verb is create",
                "objectRef.resource is clusterrolebindings",
                "requestObject.roleRef.name is cluster-admin",
            ),
            attack=("T1098.006",),
        ),
        _finding(
            "anomaly.forest",
            "Unusual for victor.novak@acornlabs.example: create",
            "high",
            (
                "first privileged create serviceaccounts by this principal (466 events known); 0 of 17 others in team "
                "engineering do",
            ),
            kind="anomaly",
            author="",
        ),
    )
    address, country = "198.51.100.43", "US"
    evidence = _events(
        (0, "kubernetes", "create", "success", "serviceaccounts kube-system/log-shipper", address, country),
        (60, "kubernetes", "create", "success", "clusterrolebindings log-shipper", address, country),
        (180, "kubernetes", "create", "success", "serviceaccounts/token kube-system/log-shipper", address, country),
        (300, "kubernetes", "list", "success", "secrets kube-system/*", address, country),
        actor="victor.novak",
    )
    return _alert("victor.novak", findings, evidence, count=9, revision=14)


def anomaly() -> Alert:
    """Strange behaviour with numbers."""
    reasons = (
        "2472 km from where it was 52 min before: 2829 km/h; usual: ES, DE",
        "first time from RO (AS64501) (366 events known); usual: ES, DE, vpn; 0 of 17 others in team engineering do",
        "first time with boto3 linux (366 events known); usual: chrome mac, aws-cli mac, git",
    )
    title = "Unusual for bruno.young: GetCallerIdentity"
    findings = (
        _finding("anomaly.forest", title, "high", reasons, kind="anomaly", risk=77, author=""),
        _finding(
            "denied",
            "Many denied actions by one person",
            "medium",
            ("30 matching events for actor.id bruno.young, from 12:00:20 to 12:02:27",),
            kind="correlation",
            attack=("T1580", "T1087"),
            runbook=(
                "Ask {principal} what runs under their name.",
                "Look at which doors were tried: many kinds mean exploration, one kind means a broken script.",
            ),
        ),
    )
    address, country = "192.0.2.33", "RO"
    evidence = _events(
        (0, "cloudtrail", "GetCallerIdentity", "success", "service sts.amazonaws.com", address, country),
        (20, "cloudtrail", "DescribeRepositories", "denied", "service ecr.amazonaws.com", address, country),
        (21, "cloudtrail", "GetSendQuota", "denied", "service ses.amazonaws.com", address, country),
        (22, "cloudtrail", "ListBuckets", "denied", "service s3.amazonaws.com", address, country),
        (147, "cloudtrail", "ListPolicies", "denied", "service iam.amazonaws.com", address, country),
        actor="bruno.young",
    )
    measures = (Measure("events in 15 min", 33.5, 4.5), Measure("refused in 15 min", 27.8, 0.5))
    ids = tuple(f"e{number}" for number in range(37))
    return _alert("bruno.young", findings, evidence, measures=measures, event_ids=ids, count=38, revision=69)


def correlation() -> Alert:
    """An address that tries one password on many accounts."""
    finding = _finding(
        "password-spray",
        "One address, failed logins of many users",
        "high",
        (
            "48 matching events for source_ip 203.0.113.77, from 12:00:00 to 12:01:00",
            "24 distinct values of actor.id: amir.costa, ana.silva, boris.fraser and 21 more",
        ),
        kind="correlation",
        attack=("T1110.003",),
        runbook=(
            "See whether one of the logins from {address} succeeded.",
            "Block the address; reset the passwords that were guessed.",
        ),
    )
    rows = [(number * 12, "okta", "user.session.start", "failure", "", "203.0.113.77", "NL") for number in range(6)]
    names = ("amir.costa", "ana.silva", "boris.fraser", "carla.weber", "dana.kim", "elena.eriksen")
    evidence = tuple(
        msgspec.structs.replace(one, actor=name) for one, name in zip(_events(*rows, actor=""), names, strict=True)
    )
    ids = tuple(f"e{number}" for number in range(48))
    return _alert("", (finding,), evidence, entity="ip:203.0.113.77", event_ids=ids, revision=48)


def acknowledged() -> tuple[Alert, Case]:
    """Somebody is on it."""
    alert = shared_bucket()
    return alert, _after(alert, Step("ack", "dana.kim", NOON + 4 * MINUTE, "calling Tomas"))


def resolved() -> tuple[Alert, Case]:
    """Closed as harmless."""
    alert = shared_bucket()
    first = _after(alert, Step("ack", "dana.kim", NOON + 4 * MINUTE))
    done = take(first, Step("benign", "dana.kim", NOON + 31 * MINUTE, "partner export, ticket SEC-118"))
    assert isinstance(done, Case)
    return alert, done


def explained() -> Alert:
    """What declared paper explains, closed by itself."""
    alert = critical()
    why = "change CHG-2104 (cluster upgrade) of victor.novak, 31 Jan 11:30 to 14:00 UTC, approved by dana.kim"
    findings = tuple(msgspec.structs.replace(one, explained=why) for one in alert.findings[1:2])
    first = findings[0]
    return msgspec.structs.replace(
        alert,
        id=stable_id("explained"),
        title=first.title,
        severity=first.severity,
        risk=first.risk,
        findings=findings,
        reasons=first.reasons,
        attack=first.attack,
        evidence=alert.evidence[1:2],
        event_ids=("e1",),
        count=1,
        status="resolved",
        resolution=EXPLAINED,
    )


def question() -> Alert:
    """What the person gets who is asked."""
    asked = Asked("tomas.olsen", "U07TOMAS")
    ask = Ask((asked,), 15 * MINUTE, "dana.kim", NOON)
    return ask_notice.question(shared_bucket(), ask, 0, NOON)


def _after(alert: Alert, step: Step) -> Case:
    case = take(Case(alert.id), step)
    assert isinstance(case, Case)
    return case


def shared_bucket() -> Alert:
    """A snapshot shared with a stranger."""
    finding = _finding(
        "shared-with-stranger",
        "Something shared with an account that is not ours",
        "high",
        (
            "A snapshot, image or bucket was opened to an AWS account that is not declared.",
            "eventName is ModifySnapshotAttribute",
            "requestParameters.attributeType is CREATE_VOLUME_PERMISSION",
        ),
        attack=("T1537",),
        runbook=("Take the permission on {resource} away.", "List what the other account copied, and tell the owner."),
    )
    evidence = _events(
        (0, "cloudtrail", "CreateSnapshot", "success", "AWS::EC2::Volume vol-0a1b2c3d", "100.64.9.12", "GB"),
        (95, "cloudtrail", "ModifySnapshotAttribute", "success", "AWS::EC2::Snapshot snap-07f1e2", "100.64.9.12", "GB"),
        actor="tomas.olsen",
    )
    return _alert("tomas.olsen", (finding,), evidence)


def quiet_digest() -> Alert:
    """What did not need a message each."""
    titles = (
        ("Port of a pod forwarded", "low", ("david.schmidt", "quinn.iyer", "quinn.iyer")),
        ("Repository made public for an hour", "medium", ("omar.moreau",)),
        ("Login through a new provider", "low", ("jin.ortega", "uma.murphy")),
    )
    alerts = [
        msgspec.structs.replace(
            shared_bucket(), id=stable_id(title, place), title=title, severity=severity, principal=name
        )
        for title, severity, names in titles
        for place, name in enumerate(names)
    ]
    return digest(None, "digest:1", "#security-low", NOON + 5 * HOUR, alerts)


def escalation() -> Alert:
    """Nobody has acknowledged it."""
    route = Route("default", escalate=(RouteStep(15 * MINUTE, "#security-leads", "high"),))
    return next(iter(escalations(critical(), route, NOON)))


def messages() -> dict[str, list[Message]]:
    """Name of a picture -> the messages in it."""
    return {
        "critical": [render(critical())],
        "anomaly": [render(anomaly())],
        "correlation": [render(correlation())],
        "acknowledged": [render(*acknowledged())],
        "resolved": [render(*resolved())],
        "explained": [render(explained())],
        "question": [render_ask(question())],
        "notices": [render_notice(quiet_digest()), render_notice(escalation())],
    }
