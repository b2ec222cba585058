"""The ten minutes of docs/writing-rules.md, command by command, end as the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rules.sigma import load
from tests.streams.commands.conftest import ROOT, Run, lines

PAGE = (ROOT / "docs" / "writing-rules.md").read_text("utf-8")
WALK = PAGE.partition("## Ten minutes")[2].partition("\n## ")[0]
RULE = re.findall(r"^```yaml\n(.*?)^```", WALK, re.MULTILINE | re.DOTALL)[0]
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(
        r"(?:^    .*\n)+", re.sub(r"^```.*?^```", "", WALK, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("    auditwatch ")
]


def test_the_walk(run: Run, place: Path) -> None:
    file = place / "my-rules" / "iam_mapped.yml"
    file.parent.mkdir()
    file.write_text(RULE)
    assert [words[:2] for words in COMMANDS][1:] == [
        ["rules", name] for name in ("check", "test", "explain", "backtest", "tune")
    ]
    for words in COMMANDS:
        done = run(*words)
        wanted = 0
        assert done.exit_code == wanted, (words, done.stderr)
        if words[1] == "backtest":
            _as_written(done.stdout)
            before = done.stdout
        if words[1] == "tune":
            _as_written(done.stderr)
    file.write_text(RULE.replace("stage: shadow", "stage: live"))
    assert run("rules", "check", "my-rules").exit_code == 0
    assert len(load([place / "my-rules"]).exceptions) == 1
    [backtest] = [words for words in COMMANDS if words[1] == "backtest"]
    after = lines(run(*backtest, "--json").stdout)
    assert (after[0]["false"], after[0]["attacks_hit"] != []) == (0, True)
    assert len(after[0]["attacks_hit"]) == int(before.splitlines()[1].split()[-1])


def _as_written(output: str) -> None:
    """The page shows lines of this output; numbers may move as the simulated company grows, the form may not."""
    shown = re.findall(r"^```text\n(.*?)^```", WALK, re.MULTILINE | re.DOTALL)
    form = {_form(line) for block in shown for line in block.splitlines()}
    assert {_form(line) for line in output.splitlines()} & form


def _form(line: str) -> str:
    return re.sub(r"[\d.]+", "N", " ".join(line.split()))


def test_the_walk_is_short() -> None:
    assert sum(int(minutes) for minutes in re.findall(r"\((\d+) minutes?\)", WALK)) == pytest.approx(10)
