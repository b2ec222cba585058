from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from alerting.alert import to_line
from alerting.store_redis import RedisAlertStore
from tests.alerting.conftest import an_alert
from tests.streams.commands.conftest import Run

ROUTES = """default: "#rest"
routes:
  - name: pages
    when: {severity: critical}
    channel: "#page"
    escalate: [{after: 15m, to: U0123}]
  - name: night
    channel: C1
    quiet: {from: "19:00", to: "07:00", below: high}
    budget: 4
mutes:
  - {when: {principals: bob}, owner: carol, reason: pentest, expires: 2026-02-01, name: test}
"""


@pytest.fixture
def routes(place: Path) -> Path:
    (place / "routes.yml").write_text(ROUTES)
    return place / "routes.yml"


@pytest.fixture
def alerts(place: Path) -> Path:
    lines = [an_alert(1, severity="critical"), an_alert(2, severity="low"), an_alert(3, principal="bob")]
    (place / "alerts.jsonl").write_bytes(b"\n".join(map(to_line, lines)))
    return place / "alerts.jsonl"


def test_a_right_file_is_counted_and_its_ended_mutes_named(run: Run, routes: Path) -> None:
    done = run("route", "check", routes)
    assert (done.exit_code, done.stdout) == (0, "2 routes, 1 mutes\n")
    assert "test by carol: pentest: has ended" in done.stderr


def test_mistakes_are_named_with_their_places(run: Run, routes: Path) -> None:
    routes.write_text(ROUTES.replace("channel: C1", "chanel: C1").replace("owner: carol", 'owner: ""'))
    done = run("route", "check", routes)
    assert done.exit_code == 1
    assert "routes.yml:8:5: routes: unknown key 'chanel': did you mean 'channel'?" in done.stderr
    assert run("route", "check", "missing.yml").exit_code == 1


def test_lines_are_explained_without_any_redis(run: Run, routes: Path, alerts: Path) -> None:
    at = ("--at", "2026-01-31T22:00:00Z")
    done = run("route", "explain", "--routes", routes, "--input", alerts, *at)
    assert done.exit_code == 0
    critical, low, bob = done.stdout.split("  Root login\n")[1:]
    assert "pages" in critical
    assert "goes to #page" in critical
    assert "15m after it is shown" in critical
    assert "severity low is below critical" in low
    assert "waits until 2026-02-01T07:00:00.000Z" in low
    assert "without Redis" in low
    assert "until 2026-02-01T23:59:59.999999Z, carol: pentest" in bob


def test_json_is_one_object_an_alert(run: Run, routes: Path, alerts: Path) -> None:
    done = run("route", "explain", "--routes", routes, "--input", alerts, "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["alert"] for one in said] == [an_alert(n).id for n in (1, 2, 3)]
    assert {"what": "route", "name": "pages", "why": "goes to #page"} in said[0]["lines"]


def test_an_alert_of_the_outbox_with_what_its_budget_has_paid_for(run: Run, redis_url: str, routes: Path) -> None:
    async def fill() -> None:
        store = RedisAlertStore.connect(redis_url)
        await store.put(an_alert(2, severity="low"))
        for n in range(3):
            await store.spend("2026-01-31:C1", str(n), 4)
        await store.close()

    asyncio.run(fill())
    done = run("route", "explain", an_alert(2).id, "--routes", routes, "--at", "2026-01-31T12:00:00Z")
    assert done.exit_code == 0, done.stderr
    assert "3 posted today" in done.stdout
    missing = run("route", "explain", "nobody", "--routes", routes)
    assert missing.exit_code == 2
    assert "alerts list" in missing.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give the id of an alert, or --input"),
        (("a", "--input", "-"), "give the id of an alert, or --input"),
        (("--input", "missing.jsonl"), "missing.jsonl: No such file"),
        (("--input", "-", "--at", "noon"), "write 2026-03-31T09:00:00Z"),
        (("--input", "-", "--routes", "missing.yml"), "missing.yml: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run("route", "explain", *words, input=b"")
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_line_that_is_no_alert_is_named(run: Run) -> None:
    done = run("route", "explain", "--input", "-", input=to_line(an_alert(1)) + b"\n{}\n")
    assert done.exit_code == 2
    assert "line 2: " in done.stderr
