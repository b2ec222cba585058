from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import click
import pytest
from aiokafka.errors import NodeNotReadyError

from streams.commands.common import JsonLines, PlainLines, Unusable, problems, settings_of, source_file
from streams.files import FileError
from streams.settings import SettingsError
from tests.streams.commands.conftest import ROOT


def test_a_source_and_its_file() -> None:
    assert source_file("okta=a=b.jsonl", {"okta"}) == ("okta", "a=b.jsonl")


@pytest.mark.parametrize("value", ["okta", "okta=", "=x", "aws=x"])
def test_what_is_no_source_and_file_names_the_sources(value: str) -> None:
    with pytest.raises(click.UsageError, match="one of github, okta"):
        source_file(value, {"okta", "github"})


@pytest.mark.parametrize(
    "error", [SettingsError("what to do"), FileError("f", 3, "what to do"), NodeNotReadyError("what to do")]
)
def test_problems_become_unusable_input(error: Exception) -> None:
    with pytest.raises(Unusable, match="what to do") as told, problems():
        raise error
    assert told.value.exit_code == 2


def test_a_mistake_of_ours_is_no_problem() -> None:
    with pytest.raises(KeyError), problems():
        raise KeyError("ours")


def test_settings_name_file_and_line(place: Path) -> None:
    (place / "auditwatch.toml").write_text("partitions = 8\nbrokr = 'x'\n")
    with pytest.raises(Unusable, match=r"auditwatch\.toml:2: unknown key 'brokr'; did you mean broker\?"):
        settings_of(None)


def record(message: str) -> logging.LogRecord:
    try:
        raise ValueError("secret token xoxb-123456789012-abcdefghijkl")
    except ValueError:
        return logging.LogRecord("auditwatch.x", logging.ERROR, "f", 1, message, None, sys.exc_info())


def test_log_lines_are_json_and_redacted() -> None:
    line = json.loads(JsonLines().format(record("line\nforged AKIAIOSFODNN7EXAMPLE password=hunter22222")))
    assert (line["level"], line["logger"]) == ("error", "auditwatch.x")
    assert "hunter22222" not in line["message"]
    assert "xoxb-123456789012" not in line["error"]
    assert "\n" not in JsonLines().format(record("a\nb"))


def test_log_lines_for_a_terminal_are_redacted_too() -> None:
    text = PlainLines().format(record("password=hunter22222"))
    assert "hunter22222" not in text
    assert "xoxb-123456789012" not in text


def test_what_every_package_of_ours_has_to_say_is_shown_and_others_only_warn() -> None:
    code = (
        "import logging\n"
        "from streams.commands.common import log_to_stderr\n"
        "log_to_stderr()\n"
        "for name in ('auditwatch.clicks', 'streams.worker', 'alerting.slack_http', 'aiokafka'):\n"
        "    logging.getLogger(name).info('news')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    told = [json.loads(line)["logger"] for line in done.stderr.splitlines()]
    assert told == ["auditwatch.clicks", "streams.worker", "alerting.slack_http"]


@pytest.mark.parametrize("background", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)"])
def test_sigterm_ends_a_process_as_ctrl_c_does(background: str) -> None:
    """Also one that a shell started in the background, where Ctrl-C is ignored."""
    code = (
        "import os, signal, time\n"
        "from streams.ending import end_on_sigterm\n"
        f"{background}\n"
        "end_on_sigterm()\n"
        "try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)\n"
        "except KeyboardInterrupt: print('in order')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "in order\n")
