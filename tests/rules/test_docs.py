"""The examples of docs/writing-rules.md load as they are."""

from __future__ import annotations

import re
from pathlib import Path

from rules.sigma import load
from rules.tests import run_tests

PAGE = Path(__file__).resolve().parents[2] / "docs" / "writing-rules.md"
NAMED = """title: {name}
id: 99999999-9999-4999-8999-{number:012d}
name: {name}
logsource: {{product: {product}}}
detection: {{s: {{{field}: x}}, condition: s}}
"""
STUBS = {"iam_user_created": ("aws, service: cloudtrail", "eventName"), "login_failed": ("auditwatch", "outcome")}
"""Rules the examples speak of: (log source, a field of theirs)."""


def test_every_example_loads_and_its_tests_pass(tmp_path: Path) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.yml").write_text(example)
    defined = set(re.findall(r"^name: (\w+)", "\n".join(examples), re.MULTILINE))
    for number, (name, (product, field)) in enumerate(STUBS.items()):
        if name not in defined:
            text = NAMED.format(name=name, number=number, product=product, field=field)
            (tmp_path / f"{name}.yml").write_text(text)
    rules = load([tmp_path])
    assert len(examples) >= 6
    assert len(rules.exceptions) == 1
    assert any(rule.title == "IAM of an AWS account mapped" for rule in rules.rules)
    results = run_tests(rules)
    assert len(results) >= 3
    assert [str(result) for result in results if not result.passed] == []
