"""What tells the baselines of verdicts: kept in the outbox until the broker has it, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from aiokafka.errors import KafkaError

from alerting.alert import Alert
from alerting.case import Case
from alerting.store import AlertStore, StoreUnavailable
from streams.control import send, verdict_on
from streams.kafka import KafkaProblem
from streams.metrics import count
from streams.packet import Control
from streams.settings import Settings, SettingsError

log = logging.getLogger("auditwatch.teach")

TRY_SECONDS = 30.0
"""Between two tries while the broker is away."""
AT_ONCE = 500
AGAIN = "to tell them, resolve it once more with `auditwatch alerts resolve`"


@dataclass(slots=True)
class Teach:
    """A hook for the steps of cases. A verdict told twice counts once: it bears the same id."""

    settings: Settings
    store: AlertStore

    async def __call__(self, alert: Alert, case: Case) -> None:
        """Sends what the case's resolution amounts to, if it has one; what cannot be sent now is kept for `run`."""
        for control in verdict_on(alert, case):
            if not await self.store.owe(control.id, _ENCODE(control)):
                count("errors", "clicks")
                log.error("alert %s: too many verdicts wait for the broker, so age decides; %s", alert.id, AGAIN)
        await self.pay()

    async def run(self, stop: asyncio.Event) -> None:
        """Sends what is kept, until `stop` is set."""
        while not stop.is_set():
            with suppress(StoreUnavailable):  # it will be back
                await self.pay()
            with suppress(TimeoutError):
                async with asyncio.timeout(TRY_SECONDS):
                    await stop.wait()

    async def pay(self) -> None:
        """Sends what is kept, as far as the broker takes it.

        Raises:
            StoreUnavailable: nothing is known; what was sent is sent once more.
        """
        while owed := await self.store.owed(AT_ONCE):
            try:
                await send(self.settings, [_CONTROLS.decode(each) for each in owed.values()])
            except (SettingsError, KafkaProblem, KafkaError, OSError) as error:
                log.warning("%d verdicts wait until the baselines can be told: %s", len(owed), error)
                return
            await self.store.paid(owed)


_ENCODE = msgspec.msgpack.Encoder().encode
_CONTROLS = msgspec.msgpack.Decoder(Control)
