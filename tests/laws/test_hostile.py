"""Law 7: whoever writes the log may be the attacker. What he writes must stay text, and his clock must not count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting import alert as alerts
from alerting import console, slack
from audit.context import EMPTY
from audit.event import AuditEvent, from_line, to_line
from audit.sources.reader import FUTURE
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.files import records
from streams.normalise import RawMessage, normalise
from streams.packet import decode_events, parcels
from streams.replay import Source
from tests.laws.organisation import ARRIVAL, replayed

NASTY = (
    "\ud800", "half \udc00 pair", "\x00", "a\x1b[31mred\x1b[0m", "\u202egnp.exe", "\u2028new line", "line\nbreak\rtwo",
    "<!channel> <@U1|you> <https://evil.example|click>", "https://evil.example/a?b=c", "*bold* _it_ `code` ~x~",
    "&amp; < >", "{{7*7}} ${jndi:ldap://x}", "'; DROP TABLE users; --", "A" * 5000, "😀" * 400, "", " ", "\u0000\uffff",
    "%s%n%d", "../../etc/passwd", "e:user\x1f1", "]8;;http://x\x07link",
)  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

texts = st.sampled_from(NASTY) | st.text(st.characters(), max_size=40)


@pytest.fixture(scope="module")
def strict() -> Detections:
    return Detections(sigma.load([Path(__file__).with_name("rules.yml")]), default_model(), EMPTY)


@pytest.fixture(scope="module")
def samples(sources: list[Source]) -> list[tuple[str, bytes]]:
    """A few records of each source, as different as they come."""
    return [(source.name, next(iter(records(source.path)))[1]) for source in sources for _ in range(3)]


def leaves(node: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every text in a record."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if isinstance(value, str):
            yield node, key
        elif isinstance(value, dict | list):
            yield from leaves(value)


def poisoned(raw: bytes, random: Random, words: list[str]) -> bytes:
    """The record with about a third of its texts replaced, as JSON that keeps even what no JSON should hold."""
    record = orjson.loads(raw)
    for node, key in list(leaves(record)):
        if random.random() < 0.35:
            node[key] = random.choice(words)
    return _json(record)


def _json(value: Any) -> bytes:
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{unit:04x}" if not 32 <= unit < 127 or unit in b'"\\' else chr(unit) for unit in _units(value)
        )
        return f'"{escaped}"'.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(_json(key) + b":" + _json(inner) for key, inner in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_json, value)) + b"]"
    return orjson.dumps(value)


def _escaped(unit: int) -> str:
    return f"\\u{unit:04x}" if not 32 <= unit < 127 or unit in b'"\\' else chr(unit)


def _units(text: str) -> list[int]:
    packed = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2)]


@given(words=st.lists(texts, min_size=1, max_size=8), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_text_goes_through_to_people_and_stays_text(
    strict: Detections, samples: list[tuple[str, bytes]], words: list[str], seed: int
) -> None:
    random = Random(seed)
    messages = [
        RawMessage(name, 0, at, ARRIVAL, poisoned(raw, random, words)) for at, (name, raw) in enumerate(samples)
    ]
    outputs, faults = normalise(messages, strict.context)
    assert {fault.offset for fault in faults} | {output.mark >> 28 for output in outputs} == set(range(len(messages)))
    events = [event for _, payload in parcels(outputs, {0: "a"}, 1) for event in decode_events(payload).items]
    assert [from_line(to_line(event)) for event in events] == events
    result = replayed(events, strict, 5).result
    assert not result.faults
    assert len(result.alerts) >= bool(events)
    for alert in result.alerts.values():
        line = alerts.to_line(alert)
        assert alerts.from_line(line) == alert
        assert not any(byte < 32 for byte in line)
        _check_slack(slack.render(alert))
        assert not CONTROL.search(str(console.render(alert)))


def _check_slack(message: slack.Message) -> None:
    shown = [message.text, *_texts(message.blocks)]
    for text in shown:
        assert not CONTROL.search(text)
        assert not re.search(r"https?://", text, re.IGNORECASE)
        assert "<" not in text
        assert ">" not in text
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    orjson.dumps(message.blocks)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _texts(inner)


def test_a_time_far_ahead_is_replaced_and_marked(samples: list[tuple[str, bytes]], strict: Detections) -> None:
    message = RawMessage(samples[0][0], 0, 0, 1_000_000_000_000_000, samples[0][1])
    (output,), _ = normalise([message], strict.context)
    event: AuditEvent = output.item
    assert (event.time, event.marks) == (message.arrival, ("time_replaced",))
    within = RawMessage(*message[:3], orjson.loads(samples[0][1]) and ARRIVAL, message.payload)
    (output,), _ = normalise([within], strict.context)
    assert output.item.marks == ()
    assert output.item.time < ARRIVAL + FUTURE
