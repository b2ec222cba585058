"""A model of a small company, trained once."""

from __future__ import annotations

import pytest

from audit.event import AuditEvent
from detectors.model import Model
from detectors.train import train
from tests.detectors.company import company


@pytest.fixture(scope="session")
def events() -> list[AuditEvent]:
    return company(users=25, days=14, seed=3)


@pytest.fixture(scope="session")
def model(events: list[AuditEvent]) -> Model:
    return train(events, seed=3)[0]
