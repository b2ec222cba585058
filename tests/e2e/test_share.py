"""Two workers: they share the partitions, take over from each other, and a sleeper that wakes up does no harm."""

from __future__ import annotations

import logging
import time

from audit.sources import SOURCES
from tests.e2e.conftest import Logs
from tests.e2e.exact import assert_exact
from tests.e2e.flow import Flow
from tests.e2e.house import PARTITIONS, RAW_PARTITIONS, House, Program, until
from tests.e2e.logbook import Logbook

log = logging.getLogger(__name__)
ALL = RAW_PARTITIONS * len(SOURCES) + PARTITIONS + PARTITIONS


def owned(worker: Program) -> float:
    return worker.metric("auditwatch_partitions")


async def test_partitions_move_between_workers_and_nothing_else_does(empty_house: House, logs: Logs) -> None:
    empty_house.context = logs.context
    one, two = empty_house.worker(), empty_house.worker()
    await until("both to share", lambda: 0 < owned(one) < ALL and owned(one) + owned(two) == ALL)
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, logs.files)
        await flow.send(0.2, seconds=2)
        await until("both to fold", lambda: all(w.metric("auditwatch_folded_total") for w in (one, two)))

        one.kill()
        killed = time.monotonic()
        await flow.send(0.4, seconds=4)
        await two.until("two to own all", lambda: owned(two) == ALL)
        log.info("taken over %.1f s after a SIGKILL", time.monotonic() - killed)

        three = empty_house.worker()
        await flow.send(0.5, seconds=4)
        await three.until("sharing", lambda: owned(three) > 0 and owned(two) + owned(three) == ALL)
        await flow.send(0.6, seconds=1)
        two.freeze()
        await flow.send(0.8, seconds=4)
        await three.until("three to own all", lambda: owned(three) == ALL)
        two.thaw()
        await flow.send(0.9, seconds=2)
        await until("two to come back", lambda: 0 < owned(three) < ALL and owned(two) + owned(three) == ALL)

        log.info("two ended in %.1f s", two.end())
        ended = time.monotonic()
        await three.until("three to own all again", lambda: owned(three) == ALL)
        log.info("taken over %.1f s after a SIGTERM", time.monotonic() - ended)
        await flow.close()
        await assert_exact(book, logs.detections, logs.ids)
