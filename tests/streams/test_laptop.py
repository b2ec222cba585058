from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from streams.embedded import kafka_answers, redis_answers
from streams.laptop import NOTE, found, serving
from streams.settings import Settings, SettingsError

BOTH = Settings(broker="kafka://a:1", redis="redis://b:2/0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def note(pid: int) -> None:
    NOTE.parent.mkdir()
    NOTE.write_text(json.dumps({"broker": "kafka://n:1", "redis": "redis://n:2/0", "pid": pid}))


class TestFound:
    def test_what_is_configured_needs_no_worker(self) -> None:
        assert found(BOTH) is BOTH

    def test_only_what_is_needed_is_asked_for(self) -> None:
        only = Settings(broker="kafka://a:1")
        assert found(only, "broker") is only
        with pytest.raises(SettingsError, match=r"^redis: not configured: set AUDITWATCH_REDIS, or run"):
            found(only, "redis")

    def test_a_worker_in_this_folder_is_found(self) -> None:
        note(os.getpid())
        assert found(Settings()).broker == "kafka://n:1"
        assert found(Settings(broker="kafka://mine:9")).broker == "kafka://mine:9"
        assert found(Settings(broker="kafka://mine:9")).redis == "redis://n:2/0"

    @pytest.mark.parametrize("text", ["", "{}", '{"pid": "x"}', '{"pid": 999999999}'])
    def test_a_note_that_is_stale_or_none_is_not(self, text: str) -> None:
        NOTE.parent.mkdir()
        NOTE.write_text(text)
        with pytest.raises(SettingsError, match="set AUDITWATCH_BROKER and AUDITWATCH_REDIS"):
            found(Settings())


class TestServing:
    def test_servers_run_and_are_found_until_the_block_ends(self, folder: Path) -> None:
        with serving(Settings()) as served:
            broker, redis = (int(url.rpartition(":")[2].partition("/")[0]) for url in (served.broker, served.redis))
            assert kafka_answers(broker)
            assert redis_answers(redis)
            assert (found(Settings()).broker, found(Settings()).redis) == (served.broker, served.redis)
        assert not kafka_answers(broker)
        assert not redis_answers(redis)
        assert list(folder.iterdir()) == []

    def test_a_trail_beside_the_note_stays(self) -> None:
        with serving(Settings()):
            (NOTE.parent / "trail").mkdir()
        assert list(NOTE.parent.iterdir()) == [NOTE.parent / "trail"]

    def test_a_second_one_shares_them(self) -> None:
        with serving(Settings()) as first:
            with serving(Settings()) as second:
                assert (second.broker, second.redis) == (first.broker, first.redis)
            assert NOTE.exists()

    def test_what_is_configured_is_left_alone(self, folder: Path) -> None:
        with serving(BOTH) as served:
            assert served is BOTH
        assert list(folder.iterdir()) == []
