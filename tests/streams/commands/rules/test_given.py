from __future__ import annotations

from pathlib import Path

import click
import pytest

from audit.context import EMPTY
from audit.event import parse_rfc3339
from rules.find import NoSuchRule
from streams.commands.common import Unusable
from streams.commands.rules.given import Logs, Moment, answers, logs_of, now, paths_of, told_apart, view_of
from streams.replay import Source
from streams.settings import Settings
from tests.rules.conftest import event
from tests.streams.commands.rules.conftest import cloudtrail, log


def moment(text: str) -> int:
    return Moment().convert(text, None, None)


def test_moments() -> None:
    assert moment("2026-03-02") == parse_rfc3339("2026-03-02T00:00:00Z")
    assert moment("2026-03-02T09:00:00+01:00") == parse_rfc3339("2026-03-02T08:00:00Z")
    assert abs(now() - moment("2h") - 7_200_000_000) < 5_000_000
    for wrong in ("yesterday", "7x", "2026-13-01"):
        with pytest.raises(click.BadParameter, match="is no time"):
            moment(wrong)


def test_words_are_told_apart() -> None:
    words = ["okta=a.jsonl", "Root user used", "x.yml", "events=trail", "a = b"]
    assert told_apart(words) == (["okta=a.jsonl", "events=trail"], ["Root user used", "x.yml", "a = b"])


def test_a_stretch_of_a_file(place: Path) -> None:
    source = log(place / "log.jsonl", *(cloudtrail(n) for n in range(5))).partition("=")[2]
    since, until = parse_rfc3339("2026-01-05T00:01:00Z"), parse_rfc3339("2026-01-05T00:03:00Z")
    logs = Logs([Source("cloudtrail", source)], None, since, until, EMPTY)
    assert [one.id for one in logs.events()] == ["e1", "e2"]
    assert [one.id for one in logs.events()] == ["e1", "e2"]
    assert logs.again
    assert not Logs([Source("cloudtrail", "-")], None, None, None, EMPTY).again


def test_which_logs(place: Path) -> None:
    (place / "trail").mkdir()
    settings = Settings(trail=place / "trail")
    assert logs_of([], settings, EMPTY, None, (None, None)).trail == place / "trail"
    with pytest.raises(click.UsageError, match="not both"):
        logs_of(["okta=x"], settings, EMPTY, place, (None, None))


def test_which_rules(place: Path) -> None:
    assert paths_of([place], Settings(rules=(place / "x",))) == [place]
    assert paths_of([], Settings(rules=(place / "x",))) == [place / "x"]
    assert [path.name for path in paths_of([], Settings())] == ["library"]


def test_an_unknown_rule_is_unusable_input() -> None:
    with pytest.raises(Unusable, match="no rule"), answers():
        raise NoSuchRule("no rule")


def test_a_view_of_what_is_no_object() -> None:
    assert view_of(event(raw=b"[1]")).record == {}
    assert view_of(event(raw=b"junk")).record == {}
    assert view_of(event(raw=b'{"a": 1}')).record == {"a": 1}
