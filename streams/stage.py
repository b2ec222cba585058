"""What a stage is and what it is handed: the words between the processor and the two stages in pipeline.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from audit.finding import Finding
from streams.detections import Detections
from streams.packet import Packet
from streams.store import Entry

Item = TypeVar("Item")
State = TypeVar("State")
Unheard = Literal["shadow", "excused", "explained", "observed", "gap", "repeat", "surplus", "stranger"]


class Message(NamedTuple):
    """One Kafka message as the shell sees it."""

    partition: int
    offset: int
    payload: bytes


class Arrival(NamedTuple, Generic[Item]):
    """One item of a message, with the mark that whatever is made from it will carry."""

    partition: int
    mark: int
    item: Item


class Fault(NamedTuple):
    """Something that could not be read or folded, with its place: bound for the dead letters."""

    partition: int
    offset: int
    error: str
    raw: bytes


class Compared(NamedTuple):
    """What two models say of one event: strangeness, and whether that is worth a finding."""

    event_id: str
    principal: str
    time: int
    current: float
    shadow: float
    current_tells: bool
    shadow_tells: bool


class Verdict(NamedTuple):
    """What a stage makes of a batch: things to send on, and things it could not digest.

    Beside that, for whoever is curious: the strangeness of each event, the repeats met, and correlations' findings,
    which travel only inside alerts.
    """

    outputs: list[Any]
    faults: list[Fault]
    scores: Sequence[tuple[str, float]] = ()
    repeats: int = 0
    findings: Sequence[Finding] = ()
    evicted: int = 0
    unheard: Sequence[tuple[str, Unheard]] = ()
    """(rule id, why) of each match nobody is told of; where paper explains it, (correlation id, why)."""
    compared: Sequence[Compared] = ()


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a batch whose parts were judged one after another."""
    return Verdict(
        outputs=[output for verdict in verdicts for output in verdict.outputs],
        faults=[fault for verdict in verdicts for fault in verdict.faults],
        scores=[score for verdict in verdicts for score in verdict.scores],
        repeats=sum(verdict.repeats for verdict in verdicts),
        findings=[finding for verdict in verdicts for finding in verdict.findings],
        evicted=sum(verdict.evicted for verdict in verdicts),
        unheard=[told for verdict in verdicts for told in verdict.unheard],
        compared=[one for verdict in verdicts for one in verdict.compared],
    )


class Stage(Protocol[Item, State]):
    """One stage of the pipeline: two exist, score and correlate."""

    name: str

    def decode(self, payload: bytes) -> Packet[Item]:
        """The items of a message. Raises msgspec.DecodeError."""

    def key(self, item: Item) -> str:
        """The key of the state this item is folded into."""

    def parts(self, key: str) -> tuple[str, ...]:
        """The store's keys that make up the state."""

    def unpack(self, key: str, values: Sequence[bytes | None]) -> State:
        """The state from the values of its parts."""

    def pack(self, key: str, state: State) -> list[Entry]:
        """The parts of a state to be written."""

    def fold(self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, State], detections: Detections) -> Verdict:
        """Folds a batch into the states in place, in order. Pure otherwise: no clock, no I/O."""


class Gap(Exception):
    """A partition's next message is not the one after its position, or its store moved on: forget and rewind."""

    def __init__(self, partition: int, reason: str) -> None:
        super().__init__(f"partition {partition}: {reason}")
        self.partition = partition


class Damaged(Exception):
    """A stored value that cannot be read; the text names it and says what to do."""


Emit = Callable[[Sequence[Any], Sequence[Fault]], Awaitable[None]]
