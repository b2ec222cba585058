"""What only the outbox in memory does; its contract is tested in test_store.py."""

from __future__ import annotations

from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import an_alert
from tests.alerting.test_store import shown


async def test_memory_forgets_the_oldest_delivered_only() -> None:
    store = MemoryAlertStore(delivered_kept=2)
    for number in range(5):
        await store.put(an_alert(number))
    for number in range(4):
        await store.receipt(an_alert(number).id, shown(an_alert(number)))
    assert [entry.alert for entry in await store.list(10)] == [an_alert(4), an_alert(3), an_alert(2)]


async def test_memory_forgets_old_purses() -> None:
    store = MemoryAlertStore()
    for day in range(1_500):
        await store.spend(f"{day}", "a", 1)
    assert (await store.spent("0"), await store.spent("1499")) == (0, 1)
