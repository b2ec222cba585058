"""Live snapshots: one worker builds from what Redis holds, all take it, and none is built without need."""

from __future__ import annotations

import time

from detectors.peers import Snapshot
from streams.principal import Principal
from streams.snapshots import HOUR, KEY
from streams.store import RedisStateStore, Write, connect
from tests.detectors.test_peers import baseline
from tests.e2e.house import House, until

MEMBERS = 7


async def test_one_worker_builds_what_is_due_and_both_take_it(empty_house: House) -> None:
    started = int(time.time() * 1e6)
    empty_house.snapshot_hours = 6
    client = connect(empty_house.settings)
    entries = [
        entry
        for number in range(MEMBERS)
        for entry in Principal(baseline(1, 2, 100 + number)).pack(f"okta:person{number}")
        if entry.value
    ]
    write = Write(99, None, b"a partition of nobody's", entries)
    assert await RedisStateStore(client, "events").save([write]) == [True]
    await client.set(KEY, Snapshot(started - 7 * HOUR).pack())

    one, two = empty_house.worker(), empty_house.worker()
    await until("both to take it", lambda: all(w.metric("auditwatch_snapshot_groups") == 1 for w in (one, two)))
    stored = Snapshot.unpack(await client.get(KEY))
    assert stored.made >= started
    assert stored.groups["org"].members == MEMBERS
    assert 1 <= sum("built in" in worker.said for worker in (one, two)) <= 2

    three = empty_house.worker()
    await three.until("its start", lambda: three.metric("auditwatch_snapshot_groups") == 1)
    assert "built in" not in three.said
    assert Snapshot.unpack(await client.get(KEY)).made == stored.made
    await client.aclose()


async def test_a_fresh_worker_builds_none_at_its_start(empty_house: House) -> None:
    empty_house.snapshot_hours = 6
    client = connect(empty_house.settings)
    worker = empty_house.worker()
    await worker.ready()
    assert await client.get(KEY) is None
    assert "snapshot" not in worker.said
    worker.end()
    await client.aclose()
