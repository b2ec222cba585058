from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from detectors.registry import Registry, default_model, write_model
from streams.commands import models_evaluate
from tests.streams.commands.conftest import Run

QUICK = ("--users", "10", "--days", "3", "--no-naive", "--budget", "10")
SMALL = (*QUICK, "--seeds", "3", "--jobs", "1")


def test_a_table_and_the_same_figures_as_json(run: Run, place: Path) -> None:
    out = place / "figures.json"
    done = run("models", "evaluate", *SMALL, "--budget", "5,10", "--json", out)
    assert done.exit_code == 0, done.output
    assert f"model {default_model().hash}" in done.stdout
    assert "1 organisation of 10 people, 3 days, the first attack on day 1" in done.stdout
    report = msgspec.json.decode(out.read_bytes())
    assert [summary["budget"] for summary in report["summaries"]] == [5, 10]
    assert {each["organisation"] for each in report["organisations"]} == {"seed 3"}
    assert f"{report['summaries'][1]['found']['mean']:.1%}" in done.stdout


def test_json_alone_on_standard_output(run: Run) -> None:
    done = run("models", "evaluate", *SMALL, "--json", "-")
    assert msgspec.json.decode(done.stdout)["model"] == default_model().hash


def test_two_processes_say_what_one_says(run: Run) -> None:
    one, two = (run("models", "evaluate", *QUICK, "--seeds", "3,4", "--json", "-", "--jobs", jobs) for jobs in "12")
    assert one.exit_code == two.exit_code == 0, two.output
    assert one.stdout == two.stdout
    assert [each["organisation"] for each in msgspec.json.decode(two.stdout)["organisations"]] == ["seed 3", "seed 4"]


def test_an_organisation_on_disk_with_the_floor_beside_it(run: Run, organisation: Path) -> None:
    done = run("models", "evaluate", "--in", organisation, "--budget", "10", "--jobs", "1", "--json", "-")
    report = msgspec.json.decode(done.stdout)
    assert [each["system"] for each in report["summaries"]] == ["auditwatch", "naive forest"]
    assert (report["organisations"][0]["users"], report["organisations"][0]["days"]) == (12, 4)
    assert report["organisations"][0]["campaigns"]


@pytest.mark.parametrize("how", ["folder", "id", "current"])
def test_another_model_is_measured(run: Run, place: Path, how: str) -> None:
    shipped = default_model()
    other = msgspec.structs.replace(shipped.card, threshold=9.0)
    model = type(shipped)(shipped.forest, other)
    registry = Registry(place / "models")
    registry.publish(model)
    registry.promote(model.hash)
    (place / "folder").mkdir()
    write_model(place / "folder", model)
    options = {
        "folder": ("--model", place / "folder"),
        "id": ("--model", model.hash, "--registry", registry.path),
        "current": ("--registry", registry.path),
    }[how]
    done = run("models", "evaluate", *SMALL, *options)
    assert done.exit_code == 0, done.output
    assert f"model {model.hash}" in done.stdout
    assert "anomaly" not in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "nobody"), "give --registry DIR"),
        (("--seeds", "a,b"), "whole numbers"),
        (("--budget", "0,5"), "0 is less than 1"),
        (("--rules", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_long_work(
    run: Run, options: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_evaluate, "measure", lambda *_, **__: pytest.fail("played"))
    done = run("models", "evaluate", "--jobs", "1", *options)
    assert done.exit_code == 2
    assert message in done.output


def test_a_mistake_found_in_another_process_is_told_as_in_this_one(run: Run, organisation: Path, place: Path) -> None:
    for name in ("one", "two"):
        (place / name).mkdir()
        (place / name / "context.yml").write_bytes((organisation / "context.yml").read_bytes())
    done = run("models", "evaluate", "--in", place / "one", "--in", place / "two", "--no-naive")
    assert done.exit_code == 2
    assert "make them with `auditwatch simulate`" in done.output


def test_without_scikit_learn_the_floor_is_left_out_or_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_evaluate, "plain_forest", None)
    done = run("models", "evaluate", "--users", "10", "--days", "2")
    assert done.exit_code == 2
    assert "--no-naive" in done.output


def test_ctrl_c_leaves_no_process_behind(place: Path) -> None:
    main = "from streams.cli import main; main()"
    command = [sys.executable, "-c", main, "models", "evaluate", "--users", "200", "--days", "28"]
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(root)}, cwd=place,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(_workers(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"Traceback" not in error
        assert not psutil.wait_procs(children, timeout=10)[1]
    finally:
        if process.poll() is None:
            process.kill()


def _workers(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
