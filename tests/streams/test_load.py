from __future__ import annotations

from pathlib import Path

import pytest

from audit.context import ContextErrors
from detectors.registry import RegistryError, default_model
from rules.document import RuleErrors
from streams.load import load_detections

RULE = """title: Every deed
id: 11111111-1111-4111-8111-111111111111
level: high
logsource: {product: auditwatch}
detection:
  deed: {outcome: success}
  condition: deed
"""


def test_without_files_it_is_the_library_the_default_model_and_nobody_declared() -> None:
    detections = load_detections(None, [], None)
    assert len(detections.rules.rules) > 30
    assert detections.model.hash == default_model().hash
    assert not detections.context.people.by_id


def test_files_are_read_and_their_hashes_are_the_version(tmp_path: Path) -> None:
    rule, context = tmp_path / "rule.yml", tmp_path / "context.yml"
    rule.write_text(RULE)
    context.write_text("users: [{id: alice, name: Alice}]\n")
    detections = load_detections(context, [rule], None)
    assert [each.title for each in detections.rules.rules] == ["Every deed"]
    assert detections.context.person("alice")
    version = detections.version
    assert (version.rules, version.models, version.context) == (
        detections.rules.hash,
        detections.model.hash,
        detections.context.hash,
    )
    assert all((version.rules, version.models, version.context))
    assert load_detections(context, [rule], None).version == version
    context.write_text("users: [{id: alice, name: Alice B.}]\n")
    changed = load_detections(context, [rule], None).version
    assert (changed.rules, changed.context == version.context) == (version.rules, False)


def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(RULE.replace("level: high", "level: dreadful"))
    with pytest.raises(RuleErrors, match=r"broken\.yml:3"):
        load_detections(None, [broken], None)
    broken.write_text("userz: []\n")
    with pytest.raises(ContextErrors, match=r"broken\.yml:1"):
        load_detections(broken, [], None)
    with pytest.raises(RegistryError):
        load_detections(None, [], tmp_path / "nowhere")
