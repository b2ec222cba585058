"""The ledger of real processes: killed and started again, each decision stands in it once, and the chain is sound."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from aiokafka import AIOKafkaProducer

from alerting.alert import to_line
from alerting.ledger import keys_of, read_record
from alerting.ledger_verify import verify
from streams.kafka import ALERTS, client_options, ensure_topics
from streams.ledger import ledger_of
from tests.alerting.conftest import an_alert
from tests.e2e.house import House, until

SECRET = "0123456789abcdef0123456789abcdef"
ALERTS_SENT = 120


async def send(built: House, numbers: range) -> None:
    await ensure_topics(built.settings, [ALERTS])
    producer = AIOKafkaProducer(**client_options(built.settings))
    await producer.start()
    for number in numbers:
        await producer.send_and_wait(ALERTS, to_line(an_alert(number)), partition=0)
    await producer.stop()


async def kept(built: House) -> list[bytes]:
    ledger = ledger_of(built.settings)
    lines = [line async for line in ledger.lines()]
    await ledger.close()
    return lines


async def written(built: House, enough: int) -> Counter[tuple[str, str]]:
    """How many records there are of each kind and subject, once so many alerts were sent."""
    async with asyncio.timeout(90):
        while True:
            told = [read_record(line) for line in await kept(built)]
            if sum(one.kind == "sent" for one in told) >= enough:
                return Counter((one.kind, one.subject) for one in told)
            await asyncio.sleep(0.02)


async def test_killed_again_and_again(small_house: House, tmp_path: Path) -> None:
    (tmp_path / "auditwatch.toml").write_text('ledger = "ledger"\n')
    small_house.environment["AUDITWATCH_LEDGER_KEY"] = SECRET
    await send(small_house, range(ALERTS_SENT))
    for enough in (1, ALERTS_SENT // 3, 2 * ALERTS_SENT // 3):
        dispatcher = small_house.start("dispatcher")
        await written(small_house, enough)
        dispatcher.kill()
    dispatcher = small_house.start("dispatcher")
    kinds = await written(small_house, ALERTS_SENT)
    wanted = {(kind, an_alert(number).id) for kind in ("raised", "sent") for number in range(ALERTS_SENT)}
    assert {one for one in kinds if one[0] in ("raised", "sent")} == wanted
    assert {one: number for one, number in kinds.items() if one in wanted and number != 1} == {}
    assert kinds["started", "dispatcher"] == 4
    await until("an anchor", (tmp_path / "ledger" / "anchors.log").exists, program=dispatcher)
    dispatcher.end()
    report = verify(await kept(small_house), keys_of(SECRET))
    assert report.problems == []
    assert report.keyed == report.records
    assert SECRET not in dispatcher.said + dispatcher.shown
