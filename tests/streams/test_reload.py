"""Reloading: taken whole or not at all, only when files rest, and the team hears of a refusal once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from alerting.alert import Alert
from audit.finding import Version
from streams import reload as module
from streams.detections import Detections
from streams.load import load_detections
from streams.metrics import REGISTRY
from streams.reload import Refused, Reload, fingerprint, keep_reloading

RULE = """title: {title}
id: 11111111-1111-4111-8111-111111111111
level: low
logsource: {{product: okta, service: okta}}
detection: {{s: {{eventType: user.session.start}}, condition: s}}
auditwatch:
  tests:
    - name: it matches
      match: {match}
      event: {{eventType: user.session.start, published: "2026-01-01T00:00:00Z", uuid: u}}
"""


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "one.yml"
    path.parent.mkdir()
    path.write_text(RULE.format(title="One", match="true"))
    return path


@pytest.fixture
def reload(rule: Path) -> Reload:
    return Reload(lambda: load_detections(None, [rule.parent], None), [rule.parent])


def write(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns + 1))


def test_a_change_counts_once_the_files_rest(reload: Reload, rule: Path) -> None:
    assert not reload.changed()
    write(rule, RULE.format(title="Two", match="true"))
    assert not reload.changed(), "somebody may still be writing"
    assert reload.changed()
    assert reload.build().rules.rules[0].title == "Two"
    assert not reload.changed()


def test_new_and_deleted_files_are_changes(reload: Reload, rule: Path) -> None:
    other = rule.with_name("two.yml")
    other.write_text(RULE.format(title="Two", match="true").replace("1111-4111", "1112-4111"))
    assert [reload.changed(), reload.changed()] == [False, True]
    assert len(reload.build().rules.rules) == 2
    other.unlink()
    assert [reload.changed(), reload.changed()] == [False, True]


def test_a_broken_file_is_refused_with_its_place(reload: Reload, rule: Path) -> None:
    write(rule, RULE.format(title="Two", match="true").replace("detection:", "detectoin:"))
    with pytest.raises(Refused, match=r"one\.yml:\d+"):
        reload.build()


def test_a_rule_that_fails_its_own_test_is_refused_with_its_place(reload: Reload, rule: Path) -> None:
    write(rule, RULE.format(title="Two", match="false"))
    with pytest.raises(Refused, match=r"one\.yml:8: Two: it matches: failed: the rule must not match"):
        reload.build()


def test_a_folder_that_is_gone_is_refused_and_nothing_else(reload: Reload, rule: Path) -> None:
    rule.unlink()
    rule.parent.rmdir()
    assert fingerprint([rule.parent]) == {}
    with pytest.raises(Refused):
        reload.build()


async def test_the_old_set_stays_the_team_hears_once_and_a_mended_file_is_taken(
    reload: Reload, rule: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    taken: list[Detections] = []
    told: list[Alert] = []
    running: list[Version] = []

    async def tell(alert: Alert) -> None:
        told.append(alert)

    async def took(version: Version) -> None:
        running.append(version)

    watching = asyncio.create_task(keep_reloading(reload, taken.append, tell, lambda: 1_000_000, took))
    try:
        write(rule, "title: [")
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert taken == []
        assert len(told) == 1
        assert any("one.yml:" in reason for reason in told[0].reasons)
        assert REGISTRY.get_sample_value("auditwatch_stale", {"label": ""}) == 1
        write(rule, RULE.format(title="Mended", match="true"))
        async with asyncio.timeout(5):
            while not taken:
                await asyncio.sleep(0.01)
        assert taken[0].rules.rules[0].title == "Mended"
        async with asyncio.timeout(5):
            while not running:
                await asyncio.sleep(0.01)
        assert running == [taken[0].version]
        assert REGISTRY.get_sample_value("auditwatch_stale", {"label": ""}) == 0
    finally:
        watching.cancel()
