"""What an operator sets: auditwatch.toml under AUDITWATCH_* in the environment. Secrets only in the environment.

Every key `x` of the file is `AUDITWATCH_X` in the environment. Nothing here connects to anything.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alerting import webhook_sign
from alerting.ledger import keys_of

FILE = "auditwatch.toml"
PREFIX = "AUDITWATCH_"
NOTEBOOKS = "AUDITWATCH_NOTEBOOK_"
"""What notebooks read themselves."""
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SECRETS = {
    "kafka_sasl_password": "AUDITWATCH_KAFKA_SASL_PASSWORD",
    "ledger_key": "AUDITWATCH_LEDGER_KEY",
    "slack_bot_token": "SLACK_BOT_TOKEN",
    "slack_app_token": "SLACK_APP_TOKEN",
    "slack_signing_secret": "SLACK_SIGNING_SECRET",
    "tickets_token": "AUDITWATCH_TICKETS_TOKEN",
    "webhook_secret": "AUDITWATCH_WEBHOOK_SECRET",
}


class SettingsError(Exception):
    """A setting is wrong; the text says which, where it stands and what to write instead."""


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """All settings, checked. An empty `broker` or `redis` means the embedded one; repr never shows a secret."""

    broker: str = ""
    """kafka://host:port, several separated by semicolons."""
    redis: str = ""
    """redis://, rediss:// (TLS) or unix:// URL, with user and password where Redis wants them."""
    redis_ssl_cafile: Path | None = None
    context: Path | None = None
    """File or folder with what the company declares."""
    rules: tuple[Path, ...] = ()
    """Rule folders instead of the library that ships; the word `library` among them stands for it."""
    routes: Path | None = None
    """YAML file that says who hears of which alert, and when; None: all go to slack_channel at once."""
    models: Path | None = None
    """Model registry; None is the model that ships."""
    trail: Path = Path(".auditwatch/trail")
    ledger: Path = Path(".auditwatch/ledger")
    """Folder of the ledger's anchors, and of its records that are too old for Redis."""
    ledger_key: str = ""
    """Secret the ledger's records are chained with, 32 characters or more; further ones after a space only verify."""
    listen: str = "127.0.0.1:6060"
    """Where a worker's /metrics, /healthz and /readyz answer; empty turns them off."""
    dispatcher_listen: str = "127.0.0.1:6061"
    """The same of the dispatcher."""
    partitions: int = 8
    """Of audit.events and audit.findings, when they are created."""
    raw_partitions: int = 4
    """Of each audit.raw.SOURCE, when it is created."""
    retention_days: int = 7
    """Of raw records, events and findings in Kafka, when their topics are created."""
    snapshot_hours: int = 6
    """How often what teams and the organisation share is gathered anew; 0 is never."""
    silence_minutes: int = 15
    """A source that is silent for so long, and longer than it usually is, is an alert; 0 is never."""
    alert_budget: int = 10
    """Anomalies in a day at most (by principal), kept by raising the model's threshold; rules know no budget."""
    session_seconds: int = 6
    """After how long without a sign of life a worker's partitions go to another; Kafka itself allows no less than 6."""
    kafka_security_protocol: str = "PLAINTEXT"
    kafka_sasl_mechanism: str = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = ""
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    slack_channel: str = ""
    slack_base_url: str = "https://slack.com/api/"
    slack_http: str = ""
    """Where clicks in Slack arrive over HTTP, signed; empty: only over Socket Mode."""
    case_teams: str = ""
    """Teams of the context whose people may work cases, separated by commas; empty: every declared employee."""
    slack_bot_token: str = ""
    slack_app_token: str = ""
    slack_signing_secret: str = ""
    tickets_token: str = ""
    """What a ticket system shows `auditwatch tickets serve`, 16 characters or more."""
    webhook_url: str = ""
    """Where alerts are posted as JSON where Slack is not set up; https://, or http:// on this machine."""
    webhook_secret: str = ""
    """Signs what is posted there, 16 characters or more."""

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{each.name}={self._shown(each.name)}' for each in fields(self))})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if name in SECRETS:
            return "'***'" if value else "''"
        if name == "webhook_url":  # its path is often a secret
            return repr(re.sub(r"(?<=://)([^/]*@)?([^/]*).*", r"\2/***", value, flags=re.DOTALL))
        return repr(re.sub(r"(?<=://).*@", "***@", value)) if name in ("broker", "redis") else repr(value)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody wrote it: where, and the folder its relative paths are meant from."""

    value: Any
    place: str
    folder: Path = field(default_factory=Path)

    def wrong(self, what: str) -> SettingsError:
        """The error that names this place."""
        return SettingsError(f"{self.place}: {what}")


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from the file (None: ./auditwatch.toml where there is one) under the environment.

    Raises:
        SettingsError: unknown key, wrong type or value, missing file, or settings that contradict each other.
    """
    given = _from_file(path) | _from_environment(environ)
    read = {name: _READ[_TYPES[name]](each) for name, each in given.items() if not _unset(name, each.value)}
    settings = Settings(**read)
    for name, check in _CHECKS.items():
        complaint = check(settings)
        if complaint:
            raise SettingsError(f"{given[name].place if name in given else name}: {complaint}")
    return settings


