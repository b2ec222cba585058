"""auditwatch worker: normalise, score and correlate, until told to stop."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import click

from audit.sources import SOURCES
from streams.commands.common import (
    config_option,
    log_level_option,
    log_to_stderr,
    problems,
    settings_of,
)
from streams.ending import end_on_sigterm
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, RAW, ensure_topics
from streams.laptop import serving
from streams.load import load_detections, rule_folders
from streams.reload import Reload
from streams.worker import build, run


@click.command()
@config_option
@click.option("--adopt-new-log", is_flag=True, help="Keep the baselines although the topics were created anew.")
@log_level_option
def command(config: Path | None, adopt_new_log: bool, log_level: str) -> None:
    """Run the pipeline: audit.raw.* -> audit.events -> audit.findings -> audit.alerts.

    Start as many workers as you like against one broker and Redis: they share the partitions. Without
    AUDITWATCH_BROKER or AUDITWATCH_REDIS the worker starts an embedded one on this machine, in memory, and notes its
    address in .auditwatch/embedded.json for the other commands in this folder, until it ends. Ctrl-C or SIGTERM ends
    it in order.

    Changed files of rules, context and models are taken within seconds, whole: everything must load and every rule
    pass its own tests. Otherwise the old set stays, and an alert names each file and line.

    \b
    Examples:
      auditwatch worker
      AUDITWATCH_BROKER=kafka://kafka:9092 AUDITWATCH_REDIS=redis://redis:6379/0 auditwatch worker
    """
    log_to_stderr(log_level.upper())
    end_on_sigterm()
    settings = settings_of(config)
    with problems():
        load = partial(load_detections, settings.context, settings.rules, settings.models)
        watched = [path for path in (settings.context, settings.models) if path]
        reload = Reload(load, [*watched, *rule_folders(settings.rules)])
        detections = load()
        with serving(settings) as served:
            topics = [RAW + source for source in SOURCES] + [EVENTS, FINDINGS, ALERTS, DEADLETTER]
            asyncio.run(ensure_topics(served, topics))
            run(build(served, detections, sorted(SOURCES), adopt_new_log, reload))
