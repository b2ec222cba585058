"""Several organisations played at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from ctypes import c_int64
from pathlib import Path
from typing import Any, NamedTuple

from audit.context import ContextErrors
from detectors.model import Model
from detectors.registry import CARD, Registry, RegistryError, default_model, read_model
from rules import sigma
from rules.document import RuleErrors
from streams.detections import Detections
from streams.evaluate import Measured, evaluate
from streams.evaluate_labels import Labelled, from_folder, simulated
from streams.evaluate_naive import Fit
from streams.files import FileError
from streams.load import rule_folders
from streams.simulate.organisation import simulate

POLL = 0.3
Tick = Callable[[int], None]


class Unplayable(Exception):
    """What an organisation, its rules or its model were to be read from cannot be used; the message says what to do."""


class Task(NamedTuple):
    """One organisation to play: a folder, or people, days and a seed; and what it is measured with.

    `model` is a folder, an id in the registry, or "": the registry's current one, or the one that ships. `naive` makes
    the forest of the floor (`detectors.train.plain_forest`), None leaves it out.
    """

    folder: Path | None
    users: int
    days: int
    seed: int
    budgets: tuple[float, ...]
    rules: tuple[Path, ...]
    model: str
    registry: Path | None
    naive: Fit | None


def measure(tasks: Sequence[Task], jobs: int, tick: Tick) -> list[Measured]:
    """Plays the tasks, `jobs` at a time, and returns what was measured in their order; `tick` hears of events.

    Raises:
        Unplayable: something cannot be used.
    """
    if min(jobs, len(tasks)) == 1:
        return [measured for task in tasks for measured in play(task, tick)]
    with _workers(min(jobs, len(tasks))) as (pool, done):
        futures = [pool.submit(_play_apart, task) for task in tasks]
        _follow(futures, done, tick)
        return [measured for future in futures for measured in future.result()]


def play(task: Task, tick: Tick) -> list[Measured]:
    """Plays one in this process. Raises Unplayable."""
    try:
        labelled = _labelled(task)
        rules, model = sigma.load(rule_folders(task.rules)), model_of(task.model, task.registry)
        return evaluate(
            labelled, Detections(rules, model, labelled.context), task.budgets, naive=task.naive, on_events=tick
        )
    except (ContextErrors, RuleErrors, RegistryError, FileError) as error:
        raise Unplayable(str(error)) from None  # those would not survive the way between processes


def model_of(model: str, registry: Path | None) -> Model:
    """The model of a task. Raises RegistryError."""
    if model and (Path(model) / CARD).is_file():
        return read_model(Path(model))
    if registry:
        return Registry(registry).load(model or None)
    if model and model != default_model().hash:
        raise RegistryError(f"--model {model}: no folder with {CARD}; to name one of a registry give --registry DIR")
    return default_model()


def _labelled(task: Task) -> Labelled:
    return from_folder(task.folder) if task.folder else simulated(simulate(task.users, task.days, task.seed))


def _follow(futures: Sequence[Future[Any]], done: Any, tick: Tick) -> None:
    """Shows progress until all are done or one has failed."""
    waiting, shown = set(futures), 0
    while waiting:
        ended, waiting = wait(waiting, timeout=POLL)
        count = done.value
        tick(count - shown)
        shown = count
        for future in ended:
            future.result()


@contextmanager
def _workers(jobs: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    """Processes, and a count of events they share; ended at once when the block ends badly."""
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Value(c_int64, 0)
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, spawn, _begin, (done,))
    try:
        yield pool, done
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


_done: Any = None


def _begin(done: Any) -> None:
    global _done
    _done = done
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair


def _play_apart(task: Task) -> list[Measured]:
    return play(task, _tick)


def _tick(count: int) -> None:
    with _done.get_lock():
        _done.value += count
