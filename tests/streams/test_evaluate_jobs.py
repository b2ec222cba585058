from __future__ import annotations

from pathlib import Path

import pytest

from detectors.registry import Registry, RegistryError, default_model, write_model
from streams.evaluate_jobs import Task, Unplayable, measure, model_of, play

TASK = Task(None, 10, 2, 3, (10,), (), "", None, None)


def nothing(_: int) -> None:
    pass


def test_a_model_is_a_folder_an_id_the_current_one_or_the_one_that_ships(tmp_path: Path) -> None:
    shipped = default_model()
    write_model(tmp_path, shipped)
    registry = Registry(tmp_path / "models")
    registry.publish(shipped)
    assert model_of("", None).hash == model_of(shipped.hash, None).hash == shipped.hash
    assert model_of(str(tmp_path), None).hash == model_of(shipped.hash, registry.path).hash == shipped.hash
    with pytest.raises(RegistryError, match="promote"):
        model_of("", registry.path)
    registry.promote(shipped.hash)
    assert model_of("", registry.path).hash == shipped.hash
    with pytest.raises(RegistryError, match="give --registry DIR"):
        model_of("another", None)


def test_one_task_is_played_here_and_tells_its_progress() -> None:
    counted: list[int] = []
    (measured,) = measure([TASK], 4, counted.append)
    assert (measured.organisation, measured.budget, measured.users) == ("seed 3", 10, 10)
    assert sum(counted) == measured.events > 1000


def test_tasks_come_back_in_their_order() -> None:
    tasks = [TASK._replace(seed=seed) for seed in (5, 3)]
    assert [each.organisation for each in measure(tasks, 1, nothing)] == ["seed 5", "seed 3"]


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (TASK._replace(folder=Path("nowhere")), "nowhere"),
        (TASK._replace(model="nobody"), "nobody"),
        (TASK._replace(rules=(Path("no-rules"),)), "no-rules"),
    ],
)
def test_what_cannot_be_played_says_why(task: Task, what: str) -> None:
    with pytest.raises(Unplayable, match=what):
        play(task, nothing)
