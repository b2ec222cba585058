from __future__ import annotations

from io import StringIO

import pytest

from alerting.alert import to_line
from alerting.console import ConsoleNotifier
from alerting.dispatcher import Delivered
from alerting.intake import enqueue_lines
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import Clock, an_alert
from tests.alerting.scripted import drained


async def test_lines_go_through_the_outbox(store: AlertStore, clock: Clock) -> None:
    lines: list[bytes | str] = [to_line(an_alert(1)), b"", to_line(an_alert(2)).decode() + "\n", to_line(an_alert(1))]
    assert await enqueue_lines(store, lines) == 2
    stream = StringIO()
    assert await drained(store, ConsoleNotifier(stream), clock) == Delivered(2, 0)
    assert stream.getvalue().count("Root login") >= 2
    assert await enqueue_lines(store, lines) == 0


async def test_bad_lines_are_named_and_nothing_is_taken_in() -> None:
    store = MemoryAlertStore()
    with pytest.raises(ValueError, match=r"line 2: .*malformed(?s:.*)line 4: .*severity"):
        await enqueue_lines(store, (to_line(an_alert(1)), b"{nope", b"", b'{"id": "a", "time": "x", "title": "t"}'))
    assert await store.list(10) == []
    with pytest.raises(ValueError, match="and 2 more bad lines"):
        await enqueue_lines(store, [b"x"] * 12)
