from __future__ import annotations

from pathlib import Path

import pytest

from audit.event import AuditEvent
from streams.detections import Detections
from streams.replay import Source
from tests.laws.organisation import detections_of, humans, write_organisation


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("organisation")


@pytest.fixture(scope="session")
def sources(folder: Path) -> list[Source]:
    return write_organisation(folder)


@pytest.fixture(scope="session")
def detections(folder: Path, sources: list[Source]) -> Detections:
    return detections_of(folder)


@pytest.fixture(scope="session")
def events(sources: list[Source], detections: Detections) -> list[AuditEvent]:
    return humans(sources, detections)
