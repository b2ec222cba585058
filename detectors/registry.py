"""Models as folders: models/<id>/{card.json, forest.bin}; no pickle, nothing loaded that does not check out.

`promoted` holds the ids promoted so far, one a line, the last one current; `shadow` the id that scores beside it.
Every change is one rename.
"""

from __future__ import annotations

import os
import re
import shutil
from hashlib import sha256
from math import isclose
from pathlib import Path

import msgspec

from detectors.features import FEATURES
from detectors.forest import Forest
from detectors.model import Card, Model

CARD, FOREST = "card.json", "forest.bin"
DEFAULT = Path(__file__).parent / "default"
MAX_CARD_BYTES, MAX_FOREST_BYTES = 4 * 2**20, 64 * 2**20
GOLDEN_TOLERANCE = 1e-9

_ID = re.compile(r"[0-9a-f]{16}")


class RegistryError(Exception):
    """A model or the registry is not what it should be; the message says where and what to do."""


class Registry:
    """The models under a folder. Writers do not wait for each other: the last rename wins."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def publish(self, model: Model) -> str:
        """Store a model under its hash and return that id; it is not current until promoted."""
        folder = self.path / model.hash
        if not self._is_sound(model.hash):
            draft = self.path / f".publish-{model.hash}-{os.getpid()}"
            draft.mkdir(parents=True, exist_ok=True)
            write_model(draft, model)
            shutil.rmtree(folder, ignore_errors=True)  # what is left of a damaged one
            draft.rename(folder)
        self.load(model.hash)
        return model.hash

    def load(self, id: str | None = None) -> Model:
        """The model of an id, or the current one.

        Raises:
            RegistryError: when there is none, or its bytes, features or golden rows do not check out.
        """
        chosen = self.current() if id is None else id
        if chosen is None:
            raise RegistryError(f"{self.path}: no model is promoted; promote one of {list(self.list())}")
        model = read_model(self._folder(chosen))
        if model.hash != chosen:
            raise RegistryError(f"{self.path / chosen / CARD}: changed since it was published; publish the model again")
        return model

    def list(self) -> tuple[str, ...]:
        """Ids of the published models, sorted."""
        if not self.path.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in self.path.iterdir() if _ID.fullmatch(entry.name)))

    def current(self) -> str | None:
        """Id of the promoted model, None where none is."""
        history = self._read("promoted")
        return history[-1] if history else None

    def promote(self, id: str) -> None:
        """Make a published model current, once it has been loaded and checked."""
        self.load(id)
        if self.current() != id:
            self._write("promoted", (*self._read("promoted"), id))

    def rollback(self) -> str:
        """Make the model promoted before the current one current again; returns its id."""
        history = self._read("promoted")
        if len(history) < 2:
            raise RegistryError(f"{self.path / 'promoted'}: no earlier model to go back to; promote one instead")
        self.load(history[-2])
        self._write("promoted", history[:-1])
        return history[-2]

    def shadow(self, id: str | None) -> None:
        """Let a published model score beside the current one; None ends that."""
        if id is not None:
            self.load(id)
        self._write("shadow", () if id is None else (id,))

    def shadowed(self) -> str | None:
        """Id of the model in the shadow, None where there is none."""
        return next(iter(self._read("shadow")), None)

    def _is_sound(self, id: str) -> bool:
        try:
            return self.load(id).hash == id
        except RegistryError:
            return False

    def _folder(self, id: str) -> Path:
        if not _ID.fullmatch(id):
            raise RegistryError(
                f"{id[:40]!r} is no model id (16 hex digits); see the published ones: {list(self.list())}"
            )
        return self.path / id

    def _read(self, name: str) -> tuple[str, ...]:
        path = self.path / name
        if not path.exists():
            return ()
        ids = tuple(path.read_text(encoding="ascii", errors="replace").split())
        if wrong := [id for id in ids if not _ID.fullmatch(id)]:
            raise RegistryError(f"{path}: {wrong[0][:40]!r} is no model id; delete that line")
        return ids

    def _write(self, name: str, ids: tuple[str, ...]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / f".{name}-{os.getpid()}"
        _store(draft, "".join(f"{id}\n" for id in ids).encode())
        draft.replace(self.path / name)


def default_model() -> Model:
    """The model that comes with the package, for the first day.

    Raises:
        RegistryError: when the installation is damaged.
    """
    return read_model(DEFAULT)


def write_model(folder: Path, model: Model) -> None:
    """Write card.json and forest.bin into an existing folder."""
    _store(folder / CARD, msgspec.json.format(msgspec.json.encode(model.card), indent=1) + b"\n")
    _store(folder / FOREST, model.forest.to_bytes())


def read_model(folder: Path) -> Model:
    """The model in a folder, checked: sizes, sha256, trees, features, golden rows.

    Raises:
        RegistryError: naming the file and what to do.
    """
    data = _bytes(folder / FOREST, MAX_FOREST_BYTES)
    try:
        card = msgspec.json.decode(_bytes(folder / CARD, MAX_CARD_BYTES), type=Card)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"{folder / CARD}: {error}; publish the model again") from error
    if sha256(data).hexdigest() != card.forest_sha256:
        raise RegistryError(f"{folder / FOREST}: sha256 is not the card's; publish the model again")
    try:
        model = Model(Forest.from_bytes(data), card)
    except ValueError as error:
        raise RegistryError(f"{folder / FOREST}: {error}; train the model again") from error
    _check(model, folder)
    return model


def _store(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}; publish the model again") from error
    if len(data) > most:
        raise RegistryError(f"{path}: larger than {most} bytes; that is no model of ours")
    return data


def _check(model: Model, folder: Path) -> None:
    """Raise RegistryError unless the model fits this program's features and still says what it said when trained."""
    card, expected = model.card, tuple(feature.name for feature in FEATURES)
    if card.features != expected or model.forest.features != len(expected):
        raise RegistryError(
            f"{folder / CARD}: made for other features than this version computes; train the model again"
        )
    if (
        not card.tails
        or len(card.quantiles) != len(expected)
        or any(len(row) != len(card.tails) for row in card.quantiles)
    ):
        raise RegistryError(f"{folder / CARD}: quantiles do not fit features and tails; train the model again")
    try:
        scores = model.score(card.golden_rows).tolist()
    except ValueError as error:
        raise RegistryError(f"{folder / CARD}: golden rows: {error}; train the model again") from error
    golden = card.golden_strangeness
    if not golden or len(golden) != len(scores):
        raise RegistryError(f"{folder / CARD}: golden rows and strangeness do not match; train the model again")
    for place, (got, want) in enumerate(zip(scores, golden, strict=True)):
        if not isclose(got, want, rel_tol=GOLDEN_TOLERANCE, abs_tol=GOLDEN_TOLERANCE):
            raise RegistryError(
                f"{folder / CARD}: golden row {place} scores {got}, the card says {want}; "
                "this machine or version computes differently: train the model again"
            )