def _from_file(path: Path | None) -> dict[str, Given]:
    file = path or Path(FILE)
    if path is None and not file.exists():
        return {}
    try:
        text = file.read_text("utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); give its path with --config") from error
    except ValueError as error:  # TOMLDecodeError (names line and column) or bytes that are not UTF-8
        raise SettingsError(f"{file}: not TOML: {error}") from error
    return {name: _key(name, value, f"{file}:{_line(text, name)}", file.parent) for name, value in table.items()}


def _key(name: str, value: Any, place: str, folder: Path) -> Given:
    given = Given(value, place, folder)
    if name in SECRETS:
        raise given.wrong(f"{name} is a secret and does not belong in a file; set {SECRETS[name]} in the environment")
    if name not in _TYPES:
        raise given.wrong(f"unknown key {name!r}{_did_you_mean(name, list(_TYPES.keys() - SECRETS.keys()))}")
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    names = {SECRETS.get(name, PREFIX + name.upper()): name for name in _TYPES}
    for variable in environ:
        if not variable.startswith(PREFIX) or variable.startswith(NOTEBOOKS):
            continue
        if variable not in names and _did_you_mean(variable, list(names)):
            raise SettingsError(f"{variable} in the environment: unknown{_did_you_mean(variable, list(names))}")
    return {
        name: Given(environ[variable], f"{variable} in the environment")
        for variable, name in names.items()
        if variable in environ
    }


def _did_you_mean(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, 1, 0.8)
    return f"; did you mean {close[0]}?" if close else ""


