"""What commands share: settings, errors that say what to do, log lines."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from aiokafka.errors import KafkaError

from alerting.route_read import RouteErrors
from alerting.store import StoreUnavailable
from audit.context import ContextErrors
from audit.redact import redact
from audit.sources import SOURCES
from detectors.registry import RegistryError
from rules.document import RuleErrors
from streams.child import EmbeddedError
from streams.files import FileError
from streams.kafka import KafkaProblem
from streams.settings import Settings, SettingsError, load_settings
from streams.store import StoreError
from streams.trail import TrailError

PROBLEMS = (
    SettingsError,
    ContextErrors,
    RuleErrors,
    RouteErrors,
    RegistryError,
    FileError,
    KafkaProblem,
    EmbeddedError,
    StoreUnavailable,
    TrailError,
)

config_option = click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file (default: ./auditwatch.toml)."
)
sources_line = f"Sources: {', '.join(SOURCES)}."
log_level_option = click.option(
    "--log-level",
    default="INFO",
    show_default=True,
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    help="What to log, to standard error.",
)


class Unusable(click.ClickException):
    """Input that cannot be used: the message says what and what to do; exit code 2."""

    exit_code = 2


@contextmanager
def problems() -> Iterator[None]:
    """Turns our own errors, and a broker that goes away, into one clear message and exit code 2."""
    try:
        yield
    except PROBLEMS as error:
        raise Unusable(str(error)) from error
    except StoreError as error:
        raise Unusable(f"Redis: {error}; check AUDITWATCH_REDIS and that Redis runs") from error
    except KafkaError as error:
        raise Unusable(
            f"Kafka: {type(error).__name__}: {error}; check AUDITWATCH_BROKER and that the broker runs"
        ) from error


def settings_of(config: Path | None) -> Settings:
    """The settings, or a clear error."""
    with problems():
        return load_settings(config, os.environ)


class JsonLines(logging.Formatter):
    """One JSON object a line, redacted: what a log shipper reads."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Short lines for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():8} {redact(record.getMessage())}"
        return text + ("\n" + redact(self.formatException(record.exc_info)) if record.exc_info else "")


class Seldom(logging.Filter):
    """Lets a Kafka client say the same thing once in ten seconds: while a broker is away it says it a hundred times."""

    EVERY = 10.0
    MOST = 1_000

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        if not record.name.startswith("aiokafka"):
            return True
        said = (record.name, str(record.msg))
        if record.created - self._said.get(said, 0.0) < self.EVERY:
            return False
        if len(self._said) >= self.MOST:
            self._said.clear()
        self._said[said] = record.created
        return True


def log_to_stderr(level: str = "INFO") -> None:
    """Logs of this process go to standard error: JSON when piped, short lines on a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLines() if sys.stderr.isatty() else JsonLines())
    handler.addFilter(Seldom())
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    for ours in ("auditwatch", "streams", "alerting"):
        logging.getLogger(ours).setLevel(level)


def source_file(value: str, known: set[str]) -> tuple[str, str]:
    """`SOURCE=FILE` taken apart. Raises click.UsageError naming the sources there are."""
    name, sign, path = value.partition("=")
    if not sign or not path or name not in known:
        raise click.UsageError(f"{value!r} is not SOURCE=FILE with SOURCE one of {', '.join(sorted(known))}")
    return name, path
