"""A registry hands out only models that check out, and changes by one rename."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from detectors.model import Model
from detectors.registry import CARD, DEFAULT, FOREST, Registry, RegistryError, default_model, read_model, write_model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def other(model: Model) -> Model:
    return Model(model.forest, msgspec.structs.replace(model.card, threshold=model.threshold + 1))


class TestPublish:
    def test_what_was_published_is_loaded(self, registry: Registry, model: Model) -> None:
        assert registry.list() == ()
        id = registry.publish(model)
        loaded = registry.load(id)
        assert id == model.hash == loaded.hash
        assert loaded.card == model.card
        assert loaded.forest.to_bytes() == model.forest.to_bytes()
        assert registry.list() == (id,)
        assert registry.current() is None

    def test_publishing_twice_is_once(self, registry: Registry, model: Model) -> None:
        assert registry.publish(model) == registry.publish(model)
        assert [entry.name for entry in registry.path.iterdir()] == [model.hash]

    def test_publishing_again_mends_a_damaged_model(self, registry: Registry, model: Model) -> None:
        id = registry.publish(model)
        (registry.path / id / FOREST).write_bytes(b"")
        registry.publish(model)
        assert registry.load(id).hash == id

    def test_leftovers_of_a_crash_are_no_models(self, registry: Registry, model: Model) -> None:
        (registry.path / f".publish-{model.hash}-1").mkdir(parents=True)
        assert registry.list() == ()
        registry.publish(model)
        assert registry.list() == (model.hash,)


class TestCurrent:
    def test_promote_and_roll_back(self, registry: Registry, model: Model, other: Model) -> None:
        first, second = registry.publish(model), registry.publish(other)
        registry.promote(first)
        registry.promote(second)
        registry.promote(second)
        assert registry.current() == second
        assert registry.load().threshold == other.threshold
        assert registry.rollback() == first
        assert registry.current() == first
        with pytest.raises(RegistryError, match="no earlier model"):
            registry.rollback()

    def test_nothing_promoted(self, registry: Registry, model: Model) -> None:
        registry.publish(model)
        with pytest.raises(RegistryError, match=f"promote one of .*{model.hash}"):
            registry.load()

    def test_only_what_checks_out_is_promoted(self, registry: Registry, model: Model, other: Model) -> None:
        first, second = registry.publish(model), registry.publish(other)
        registry.promote(first)
        (registry.path / second / FOREST).write_bytes(b"")
        with pytest.raises(RegistryError, match="sha256"):
            registry.promote(second)
        assert registry.current() == first

    def test_a_damaged_list_is_named(self, registry: Registry, model: Model) -> None:
        registry.promote(registry.publish(model))
        (registry.path / "promoted").write_text("../../etc\n")
        with pytest.raises(RegistryError, match=r"promoted: '\.\./\.\./etc' is no model id"):
            registry.current()

    def test_the_shadow(self, registry: Registry, model: Model) -> None:
        assert registry.shadowed() is None
        registry.shadow(registry.publish(model))
        assert registry.shadowed() == model.hash
        registry.shadow(None)
        assert registry.shadowed() is None


@pytest.mark.parametrize(
    "id", ["../outside", "..", "", "/etc", "a" * 15, "A" * 16, "a" * 16 + "\n", "a/../" + "b" * 11]
)
def test_an_id_leads_nowhere_else(registry: Registry, model: Model, id: str) -> None:
    outside = registry.path.parent / "outside"
    outside.mkdir()
    write_model(outside, model)
    for act in (registry.load, registry.promote, registry.shadow):
        with pytest.raises(RegistryError, match="no model id"):
            act(id)


def rewrite(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        card = json.loads((folder / CARD).read_bytes())
        change(card)
        (folder / CARD).write_text(json.dumps(card))

    return edit


def flip(folder: Path) -> None:
    raw = bytearray((folder / FOREST).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / FOREST).write_bytes(bytes(raw))


class TestTampering:
    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (flip, "forest.bin: sha256"),
            (lambda folder: (folder / FOREST).unlink(), "forest.bin: No such file"),
            (lambda folder: (folder / CARD).unlink(), "card.json: No such file"),
            (lambda folder: (folder / CARD).write_bytes(b"\xff{"), "card.json: .*publish the model again"),
            (lambda folder: (folder / CARD).write_bytes(b"{}"), "missing required field"),
            (lambda folder: (folder / CARD).write_bytes(b" " * (5 * 2**20)), "larger than"),
            (rewrite(lambda card: card.update(extra=1)), "unknown field"),
            (rewrite(lambda card: card.update(threshold=0.1)), "changed since it was published"),
            (rewrite(lambda card: card["golden_strangeness"].__setitem__(5, 0.123)), "golden row 5 scores"),
            (rewrite(lambda card: card["golden_rows"][31].__setitem__(0, 1e9)), "golden row 31 scores"),
            (rewrite(lambda card: card["golden_rows"].pop()), "golden rows and strangeness"),
            (rewrite(lambda card: card["golden_rows"][0].pop()), "golden rows: "),
            (rewrite(lambda card: card.update(golden_rows=[], golden_strangeness=[])), "golden rows and strangeness"),
            (rewrite(lambda card: card["features"].reverse()), "other features"),
            (rewrite(lambda card: card["quantiles"].pop()), "quantiles do not fit"),
            (rewrite(lambda card: card["tails"].__setitem__(0, -1.0)), "golden rows: "),
            (rewrite(lambda card: card["calibration"]["both"].update(scale=-1.0)), "no rising curve"),
        ],
    )
    def test_a_changed_model_is_not_loaded(
        self, registry: Registry, model: Model, damage: Callable[[Path], None], complaint: str
    ) -> None:
        id = registry.publish(model)
        damage(registry.path / id)
        with pytest.raises(RegistryError, match=complaint):
            registry.load(id)

    def test_a_consistent_forgery_under_another_name_is_not_loaded(
        self, registry: Registry, model: Model, other: Model
    ) -> None:
        id = registry.publish(model)
        write_model(registry.path / id, other)
        with pytest.raises(RegistryError, match="changed since"):
            registry.load(id)

    def test_a_forest_that_is_none_though_its_sha256_fits(self, tmp_path: Path, model: Model) -> None:
        forged = b"cos\nsystem\n(S'true'\ntR." + bytes(50)
        write_model(tmp_path, model)
        (tmp_path / FOREST).write_bytes(forged)
        rewrite(lambda card: card.update(forest_sha256=sha256(forged).hexdigest()))(tmp_path)
        with pytest.raises(RegistryError, match=r"forest\.bin: a forest begins with"):
            read_model(tmp_path)


class TestDefault:
    def test_it_is_shipped_and_checks_out(self) -> None:
        shipped = default_model()
        assert shipped.threshold > 0
        assert shipped.card.principals > 500
        assert shipped.card.events > 500_000

    def test_it_is_small(self) -> None:
        assert sum(file.stat().st_size for file in DEFAULT.iterdir() if file.is_file()) < 300_000

    def test_it_says_the_same_each_time(self) -> None:
        assert default_model().hash == default_model().hash
