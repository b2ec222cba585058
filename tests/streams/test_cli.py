from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams import cli as module
from streams.cli import COMMANDS, cli, main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-c", "from streams.cli import main; main()"]


def program(*words: str, tail: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_help_is_there_within_half_a_second() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        assert program("--help").returncode == 0
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(3)) <= 0.5


def test_help_names_every_command_and_loads_none() -> None:
    code = (
        "import sys; from streams.cli import cli; cli(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name.startswith('streams.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"\n  {name}" in done.stdout for name in COMMANDS)
    assert sorted(eval(done.stderr)) == ["streams.cli", "streams.commands", "streams.commands.lazy"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_helps(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage:" in done.output


def subcommands() -> list[tuple[str, str]]:
    context = click.Context(cli)
    groups = {name: cli.get_command(context, name) for name in ("rules", "models", "alerts", "dlq")}
    return [
        (name, each)
        for name, group in groups.items()
        if isinstance(group, click.Group)
        for each in group.list_commands(context)
    ]


@pytest.mark.parametrize(("group", "name"), subcommands())
def test_every_subcommand_helps_with_an_example(group: str, name: str) -> None:
    done = CliRunner().invoke(cli, [group, name, "--help"])
    assert done.exit_code == 0, done.output
    assert f"auditwatch {group} {name}" in done.output.partition("Examples:")[2]


@pytest.mark.parametrize("name", ["worker", "dispatcher", "trail", "ingest", "replay", "normalise", "doctor"])
def test_every_plain_command_helps_with_an_example(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert f"auditwatch {name}" in done.output.partition("Examples:")[2]


def test_the_services_never_load_scikit_learn() -> None:
    code = (
        "import sys; import streams.commands.worker, streams.commands.dispatcher, streams.commands.models;"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


class TestMain:
    """Exit codes of the console script."""

    def code(self, monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> int:
        @click.command()
        def command() -> None:
            if error:
                raise error

        monkeypatch.setattr(module, "cli", command)
        monkeypatch.setattr(sys, "argv", ["auditwatch"])
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        return left.value.code

    def test_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.code(monkeypatch, None) == 0

    def test_the_answer_is_no(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.code(monkeypatch, click.exceptions.Exit(1)) == 1

    @pytest.mark.parametrize(
        "error", [click.ClickException("wrong"), click.UsageError("wrong"), click.FileError("x", "wrong")]
    )
    def test_unusable_input(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: click.ClickException
    ) -> None:
        assert self.code(monkeypatch, error) == 2
        assert "wrong" in capsys.readouterr().err

    def test_interrupted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.code(monkeypatch, KeyboardInterrupt()) == 130

    def test_a_mistake_of_ours_shows_where(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.code(monkeypatch, KeyError("ours")) == 70
        assert "Traceback" in (said := capsys.readouterr().err)
        assert "KeyError: 'ours'" in said


def test_unusable_input_comes_without_a_traceback(tmp_path: Path) -> None:
    done = program("rules", "check", str(tmp_path / "missing"))
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_unusable_input() -> None:
    done = program("rulez")
    assert done.returncode == 2
    assert "No such command 'rulez'" in done.stderr


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*PROGRAM, "rules", "list", "--json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
