from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerting import notice
from alerting.route import Route, Step
from alerting.slack_notice import render_notice
from tests.alerting.conftest import NOON, an_alert
from tests.alerting.slack_server import complaints

hostile = st.one_of(
    st.text(max_size=50),
    st.text(st.sampled_from("<!>&@channel😀\u202e \n`*_"), min_size=1, max_size=400),
    st.just("<!channel> http://evil.example " * 200),
    st.just("😀" * 5_000),
    st.just("&" * 5_000),
)


@given(hostile, hostile, st.integers(1, 40))
def test_any_digest_stays_within_slacks_limits_and_pings_nobody(title: str, name: str, count: int) -> None:
    alerts = [an_alert(n, title=f"{n} {title}", principal=name) for n in range(count)]
    message = render_notice(notice.digest(None, "digest:1", "sec", NOON, alerts))
    body = msgspec.structs.asdict(message)
    assert complaints(body) == []
    assert "<!channel>" not in str(body)
    assert "http://evil" not in str(body)


@given(hostile, hostile)
def test_any_escalation_does_too(title: str, reason: str) -> None:
    alert = an_alert(1, title=title, summary=title, reasons=(reason,) * 30)
    body = msgspec.structs.asdict(render_notice(notice.raised(alert, "page", NOON)))
    assert complaints(body) == []
    assert "<!channel>" not in str(body)


def test_it_can_be_found_again_and_says_where_to_look() -> None:
    escalation = notice.raised(an_alert(1, severity="critical"), "page", NOON)
    message = render_notice(escalation)
    assert message.metadata["event_payload"] == {"alert_id": escalation.id, "revision": 1, "severity": "critical"}
    assert an_alert(1).id in str(message.blocks)
    assert "It became critical" in str(message.blocks)


def test_a_digest_shows_severities_as_signs() -> None:
    alerts = [an_alert(1, severity="medium", title="Odd"), an_alert(2, severity="low", title="high: forged")]
    lines = render_notice(notice.digest(None, "digest:1", "sec", NOON, alerts)).blocks[1]["text"]["text"].split("\n")
    assert lines[0].startswith("🟡 Odd (alice")
    assert lines[1].startswith("🔵 high: forged"), "the sign is the desk's, not the title's"


def test_an_escalation_says_enough_to_get_up_and_can_be_acknowledged_there() -> None:
    alert = an_alert(1, reasons=tuple(f"reason {n}" for n in range(9)))
    route = Route("sec", escalate=(Step(15 * 60 * 1_000_000, "lead"),))
    (told,) = notice.escalations(alert, route, NOON)
    message = render_notice(told)
    text = str(message.blocks)
    for needed in ("Nobody has acknowledged it for 15m", "*Who* `alice`", "*So what* An account", "and 6 more reasons"):
        assert needed in text
    (button,) = next(block for block in message.blocks if block["type"] == "actions")["elements"]
    assert (button["action_id"], json.loads(button["value"])) == ("case.ack", {"alert_id": alert.id, "version": 0})
