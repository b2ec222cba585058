"""auditwatch init: what it writes works at once, says what it is for, and nothing is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerting.route_read import load_routes
from alerting.slack_app import SCOPES
from audit.context import load_context
from audit.event import parse_rfc3339
from audit.yaml_lines import read_yaml
from streams.commands.init import STARTER, starter
from streams.load import load_detections
from streams.settings import SECRETS, load_settings
from tests.streams.commands.conftest import Run, lines

WRITTEN = [
    "auditwatch.toml",
    "context.yml",
    "routes.yml",
    "rules/exceptions/exceptions.yml",
    "rules/iam_mapped.yml",
    "secrets.env.example",
    "slack-app.yml",
]


def files(place: Path) -> list[str]:
    return sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())


class TestWhatItWrites:
    @pytest.fixture(autouse=True)
    def written(self, run: Run, place: Path) -> None:
        done = run("init")
        assert done.exit_code == 0
        assert "Next:" in done.stdout

    def test_all_of_it(self, place: Path) -> None:
        assert files(place) == WRITTEN

    def test_the_doctor_finds_nothing_wrong(self, run: Run) -> None:
        done = run("doctor", "--json")
        states = {line["what"]: line["state"] for line in lines(done.stdout)}
        assert done.exit_code == 0
        assert {name: states[name] for name in ("settings", "context", "rules", "routes")} == dict.fromkeys(
            ("settings", "context", "rules", "routes"), "ok"
        )

    def test_rules_and_routes_pass_their_checks(self, run: Run) -> None:
        for words in (["rules", "check", "rules"], ["rules", "test", "rules"], ["route", "check", "routes.yml"]):
            assert run(*words).exit_code == 0, words

    def test_it_loads_with_the_library_beside_the_rule(self, place: Path) -> None:
        settings = load_settings(None, {})
        detections = load_detections(settings.context, settings.rules, settings.models)
        ours = [rule for rule in detections.rules.rules if rule.name == "iam_mapped"]
        assert [rule.stage for rule in ours] == ["shadow"]
        assert len(detections.rules.rules) > 100
        assert settings.routes == Path("routes.yml")

    @pytest.mark.parametrize("name", ["context.yml", "routes.yml", "rules/exceptions/exceptions.yml"])
    def test_the_examples_in_comments_are_right_too(self, run: Run, place: Path, name: str) -> None:
        """Uncommented, in place of the empty ones, they load."""
        file = place / name
        text = re.sub(r"^\w+: (\[\]|\{\})\n", "", file.read_text(), flags=re.MULTILINE)
        text = re.sub(r"^# (?=\w+:\s*$|  |\w+: \S+$)", "", text, flags=re.MULTILINE)
        file.write_text(text)
        if name == "context.yml":
            assert len(load_context(file).declared.users) == 2
        elif name == "routes.yml":
            routes = load_routes(file, parse_rfc3339("2026-12-01T00:00:00Z"))
            assert [route.name for route in routes.routes] == ["urgent", "platform"]
            assert (len(routes.mutes), [one.closes for one in routes.ask]) == (1, ["low", "medium"])
        else:
            assert "iam_mapped" in text.split("exceptions:")[1]
            assert run("rules", "check", "rules").exit_code == 0

    def test_every_setting_in_comments_exists(self, place: Path) -> None:
        file = place / "auditwatch.toml"
        file.write_text(re.sub(r"^# (?=\w+ = )", "", file.read_text(), flags=re.MULTILINE))
        settings = load_settings(None, {})
        assert (settings.redis, settings.slack_channel) == ("redis://redis:6379/0", "#security")

    def test_every_secret_is_named_and_none_is_set(self, place: Path) -> None:
        text = (place / "secrets.env.example").read_text()
        assert sorted(re.findall(r"^(\w+)=$", text, re.MULTILINE)) == sorted(SECRETS.values())


class TestTheManifest:
    def test_it_asks_for_the_scopes_that_are_used_and_says_what_for(self) -> None:
        text = (STARTER / "slack-app.yml").read_text()
        manifest = read_yaml(text.encode())
        assert isinstance(manifest, dict)
        assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)
        explained = re.findall(r"^      - ([a-z:]+) +# \w+", text, re.MULTILINE)
        assert sorted(explained) == sorted(SCOPES)

    def test_clicks_come_over_socket_mode(self) -> None:
        manifest = read_yaml((STARTER / "slack-app.yml").read_bytes())
        assert isinstance(manifest, dict)
        assert manifest["settings"]["socket_mode_enabled"] in (True, "true")
        assert manifest["settings"]["interactivity"]["is_enabled"] in (True, "true")


class TestNothingIsOverwritten:
    def test_what_exists_is_named_and_left(self, run: Run, place: Path) -> None:
        (place / "routes.yml").write_text("mine")
        (place / "rules").mkdir()
        (place / "rules" / "iam_mapped.yml").symlink_to(place / "elsewhere.yml")
        told = run("init").stdout
        assert "exists   routes.yml" in told
        assert "written  context.yml" in told
        assert (place / "routes.yml").read_text() == "mine"
        assert not (place / "elsewhere.yml").exists()

    def test_twice(self, run: Run, place: Path) -> None:
        run("init")
        before = {name: (place / name).stat().st_mtime_ns for name in files(place)}
        again = run("init")
        assert again.exit_code == 0
        assert again.stdout.count("exists ") == len(WRITTEN)
        assert {name: (place / name).stat().st_mtime_ns for name in files(place)} == before

    def test_another_folder(self, run: Run, place: Path) -> None:
        told = run("init", "deep/er").stdout
        assert files(place / "deep" / "er") == WRITTEN
        assert "cd deep/er" in told

    def test_a_place_that_cannot_be_written(self, run: Run, place: Path) -> None:
        (place / "rules").write_text("a file")
        done = run("init")
        assert done.exit_code == 2
        assert "cannot be written" in done.stderr


def test_all_that_ships_is_written() -> None:
    assert sorted(map(str, starter())) == WRITTEN
