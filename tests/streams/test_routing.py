"""Routes read anew while the dispatcher runs: taken whole, or the old ones stay and the team hears of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from alerting.alert import Alert
from alerting.ledger import Decision
from alerting.live import Live
from alerting.route_read import RouteErrors
from streams import routing as module
from streams.metrics import REGISTRY, counted
from streams.routing import Watch, files, hash_of, routing_of
from streams.settings import Settings
from tests.alerting.conftest import NOON, an_alert

ROUTES = "routes:\n  - {name: all, channel: C1}\n"
CONTEXT = "users:\n  - {id: alice, name: Alice, team: red}\n"


class Desk:
    """Whoever the watch talks to."""

    def __init__(self, settings: Settings) -> None:
        self.live = Live(routing_of(settings, NOON))
        self.alerts: list[Alert] = []
        self.decisions: list[Decision] = []
        self.watch = Watch(settings, self.live, self.put, self.write, lambda: NOON, "dispatcher")

    async def put(self, alert: Alert) -> None:
        self.alerts.append(alert)

    async def write(self, decision: Decision) -> None:
        self.decisions.append(decision)

    async def looked(self) -> None:
        """Twice: a file counts once it rests."""
        await self.watch.look()
        await self.watch.look()

    def channel(self, **changes: object) -> str:
        return self.live.routing.plan(an_alert(**changes), NOON).route.channel


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "routes.yml").write_text(ROUTES)
    (tmp_path / "company.yml").write_text(CONTEXT)
    (tmp_path / "rules").mkdir()
    return Settings(routes=tmp_path / "routes.yml", context=tmp_path / "company.yml", rules=(tmp_path / "rules",))


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings)


def write(path: Path | None, text: str) -> None:
    assert path
    path.write_text(text)
    os.utime(path, ns=(os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns + 1))


async def test_changed_routes_are_taken_and_written_down(desk: Desk, settings: Settings) -> None:
    before = hash_of(desk.live.routing)
    write(settings.routes, ROUTES.replace("C1", "C2"))
    await desk.watch.look()
    assert desk.channel() == "C1", "somebody may still be writing"
    await desk.watch.look()
    assert desk.channel() == "C2"
    assert desk.live.news.is_set(), "what waits is looked at under them at once"
    (decision,) = desk.decisions
    assert (decision.kind, decision.subject, decision.by) == ("routes", "taken", "dispatcher")
    assert decision.details == {"from": before, "to": hash_of(desk.live.routing)}


async def test_a_mistake_keeps_the_old_ones_and_is_told_with_its_place_once(
    desk: Desk, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    refused = counted("reloads", "routes refused")
    write(settings.routes, "routes:\n  - {chanel: C2}\n")
    await desk.looked()
    await desk.looked()
    assert desk.channel() == "C1"
    (told,) = desk.alerts
    assert told.severity == "medium"
    assert any("routes.yml:2:" in reason and "did you mean 'channel'?" in reason for reason in told.reasons)
    assert "routes.yml:2:" in caplog.text
    assert counted("reloads", "routes refused") == refused + 1
    assert REGISTRY.get_sample_value("auditwatch_stale", {"label": "routes"}) == 1
    assert [(one.kind, one.subject) for one in desk.decisions] == [("routes", "refused")]
    write(settings.routes, ROUTES.replace("C1", "C3"))
    await desk.looked()
    assert desk.channel() == "C3"
    assert REGISTRY.get_sample_value("auditwatch_stale", {"label": "routes"}) == 0


async def test_a_file_that_is_gone_is_a_mistake(desk: Desk, settings: Settings) -> None:
    assert settings.routes
    settings.routes.unlink()
    await desk.looked()
    assert desk.channel() == "C1"
    assert "cannot be read" in desk.alerts[0].reasons[0]


async def test_a_new_context_counts_too(desk: Desk, settings: Settings) -> None:
    write(settings.routes, "routes:\n  - {when: {teams: blue}, channel: C9}\n  - {channel: C1}\n")
    await desk.looked()
    assert desk.channel(principal="alice") == "C1"
    decisions = len(desk.decisions)
    write(settings.context, CONTEXT.replace("red", "blue"))
    await desk.looked()
    assert desk.channel(principal="alice") == "C9"
    assert len(desk.decisions) == decisions, "the routes are the same"


async def test_the_sources_of_rules_are_read_where_routes_ask_for_them(desk: Desk, settings: Settings) -> None:
    write(settings.routes, "routes:\n  - {when: {sources: okta}, channel: C9}\n  - {channel: C1}\n")
    rule = """title: One
id: r-root-login
level: low
logsource: {product: okta, service: okta}
detection: {s: {eventType: user.session.start}, condition: s}
"""
    (settings.rules[0] / "one.yml").write_text(rule.replace("r-root-login", "11111111-1111-4111-8111-111111111111"))
    await desk.looked()
    assert desk.live.routing.known.sources == {"11111111-1111-4111-8111-111111111111": ("okta",)}
    finding = an_alert().findings[0]
    about = type(finding)(
        **{name: getattr(finding, name) for name in finding.__struct_fields__}
        | {"detection": "11111111-1111-4111-8111-111111111111"}
    )
    assert desk.channel(findings=(about,)) == "C9"


async def test_it_watches_until_told_to_stop(desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    stop = asyncio.Event()
    watching = asyncio.create_task(desk.watch.run(stop))
    write(settings.routes, ROUTES.replace("C1", "C2"))
    async with asyncio.timeout(5):
        while desk.channel() != "C2":
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(watching, 5)


async def test_without_a_file_nothing_is_watched() -> None:
    desk = Desk(Settings())
    await asyncio.wait_for(desk.watch.run(asyncio.Event()), 1)


def test_what_is_watched(settings: Settings) -> None:
    assert files(settings) == [settings.routes, settings.context, settings.rules[0]]


def test_routes_of_another_file_and_of_none(settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text("default: C7\n")
    assert routing_of(settings, NOON, other).routes.default == "C7"
    assert routing_of(Settings(), NOON).routes.routes == ()
    other.write_text("default: [\n")
    with pytest.raises(RouteErrors, match=r"other\.yml:2"):
        routing_of(settings, NOON, other)
