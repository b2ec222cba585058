from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.event import AuditEvent, Principal, Resource, parse_rfc3339
from streams import trail as trail_module
from streams.packet import Control, EventPacket, Packet, mark
from streams.trail import DAY, Overtaken, Shelf, TrailError, handing_out, read, standing

LOG = "01a20bab-47ef-72f3-80d1-3fa4e345cb60/3"
RAW = "audit.raw.okta/0@x"
NOON = parse_rfc3339("2026-03-01T12:00:00Z")


def event(number: int, time: int | None = None, user: str = "alice") -> AuditEvent:
    raw = b'{"n":%d}' % number
    return AuditEvent(
        f"e{number}", NOON + number if time is None else time, "okta", "login", "success", _who(user), raw=raw
    )


_SESSIONS = ((1, "alice", "ASIA1"), (2, "role", "ASIA2"), (3, "role", "ASIA3"))


def _who(user: str) -> Principal:
    return Principal(user, user, "human", "verified")


def packet(*events: AuditEvent, origin: str = RAW, first: int = 0) -> Packet[AuditEvent]:
    """Events whose marks count up from raw offset `first`."""
    return Packet(origin, [mark(first + index) for index in range(len(events))], list(events))


def files(trail: Path) -> list[str]:
    return sorted(str(file.relative_to(trail)) for file in trail.rglob("*.parquet"))


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MAYBE = st.none() | TEXT
WHO = st.builds(
    Principal,
    TEXT,
    TEXT,
    st.sampled_from(["human", "service", "contractor", "unknown"]),
    st.sampled_from(["verified", "asserted", "ambiguous", "anonymous"]),
)
EVENTS = st.builds(
    AuditEvent,
    id=TEXT,
    time=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(  # noqa: DTZ001
        lambda moment: int(moment.replace(tzinfo=UTC).timestamp() * 1e6)
    ),
    source=TEXT,
    action=TEXT,
    outcome=st.sampled_from(["success", "failure", "denied", "unknown"]),
    actor=WHO,
    target=st.none() | WHO,
    resource=st.none() | st.builds(Resource, TEXT, TEXT),
    source_ip=MAYBE,
    country=MAYBE,
    asn=st.none() | st.integers(0, 2**32),
    user_agent=MAYBE,
    session_id=MAYBE,
    account=MAYBE,
    raw=TEXT.map(str.encode),
    marks=st.lists(st.sampled_from(["time_replaced", "trimmed"]), max_size=2).map(tuple),
)


