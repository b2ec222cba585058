from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import AuditEvent, Principal
from streams import packet
from streams.kafka import partition_of
from streams.packet import (
    Control,
    EventPacket,
    Output,
    Packet,
    Signal,
    decode_events,
    decode_signals,
    encode,
    mark,
    offset_of,
    parcels,
)

ORIGINS = {0: "audit.raw.okta/0@x", 1: "audit.raw.okta/1@x"}


def event(name: str, actor: str = "alice", raw: bytes = b"{}") -> AuditEvent:
    return AuditEvent(name, 1, "okta", "login", "success", Principal(actor, actor), raw=raw)


outputs = st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from("abcdefgh")), max_size=60).map(
    lambda drawn: [Output(lane, mark(at), key, event(f"e{at}", key)) for at, (lane, key) in enumerate(drawn)]
)


def opened(sent: list[tuple[int, bytes]]) -> list[tuple[int, Packet[AuditEvent]]]:
    return [(target, decode_events(payload)) for target, payload in sent]


@given(outputs, st.integers(1, 5), st.integers(1, 7))
def test_everything_arrives_once_where_its_key_belongs_and_in_order(
    sent: list[Output[AuditEvent]], partitions: int, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packet, "MAX_ITEMS", most)
        packets = opened(list(parcels(sent, ORIGINS, partitions)))
    assert all(0 < len(each.items) <= most for _, each in packets)
    for origin in ORIGINS.values():
        for target in range(partitions):
            lane = [each for at, each in packets if at == target and each.origin == origin]
            got = [(made_at, item.id) for each in lane for made_at, item in zip(each.marks, each.items, strict=True)]
            assert got == [
                (output.mark, output.item.id)
                for output in sent
                if ORIGINS[output.partition] == origin and partition_of(output.key, partitions) == target
            ]
            assert [each.after for each in lane] == [-1, *(each.marks[-1] for each in lane)][: len(lane)]


def test_lanes_of_one_origin_are_one_lane() -> None:
    """Two chunks of one raw partition in a batch: what comes from the second follows what comes from the first."""
    sent = [Output(lane, mark(lane), "alice", event(f"e{lane}")) for lane in (0, 1)]
    ((_, only),) = opened(list(parcels(sent, {0: "same", 1: "same"}, 3)))
    assert [item.id for item in only.items] == ["e0", "e1"]


def test_a_long_packet_is_halved_down_to_single_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet, "MAX_BYTES", 10_000)
    sizes = [100, 9_000, 50_000, 100, 100, 3_000, 4_000]
    sent = [Output(0, mark(at), "alice", event(f"e{at}", raw=b"x" * size)) for at, size in enumerate(sizes)]
    payloads = [payload for _, payload in parcels(sent, ORIGINS, 1)]
    packets = [decode_events(payload) for payload in payloads]
    assert [item.id for each in packets for item in each.items] == [f"e{at}" for at in range(len(sizes))]
    assert all(len(payload) <= 10_000 or len(each.items) == 1 for payload, each in zip(payloads, packets, strict=True))
    assert [each.after for each in packets] == [-1, *(each.marks[-1] for each in packets[:-1])]


def test_nothing_makes_no_packet() -> None:
    assert list(parcels([], ORIGINS, 3)) == []


def test_marks_sort_like_their_parts() -> None:
    parts = [(offset, item, ordinal) for offset in (0, 1, 2**35 - 1) for item in (0, 2**20 - 1) for ordinal in (0, 255)]
    assert sorted(parts, key=lambda each: mark(*each)) == sorted(parts)
    assert mark(*parts[-1]) < 2**63
    assert [offset_of(mark(*each)) for each in parts] == [offset for offset, _, _ in parts]


def test_signals_survive_the_way() -> None:
    signals = [Signal("ip:1.2.3.4", match=None), Signal("user:ä\u2028", finding=None)]
    sent = [Output(1, mark(5, 0, at), signal.entity, signal) for at, signal in enumerate(signals)]
    packets = [decode_signals(payload) for _, payload in parcels(sent, ORIGINS, 1)]
    assert [item for each in packets for item in each.items] == signals


def test_a_packet_without_its_place_in_the_sending_is_read_as_a_first_one() -> None:
    """As an older version of this program wrote it."""
    old = msgspec.msgpack.encode(["o", [1], [event("e")]])
    assert decode_events(old).after == -1


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_unforeseen(junk: bytes) -> None:
    try:
        decode_events(junk)
    except (ValueError, RecursionError):
        return
    assert encode(decode_events(junk))


def test_a_control_travels_beside_no_events_and_who_knows_no_controls_sees_none() -> None:
    control = Control("c1", "drop", "alice", 5, "bob", "why", (1, 2**64 - 1), 3, 4)
    payload = encode(EventPacket("", [], [], controls=(control,)))
    assert decode_events(payload) == EventPacket("", [], [], -1, (control,))
    before = msgspec.msgpack.decode(payload, type=Packet[AuditEvent])
    assert (before.origin, before.items) == ("", [])


def test_a_packet_of_an_older_sender_has_no_controls() -> None:
    assert decode_events(encode(Packet("o", [1], [event("e")]))).controls == ()
