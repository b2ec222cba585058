"""Alerts as an attacker would have them: every text of the log, and of the alert line, is hostile."""

from __future__ import annotations

from hypothesis import strategies as st

from alerting.case import Case, Step
from audit.brief import EventBrief, Measure
from audit.finding import Version
from tests.alerting.conftest import NOON, a_finding, an_alert

HOSTILE = (
    "<!channel> <@U123> <#C1|x> <https://evil.example|click> https://evil.example/a HTTP://evil.example",
    "*bold* _it_ ~strike~ `code` ```block``` :skull: @here &lt;!here&gt; & &amp;",
    "\u202egpj.exe\u2066\u200b\x00\x1b[31m\x07\r\n> quote\n• forged",
    "```\n*free* <!here> ```",
    "{principal} {address} {resource} {target} {nothing}",
    "🔥" * 5000,
    "&" * 100_000,
    "<" * 3000,
    "`" * 3000,
    "\u0430\u0301" * 2000,
    "x" * 1_000_000,
    "",
    "\ud800",
)
hostile = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=50)
few = st.lists(hostile, max_size=6).map(tuple)
many = st.lists(hostile, max_size=60).map(tuple)
times = st.integers(-(2**62), 2**62) | st.integers(NOON, NOON + 10**12)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
briefs = st.builds(EventBrief, times, *[hostile] * 9)
numbers = st.floats(-1e300, 1e300, allow_nan=False) | st.integers(0, 100).map(float)
findings = st.builds(
    a_finding,
    title=hostile,
    kind=st.sampled_from(["rule", "correlation", "anomaly", "access"]),
    detection=hostile,
    author=hostile,
    reasons=many,
    principal=hostile,
    runbook=few,
    attack=few,
    explained=hostile,
    doubts=few,
    severity=st.sampled_from(["low", "critical"]),
)
hostile_alerts = st.builds(
    an_alert,
    id=ids,
    title=hostile,
    summary=hostile,
    principal=hostile,
    entity=hostile,
    reasons=many,
    attack=many,
    event_ids=many,
    findings=st.lists(findings, max_size=12).map(tuple),
    resolution=st.none() | hostile,
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    status=st.sampled_from(["open", "acknowledged", "resolved"]),
    version=st.builds(Version, hostile, hostile, hostile),
    evidence=st.lists(briefs, max_size=20).map(tuple),
    measures=st.lists(st.builds(Measure, hostile, numbers, numbers), max_size=8).map(tuple),
)
hostile_cases = st.none() | st.builds(
    Case,
    alert_id=st.just("a"),
    status=st.sampled_from(["open", "acknowledged", "resolved", "reopened"]),
    resolution=st.none() | hostile,
    version=st.integers(0, 2**53),
    actor=hostile,
    at=times,
    note=hostile,
    assignee=hostile,
    snoozed_until=times,
    steps=st.just((Step("ack", "x", 0),)),
)
