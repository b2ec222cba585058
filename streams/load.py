"""Files -> Detections: the one place where rules, model and context are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audit.context import EMPTY, Context, load_context
from detectors.registry import Registry, default_model
from rules import sigma
from streams.detections import Detections

LIBRARY = "library"
"""What stands for the rules that ship in a list of rule folders."""


def load_detections(context: Path | None, rules: Sequence[Path], models: Path | None) -> Detections:
    """The detections of these files: no context means nobody is declared, no rules the library, no models the default.

    Raises:
        ContextErrors, RuleErrors, RegistryError: naming each file and line, or what to do.
    """
    registry = Registry(models) if models else None
    shadow = registry.shadowed() if registry else None
    return Detections(
        rules=sigma.load(rule_folders(rules)),
        model=registry.load() if registry else default_model(),
        context=declared(context),
        shadow=registry.load(shadow) if registry and shadow else None,
    )


def rule_folders(rules: Sequence[Path]) -> list[Path]:
    """Where rules are read from: the folders given, of which `library` means the one that ships, or that one alone."""
    return [sigma.library() if path.name == LIBRARY and not path.exists() else path for path in rules] or [
        sigma.library()
    ]


def declared(context: Path | None) -> Context:
    """What the company declares in this file or folder; None: nobody and nothing. Raises ContextErrors."""
    return load_context(context) if context else EMPTY
