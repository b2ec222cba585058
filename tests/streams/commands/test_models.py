from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from detectors.model import Model
from detectors.registry import DEFAULT, Registry, default_model, read_model
from streams.commands import models_train
from streams.simulate.organisation import simulate
from streams.simulate.output import write
from tests.streams.commands.conftest import Run, lines


@pytest.fixture
def registry(place: Path) -> Registry:
    """Two published models, none promoted."""
    registry = Registry(place / "models")
    shipped = default_model()
    registry.publish(shipped)
    registry.publish(Model(shipped.forest, msgspec.structs.replace(shipped.card, alerts_per_day=3.0)))
    return registry


def test_without_a_registry_the_shipped_model_is_listed_and_shown(run: Run) -> None:
    [line] = lines(run("models", "list", "--json").stdout)
    assert (line["id"], line["state"]) == (default_model().hash, "shipped")
    shown = run("models", "show").stdout
    assert line["id"] in shown
    assert "threshold" in shown


def test_list_says_which_is_current_and_which_in_the_shadow(run: Run, registry: Registry) -> None:
    one, two = registry.list()
    assert run("models", "promote", one, "--registry", registry.path).exit_code == 0
    assert run("models", "shadow", two, "--registry", registry.path).exit_code == 0
    states = {
        line["id"]: line["state"] for line in lines(run("models", "list", "--registry", registry.path, "--json").stdout)
    }
    assert states == {one: "current", two: "shadow"}
    run("models", "shadow", "--off", "--registry", registry.path)
    table = run("models", "list", "--registry", registry.path).stdout.splitlines()
    assert [row.split()[:2] for row in table] == [["ID", "STATE"], [one, "current"], [two, "published"]]


def test_the_registry_may_come_from_the_environment(
    run: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITWATCH_MODELS", str(registry.path))
    one, two = registry.list()
    run("models", "promote", one)
    run("models", "promote", two)
    assert lines(run("models", "show", "--json").stdout)[0]["alerts_per_day"] == registry.load(two).card.alerts_per_day
    assert run("models", "rollback").stdout == f"{one}\n"
    assert registry.current() == one


def test_publish_prints_the_id_and_promotes_nothing(run: Run, place: Path) -> None:
    done = run("models", "publish", DEFAULT, "--registry", "models")
    assert (done.exit_code, done.stdout) == (0, f"{default_model().hash}\n")
    assert Registry(place / "models").current() is None


def test_the_shipped_model_can_be_published_too(run: Run, place: Path) -> None:
    done = run("models", "publish", "--shipped", "--registry", "models")
    assert (done.exit_code, done.stdout) == (0, f"{default_model().hash}\n")
    assert Registry(place / "models").load(default_model().hash).hash == default_model().hash
    assert run("models", "publish", "--registry", "models").exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promote", "0123456789abcdef", "--registry", "models"], "publish the model again"),
        (["promote", "../etc", "--registry", "models"], "is no model id"),
        (["rollback", "--registry", "models"], "no earlier model"),
        (["show", "--registry", "models"], "no model is promoted"),
        (["promote", "0123456789abcdef"], "AUDITWATCH_MODELS"),
        (["show", "0123456789abcdef"], "AUDITWATCH_MODELS"),
        (["shadow", "--registry", "models"], "either ID or --off"),
        (["train", "okta=x"], "AUDITWATCH_MODELS"),
        (["train", "okta=x", "--out", "a", "--registry", "b"], "either --out or --registry"),
    ],
)
def test_what_cannot_be_is_unusable_input(run: Run, words: list[str], said: str) -> None:
    done = run("models", *words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_damaged_model_is_not_published(run: Run, place: Path) -> None:
    shutil.copytree(DEFAULT, place / "trained")
    with (place / "trained" / "forest.bin").open("r+b") as file:
        file.write(b"\xff\xff\xff\xff")
    done = run("models", "publish", "trained", "--registry", "models")
    assert done.exit_code == 2
    assert "sha256 is not the card's" in done.stderr
    assert not (place / "models").exists()


class TestTrain:
    @pytest.fixture
    def organisation(self, tmp_path: Path) -> Path:
        """Large enough to train on."""
        folder = tmp_path / "logs"
        write(simulate(16, 4, 7, attack_after=2), folder)
        return folder

    def sources(self, organisation: Path) -> list[str]:
        return [f"{name}={organisation / name}.jsonl.gz" for name in ("okta", "cloudtrail", "github", "kubernetes")]

    def test_a_model_in_a_folder_or_a_registry(self, run: Run, organisation: Path, place: Path) -> None:
        words = [*self.sources(organisation), "--context", organisation / "context.yml", "--alerts-per-day", 2]
        done = run("models", "train", *words, "--out", "trained")
        assert done.exit_code == 0, done.output
        model = read_model(place / "trained")
        assert done.stdout == f"{model.hash}\n"
        assert model.card.alerts_per_day == 2
        assert f"{model.card.events} events of" in done.stderr
        again = run("models", "train", *words, "--registry", "models")
        assert again.stdout == done.stdout  # the same seed and logs
        assert Registry(place / "models").list() == (model.hash,)
        assert Registry(place / "models").current() is None

    def test_too_few_events_are_unusable(self, run: Run, place: Path) -> None:
        (place / "few.jsonl").write_text('{"eventName": "CreateUser"}\n')
        done = run("models", "train", "cloudtrail=few.jsonl", "--out", "trained")
        assert done.exit_code == 2
        assert "train on a longer period" in done.stderr
        assert not (place / "trained").exists()

    def test_a_foreign_folder_is_left_alone(self, run: Run, place: Path) -> None:
        (place / "thesis").mkdir()
        (place / "thesis" / "thesis.tex").write_text("precious")
        done = run("models", "train", "okta=x", "--out", "thesis")
        assert done.exit_code == 2
        assert "choose a new folder" in done.stderr

    def test_without_scikit_learn_it_says_what_to_install(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models_train, "train", None)
        done = run("models", "train", "okta=x", "--out", "trained")
        assert done.exit_code == 2
        assert "pip install 'auditwatch[training]'" in done.stderr