def _line(text: str, name: str) -> int:
    """The line that sets a top-level key or opens the table of that name (1 where it is written in another way)."""
    found = re.search(rf"^\s*\[?\[?\s*[\"']?{re.escape(name)}[\"']?\s*[\].=]", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 1


def _unset(name: str, value: Any) -> bool:
    """Compose files pass what is not set as an empty string; it means the default where empty says nothing else."""
    return value == "" and _TYPES[name] != "str"


def _text(given: Given) -> str:
    if not isinstance(given.value, str):
        raise given.wrong(f"expected text, found {given.value!r}")
    return given.value.strip()


def _number(given: Given) -> int:
    try:
        if isinstance(given.value, bool | float):
            raise ValueError
        return int(given.value)
    except (TypeError, ValueError):
        raise given.wrong(f"expected a whole number, found {given.value!r}") from None


def _path(given: Given) -> Path:
    return given.folder / Path(_text(given)).expanduser()


def _paths(given: Given) -> tuple[Path, ...]:
    listed = given.value.split(os.pathsep) if isinstance(given.value, str) else given.value
    if not isinstance(listed, list):
        raise given.wrong(f"expected a list of folders, found {given.value!r}")
    return tuple(_path(Given(each, given.place, given.folder)) for each in listed)


def _broker(settings: Settings) -> str:
    hosts = [urlsplit(each) for each in settings.broker.split(";") if each]
    try:
        fits = all(host.scheme == "kafka" and host.hostname and host.port for host in hosts)
    except ValueError:
        fits = False
    return "" if fits else "expected kafka://host:port, several separated by semicolons"


def _redis(settings: Settings) -> str:
    fits = not settings.redis or urlsplit(settings.redis).scheme in ("redis", "rediss", "unix")
    return "" if fits else "expected redis://host:port/0, rediss:// for TLS, or unix:///path"


def _address_or_nothing(name: str) -> Callable[[Settings], str]:
    def check(settings: Settings) -> str:
        text = getattr(settings, name)
        host, _, port = text.rpartition(":")
        fits = not text or (host and port.isdecimal() and int(port) < 65_536)
        return "" if fits else f"expected host:port or nothing, found {text!r}"

    return check


def address(text: str) -> tuple[str, int]:
    """Host and port of a checked host:port; IPv6 addresses may stand in brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _slack_http(settings: Settings) -> str:
    if wrong := _address_or_nothing("slack_http")(settings):
        return wrong
    unsigned = settings.slack_http and not settings.slack_signing_secret
    return "nothing can be trusted there without SLACK_SIGNING_SECRET: set it in the environment" if unsigned else ""


def _security(settings: Settings) -> str:
    known = settings.kafka_security_protocol in SECURITY_PROTOCOLS
    return (
        "" if known else f"expected one of {', '.join(SECURITY_PROTOCOLS)}, found {settings.kafka_security_protocol!r}"
    )


def _mechanism(settings: Settings) -> str:
    known = settings.kafka_sasl_mechanism in SASL_MECHANISMS
    return "" if known else f"expected one of {', '.join(SASL_MECHANISMS)}, found {settings.kafka_sasl_mechanism!r}"


def _login(settings: Settings) -> str:
    complete = settings.kafka_sasl_username and settings.kafka_sasl_password
    wanted = settings.kafka_security_protocol.startswith("SASL")
    return "SASL needs it: set AUDITWATCH_KAFKA_SASL_USERNAME and _PASSWORD" if wanted and not complete else ""


def _snapshot_hours(settings: Settings) -> str:
    return "" if settings.snapshot_hours >= 0 else "expected hours, or 0 for never"


def _silence_minutes(settings: Settings) -> str:
    return "" if settings.silence_minutes >= 0 else "expected minutes, or 0 for never"


def _ledger_key(settings: Settings) -> str:
    try:
        keys_of(settings.ledger_key)
    except ValueError as error:
        return str(error)
    return ""


def _webhook(settings: Settings) -> str:
    return webhook_sign.wrong(settings.webhook_url, settings.webhook_secret) if settings.webhook_url else ""


def _at_least_one(name: str) -> Callable[[Settings], str]:
    return lambda settings: "" if getattr(settings, name) >= 1 else "expected 1 or more"


def _a_file(name: str) -> Callable[[Settings], str]:
    def check(settings: Settings) -> str:
        file: Path | None = getattr(settings, name)
        return "" if file is None or file.is_file() else f"there is no file {file}"

    return check


_TYPES: dict[str, str] = {each.name: str(each.type) for each in fields(Settings)}
_READ: dict[str, Callable[[Given], Any]] = {
    "str": _text,
    "int": _number,
    "Path": _path,
    "Path | None": _path,
    "tuple[Path, ...]": _paths,
}
_CHECKS: dict[str, Callable[[Settings], str]] = {
    "broker": _broker,
    "redis": _redis,
    "listen": _address_or_nothing("listen"),
    "dispatcher_listen": _address_or_nothing("dispatcher_listen"),
    "slack_http": _slack_http,
    "partitions": _at_least_one("partitions"),
    "raw_partitions": _at_least_one("raw_partitions"),
    "retention_days": _at_least_one("retention_days"),
    "session_seconds": _at_least_one("session_seconds"),
    "snapshot_hours": _snapshot_hours,
    "silence_minutes": _silence_minutes,
    "alert_budget": _at_least_one("alert_budget"),
    "ledger_key": _ledger_key,
    "kafka_security_protocol": _security,
    "kafka_sasl_mechanism": _mechanism,
    "kafka_sasl_password": _login,
    "kafka_ssl_cafile": _a_file("kafka_ssl_cafile"),
    "kafka_ssl_certfile": _a_file("kafka_ssl_certfile"),
    "kafka_ssl_keyfile": _a_file("kafka_ssl_keyfile"),
    "redis_ssl_cafile": _a_file("redis_ssl_cafile"),
    "routes": _a_file("routes"),
    "webhook_url": _webhook,
}
