from __future__ import annotations

from pathlib import Path

import pytest

from streams.evaluate_labels import from_folder, simulated
from streams.files import FileError
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.output import write


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return simulate(12, 3, 5, attack_after=1)


@pytest.fixture(scope="module")
def folder(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluate") / "acorn"
    write(organisation, out)
    return out


def test_a_folder_is_the_organisation_it_was_written_from(organisation: Organisation, folder: Path) -> None:
    played, read = simulated(organisation), from_folder(folder)
    assert (played.name, read.name) == ("seed 5", "acorn")
    assert list(read.attacks) == organisation.attacks
    assert list(read.lookalikes) == organisation.lookalikes
    assert (read.users, played.users) == (12, 12)
    one, two = ([(event.id, event.time, event.actor) for event in each.events()] for each in (played, read))
    assert sorted(one) == sorted(two)
    assert len(one) > 1000


def test_events_begin_anew_with_each_call(organisation: Organisation) -> None:
    labelled = simulated(organisation)
    assert next(labelled.events()).id == next(labelled.events()).id


def test_each_labelled_event_has_its_campaign_and_its_lookalikes(organisation: Organisation) -> None:
    labelled = simulated(organisation)
    for attack in organisation.attacks:
        assert all(labelled.attack_of[event] is attack for event in attack.event_ids)
    for odd in organisation.lookalikes:
        assert all(odd in labelled.lookalikes_of[event] for event in odd.event_ids)


def test_a_folder_without_logs_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "context.yml").write_bytes((folder / "context.yml").read_bytes())
    with pytest.raises(FileError, match="auditwatch simulate"):
        from_folder(tmp_path)


@pytest.mark.parametrize(
    ("line", "what"), [(b"{", "not a label"), (b"{}", "start"), (b'{"start": 1, "end": 2}', "not a label")]
)
def test_a_wrong_label_is_named_with_its_line(folder: Path, tmp_path: Path, line: bytes, what: str) -> None:
    for each in folder.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    good = (folder / "attacks.jsonl").read_bytes()
    (tmp_path / "attacks.jsonl").write_bytes(good + line + b"\n")
    number = good.count(b"\n") + 1
    with pytest.raises(FileError, match=rf"attacks.jsonl:{number}: .*{what}"):
        from_folder(tmp_path)


def test_missing_labels_are_named(folder: Path, tmp_path: Path) -> None:
    for each in folder.iterdir():
        if each.name != "attacks.jsonl":
            (tmp_path / each.name).write_bytes(each.read_bytes())
    with pytest.raises(FileError, match=r"attacks.jsonl: cannot be read"):
        from_folder(tmp_path)