class TestWhatIsWrittenIsRead:
    @rules(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(events=st.lists(EVENTS, max_size=6))
    def test_every_field_of_every_event(
        self, tmp_path_factory: pytest.TempPathFactory, events: list[AuditEvent]
    ) -> None:
        folder = tmp_path_factory.mktemp("trail")
        shelf = Shelf.take_over(folder, LOG, 0)
        shelf.add(0, packet(*events))
        assert shelf.flush() == 0
        assert list(read(folder)) == sorted(events, key=lambda each: each.time)

    def test_controls_leave_nothing_and_what_is_around_them_stays(self, tmp_path: Path) -> None:
        """People's verdicts travel on audit.events, too."""
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        control = EventPacket("", [], [], controls=(Control("c", "forget", "alice", NOON),))
        for offset, each in enumerate((packet(event(1)), control, packet(event(2), first=1), control)):
            shelf.add(offset, each)
        assert shelf.flush() == 3
        assert [each.id for each in read(tmp_path)] == ["e1", "e2"]
        assert Shelf.take_over(tmp_path, LOG, 0).offset == 3

    def test_in_order_of_time_then_place(self, tmp_path: Path) -> None:
        for partition in (1, 0):
            shelf = Shelf.take_over(tmp_path, LOG, partition)
            shelf.add(7, packet(event(3), event(1, user=f"p{partition}"), event(1, user="second")))
            shelf.add(9, packet(event(1, user="later offset"), first=50))
            shelf.flush()
        assert [(each.id, each.actor.id) for each in read(tmp_path)] == [
            *[("e1", "p0"), ("e1", "second"), ("e1", "later offset")],
            *[("e1", "p1"), ("e1", "second"), ("e1", "later offset")],
            *[("e3", "alice"), ("e3", "alice")],
        ]

    def test_a_file_for_each_day_named_with_the_flush(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 2)
        shelf.add(5, packet(event(1), event(2, NOON + DAY), event(3, NOON - DAY), event(4)))
        shelf.add(6, packet(event(5), first=9))
        shelf.flush()
        names = files(tmp_path)
        assert [name[:14] for name in names] == ["day=2026-02-28", "day=2026-03-01", "day=2026-03-02"]
        assert all(re.fullmatch(r"day=[\d-]{10}/[0-9a-f]{8}-2-0-6-3\.parquet", name) for name in names)

    def test_is_for_its_owner_only(self, tmp_path: Path) -> None:
        (tmp_path / "trail").mkdir(0o755)
        Shelf.take_over(tmp_path / "trail", LOG, 0)
        assert (tmp_path / "trail").stat().st_mode & 0o777 == 0o700

    def test_duckdb_alone_can_ask_it(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(event(41)))
        shelf.flush()
        query = "SELECT day, \"time\", raw->>'$.n', actor_id FROM read_parquet(?, hive_partitioning=true)"
        (row,) = duckdb.execute(query, [str(tmp_path / "*" / "*.parquet")]).fetchall()
        assert row[1:] == (datetime(2026, 3, 1, 12, 0, 0, 41), "41", "alice")  # noqa: DTZ001
        assert str(row[0]) == "2026-03-01"

    def test_raw_bytes_that_are_no_text_are_shown_as_such(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(AuditEvent("e", NOON, "okta", "a", "success", _who("u"), raw=b"\xff{")))
        shelf.flush()
        assert next(read(tmp_path)).raw == b"\\xff{"


class TestReading:
    @pytest.fixture
    def trail(self, tmp_path: Path) -> Path:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        target = AuditEvent("t", NOON + 50, "okta", "reset", "success", _who("root"), _who("bob"))
        shelf.add(0, packet(event(1), event(2, NOON + DAY, "bob"), event(3, NOON - DAY, "'; DROP TABLE x --"), target))
        shelf.flush()
        return tmp_path

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, ["e3", "e1", "t", "e2"]),
            ({"since": NOON}, ["e1", "t", "e2"]),
            ({"since": NOON + 2}, ["t", "e2"]),
            ({"until": NOON + 50}, ["e3", "e1"]),
            ({"until": NOON + 51}, ["e3", "e1", "t"]),
            ({"since": NOON, "until": NOON + DAY}, ["e1", "t"]),
            ({"user": "bob"}, ["t", "e2"]),
            ({"user": "bob", "since": NOON + DAY}, ["e2"]),
            ({"user": "'; DROP TABLE x --"}, ["e3"]),
            ({"user": "nobody' OR '1'='1"}, []),
        ],
    )
    def test_by_time_and_user(self, trail: Path, asked: dict[str, Any], found: list[str]) -> None:
        assert [each.id for each in read(trail, **asked)] == found

    def test_a_users_events_and_those_of_sessions(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        own, tied, other = (
            replace(event(number, user=user), session_id=session) for number, user, session in _SESSIONS
        )
        shelf.add(0, packet(own, tied, other))
        shelf.flush()
        assert [each.id for each in read(tmp_path, user="alice", sessions=["ASIA2", "x' OR '1'='1"])] == ["e1", "e2"]
        assert [each.id for each in read(tmp_path, user="alice")] == ["e1"]

    def test_what_may_hand_out_a_session(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        token = replace(event(2), action="create", resource=Resource("serviceaccounts/token", "ci/runner"))
        shelf.add(0, packet(replace(event(1), action="AssumeRole"), token, replace(event(3), action="create")))
        shelf.flush()
        assert [each.id for each in handing_out(tmp_path)] == ["e1", "e2"]
        assert [each.id for each in handing_out(tmp_path, NOON + 2)] == ["e2"]

    def test_an_empty_trail(self, tmp_path: Path) -> None:
        assert list(read(tmp_path / "nothing")) == []

    def test_one_file_of_it(self, trail: Path) -> None:
        assert [each.id for each in read(trail / files(trail)[1])] == ["e1", "t"]

    def test_what_is_being_written_is_not_read(self, trail: Path) -> None:
        (trail / "day=2026-03-01" / ".01234567-0-0-1-1.parquet").write_bytes(b"half")
        assert len(list(read(trail))) == 4

    def test_a_broken_file_is_named(self, trail: Path) -> None:
        (trail / "day=2026-03-01" / "01234567-0-0-1-1.parquet").write_bytes(b"not parquet at all")
        with pytest.raises(TrailError, match=r"01234567-0-0-1-1\.parquet"):
            list(read(trail))


class TestRepeats:
    def test_of_a_message_are_left_out(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        for offset in (0, 1, 1, 0):
            shelf.add(offset, packet(event(offset), first=offset))
        assert shelf.events == 2

    def test_that_a_workers_crash_sent_again_are_left_out(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(event(1), event(2), event(3)))
        shelf.add(1, packet(event(2), event(3), event(4), first=1))
        shelf.flush()
        assert [each.id for each in read(tmp_path)] == ["e1", "e2", "e3", "e4"]

    def test_are_known_after_a_restart(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(event(1), event(2)))
        shelf.add(1, packet(event(7), origin="another", first=5))
        shelf.flush()
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        assert standing(tmp_path, LOG, 0) == (1, {RAW: mark(1), "another": mark(5)})
        shelf.add(2, packet(event(1), event(2), event(3)))
        shelf.flush()
        assert [each.id for each in read(tmp_path)] == ["e1", "e2", "e3", "e7"]

    def test_of_another_incarnation_or_partition_are_no_repeats(self, tmp_path: Path) -> None:
        for log, partition in ((LOG, 0), (LOG, 1), (LOG.replace("0/3", "1/3"), 0)):
            shelf = Shelf.take_over(tmp_path, log, partition)
            assert shelf.offset == -1
            shelf.add(0, packet(event(1)))
            shelf.flush()
        assert len(list(read(tmp_path))) == 3

    def test_alone_make_no_file_but_may_be_committed(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(event(1)))
        shelf.flush()
        shelf.add(1, packet(event(1)))
        assert shelf.flush() == 1
        assert len(files(tmp_path)) == 1


class TestCrashes:
    def fill(self, shelf: Shelf) -> None:
        """Offsets 0 to 9, three days; those the shelf has already are skipped, as a seek would."""
        for offset in range(shelf.offset + 1, 10):
            shelf.add(offset, packet(*(event(offset, NOON + day * DAY + offset) for day in range(3)), first=offset * 3))

    @pytest.mark.parametrize("renames", [0, 1, 2, 3])
    @pytest.mark.parametrize("before", [0, 4])
    def test_between_any_two_renames_loses_and_doubles_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int, before: int
    ) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        for offset in range(before):
            shelf.add(offset, packet(*(event(offset, NOON + day * DAY + offset) for day in range(3)), first=offset * 3))
        shelf.flush()
        self.fill(shelf)
        rename, done = Path.rename, iter(range(renames))

        def dies(self: Path, target: Path) -> Path:
            if next(done, None) is None:
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", dies)
        if renames < 3:
            with pytest.raises(KeyboardInterrupt):
                shelf.flush()
        else:
            shelf.flush()
        monkeypatch.undo()

        shelf = Shelf.take_over(tmp_path, LOG, 0)
        assert shelf.offset == (9 if renames == 3 else before - 1)
        self.fill(shelf)
        shelf.flush()
        assert [each.id for each in read(tmp_path)] == [f"e{offset}" for _ in range(3) for offset in range(10)]
        assert list(tmp_path.rglob(".*.parquet")) == []

    def test_a_day_that_was_deleted_is_not_asked_of_kafka_again(self, tmp_path: Path) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        for offset in (0, 1):
            shelf.add(offset, packet(event(1), event(2, NOON + DAY), first=offset * 2))
            shelf.flush()
        (tmp_path / "day=2026-03-01" / Path(files(tmp_path)[0]).name).unlink()
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        assert shelf.offset == 1
        assert len(files(tmp_path)) == 3

    def test_a_frozen_process_that_wakes_up_writes_nothing(self, tmp_path: Path) -> None:
        frozen = Shelf.take_over(tmp_path, LOG, 0)
        frozen.add(0, packet(event(1)))
        successor = Shelf.take_over(tmp_path, LOG, 0)
        successor.add(0, packet(event(1)))
        successor.flush()
        with pytest.raises(Overtaken):
            frozen.flush()
        assert len(list(read(tmp_path))) == 1

    def test_a_disk_that_refuses_is_a_clear_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shelf = Shelf.take_over(tmp_path, LOG, 0)
        shelf.add(0, packet(event(1)))

        def full(_: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(trail_module, "_sync", full)
        with pytest.raises(TrailError, match=rf"{tmp_path}.*No space left.*Kafka still has the events"):
            shelf.flush()
