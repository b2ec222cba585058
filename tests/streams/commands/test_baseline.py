"""What is usual for somebody, as people see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.event import AuditEvent
from detectors.baseline import SIZE
from detectors.features import observe
from streams.kafka import EVENTS, partition_of
from streams.packet import Packet, decode_events, mark
from streams.principal import Principal as State
from streams.principal import event_code
from streams.processor import ENCODE
from streams.settings import Settings
from streams.store import Position, RedisStateStore, Write, connect
from streams.trail import Shelf
from tests.laws.test_learning import at, strange, weeks
from tests.streams.commands.conftest import Run, lines, received

PARTITIONS = 8


def known(events: Sequence[AuditEvent], held: Sequence[AuditEvent] = ()) -> State:
    state = State.unpack(None, None)
    for event in events:
        state.meet(observe(event))
        state.learn(observe(event))
    for event in held:
        state.hold(observe(event), event.time, teaches=event.account is None, event=event_code(event.id))
    return state


def put(url: str, states: dict[str, State]) -> None:
    """Writes states as the worker would."""

    async def drive() -> None:
        async with connect(Settings(redis=url)) as redis:
            store = RedisStateStore(redis, "events")
            for name, state in states.items():
                place = partition_of(name, PARTITIONS)
                (raw,) = await store.positions([place])
                position = ENCODE(Position(f"uuid/{PARTITIONS}", 7, {}))
                assert await store.save([Write(place, raw, position, state.pack(name))]) == [True]

    asyncio.run(drive())


@pytest.fixture
def alice(redis_url: str) -> str:
    """Ten days of the same, a strange deed that waits to be learnt, and a forbidden one that waits to be dropped."""
    held = [strange(1), at(2, account="forbidden")]
    put(redis_url, {"alice": known(weeks(), held), "svc-deploy": known(weeks()[:5])})
    return redis_url


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf.take_over(tmp_path / "trail", "log/1", 0)
    events = [*weeks(), strange(1)]
    shelf.add(0, Packet("raw/0@a", [mark(number) for number in range(len(events))], events))
    shelf.flush()
    monkeypatch.setenv("AUDITWATCH_TRAIL", str(tmp_path / "trail"))


class TestShow:
    def test_what_is_usual(self, run: Run, alice: str, trail: None) -> None:
        shown = run("baseline", "show", "alice").stdout
        assert shown.startswith("alice\n")
        assert "480 events since 2026-01-05T08:00:00Z, the newest seen 2026-01-14T17:50:00Z" in shown
        assert "young" not in shown
        for name in ("cloudtrail GetObject", "bucket reports", "DE", "AS64496", "aws-cli", "192.0.2.0/24"):
            [line] = [line for line in shown.splitlines() if line.endswith(f"  {name}")]
            assert "100.0%" in line
        [weekday, weekend] = [line for line in shown.splitlines() if line.startswith("    week")]
        assert weekday[14:38] == " " * 8 + "█" * 8 + " " * 8
        assert set(weekend[14:]) <= set(" ▁▂▃▄▅▆▇█")

    def test_what_is_held_until_when_and_what_would_decide(self, run: Run, alice: str, trail: None) -> None:
        shown = run("baseline", "show", "alice").stdout
        assert "held (2): a verdict on their alert decides (alerts resolve), or age:" in shown
        [learnt] = [line for line in shown.splitlines() if "learnt 2026-" in line]
        [dropped] = [line for line in shown.splitlines() if "dropped 2026-" in line]
        assert "cloudtrail DeleteTrail, trail all, KP, AS64500, curl, 203.0.113.0/24" in learnt
        assert "GetObject" in dropped

    def test_without_a_trail_there_are_hashes(self, run: Run, alice: str) -> None:
        shown = run("baseline", "show", "alice").stdout
        assert f"#{observe(weeks()[0]).tokens[0]:016x}" in shown
        assert "GetObject" not in shown
        assert "names that the trail (AUDITWATCH_TRAIL) does not tell" in shown

    def test_json(self, run: Run, alice: str, trail: None) -> None:
        [line] = lines(run("baseline", "show", "alice", "--json").stdout)
        assert (line["principal"], line["events"], line["young"]) == ("alice", 480, False)
        assert line["kinds"][0]["top"][0] == {
            "name": "cloudtrail GetObject",
            "share": 1.0,
            "count": pytest.approx(400, rel=0.2),
            "last": "2026-01-14T15:50:00Z",
        }
        assert sum(line["weekday_hours"] + line["weekend_hours"]) == pytest.approx(1, abs=0.01)
        assert [each["then"] for each in line["held"]] == ["learnt", "dropped"]
        assert line["budget_bytes"] == SIZE < line["bytes"]

    def test_a_young_one(self, run: Run, alice: str) -> None:
        assert "5 events" in run("baseline", "show", "svc-deploy").stdout
        assert "young: what it finds strange accuses nobody yet" in run("baseline", "show", "svc-deploy").stdout

    def test_one_that_only_failed_so_far(self, run: Run, redis_url: str) -> None:
        put(redis_url, {"bob": known([], [strange(1)])})
        shown = run("baseline", "show", "bob").stdout
        assert "nothing learnt yet" in shown
        assert "held (1)" in shown

    @pytest.mark.parametrize(
        ("user", "near"), [("alcie", "did you mean alice?"), ("ALICE", "alice"), ("deploy", "svc-deploy"), ("x", "")]
    )
    def test_one_that_is_not_there(self, run: Run, alice: str, user: str, near: str) -> None:
        done = run("baseline", "show", user)
        assert done.exit_code == 2
        assert f"nothing is known of '{user}'" in done.stderr
        assert near in done.stderr
        assert "auditwatch baseline list" in done.stderr

    def test_names_of_the_log_are_made_harmless(self, run: Run, redis_url: str) -> None:
        name = "eve\x1b[31m\u202e"
        put(redis_url, {name: known(weeks()[:3])})
        shown = run("baseline", "show", name).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\x1b" not in run("baseline", "list").stdout

    def test_an_empty_redis(self, run: Run, redis_url: str) -> None:
        assert run("baseline", "show", "alice").exit_code == 2

    def test_what_cannot_be_read(self, run: Run, redis_url: str, alice: str) -> None:
        async def damage() -> None:
            async with connect(Settings(redis=redis_url)) as redis:
                async for key in redis.scan_iter(match="*:b:alice"):
                    await redis.set(key, b"junk")

        asyncio.run(damage())
        done = run("baseline", "show", "alice")
        assert done.exit_code == 2
        assert "what Redis holds of 'alice' cannot be read" in done.stderr


class TestList:
    def test_who_has_one_and_who_has_something_held(self, run: Run, alice: str) -> None:
        rows = [row.split() for row in run("baseline", "list").stdout.splitlines()]
        assert rows == [["HELD", "EVENTS", "WHO"], ["2", "480", "alice"], ["0", "5", "young", "svc-deploy"]]
        assert [line["principal"] for line in lines(run("baseline", "list", "--held", "--json").stdout)] == ["alice"]

    def test_none(self, run: Run, redis_url: str) -> None:
        done = run("baseline", "list")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no baselines\n")


class TestForget:
    def test_the_worker_is_told_who_wants_it_and_why(self, run: Run, alice: str, own_broker: Settings) -> None:
        done = run("baseline", "forget", "alice", "--reason", "INC-204", "--by", "bob", "--yes")
        assert done.exit_code == 0
        assert "alice will be forgotten as soon as the worker comes to it" in done.stdout
        [(place, payload)] = received(own_broker, EVENTS, 1)
        [control] = decode_events(payload).controls
        assert place == partition_of("alice", PARTITIONS)
        assert (control.kind, control.principal, control.by, control.why) == ("forget", "alice", "bob", "INC-204")
        (told,) = lines(run("ledger", "list", "--kind", "baseline", "--json").stdout)
        assert (told["subject"], told["by"], told["details"]["reason"]) == ("alice", "bob", "INC-204")

    def test_it_asks_first(self, run: Run, alice: str, own_broker: Settings) -> None:
        words = ("baseline", "forget", "alice", "--reason", "x")
        refused = run(*words, input="n\n")
        assert refused.exit_code != 0
        assert "Forget 480 events learnt and 2 held of alice?" in refused.stderr
        assert not received(own_broker, EVENTS, 0)
        assert run(*words, input="y\n").exit_code == 0
        assert len(received(own_broker, EVENTS, 1)) == 1

    def test_a_reason_and_somebody_known_are_needed(self, run: Run, alice: str, own_broker: Settings) -> None:
        assert run("baseline", "forget", "alice", "--yes").exit_code == 2
        done = run("baseline", "forget", "alicia", "--reason", "x", "--yes")
        assert "did you mean alice?" in done.stderr
        assert done.exit_code == 2
