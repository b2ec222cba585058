"""The command line: every command is a module of streams.commands, loaded only when it is called."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import click

from streams.commands.lazy import Lazy

INTERRUPTED = 130
EX_SOFTWARE = 70

COMMANDS = {
    "demo": "see it work: a sample organisation with an attack in it, alerts in this terminal",
    "init": "write settings, rules, routes and the Slack app's manifest to start from",
    "worker": "run the pipeline: normalise, score, correlate",
    "dispatcher": "deliver alerts to people",
    "trail": "keep audit.events as Parquet by day",
    "ingest": "ship raw logs to audit.raw.SOURCE",
    "replay": "run files through the same pipeline, without broker or Redis",
    "normalise": "print files as AuditEvent JSON lines",
    "simulate": "write a sample organisation's logs with labelled attacks",
    "rules": "check, test, explain, backtest and tune rules",
    "models": "train, publish and promote models",
    "alerts": "list, show, acknowledge and resolve alerts",
    "route": "check routes, and explain who hears of an alert",
    "identity": "say whose the names in logs are, and how that is known",
    "tickets": "take tickets from Jira, ServiceNow and others into the context",
    "timeline": "show what somebody did in every source, deviations marked",
    "access": "declared access against used access: shadow access, unused grants",
    "baseline": "show what is usual for somebody, or forget it",
    "backfill": "learn baselines from history, so that the worker starts warm",
    "dlq": "list, show and replay dead letters",
    "ledger": "list, export and verify who decided what",
    "doctor": "check settings, broker, Redis, rules, model and Slack",
}


class Commands(Lazy):
    """All commands; a reader of our output who has seen enough (`| head`) is no error."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command and writes out what it printed."""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            with open(os.devnull, "wb") as nowhere:  # or the interpreter complains when it ends
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        return result


@click.group(
    cls=Commands,
    prefix="streams.commands.",
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="auditwatch")
def cli() -> None:
    """Real-time anomaly detection for audit logs: Sigma rules, per-user baselines, alerts in Slack.

    Settings come from auditwatch.toml and AUDITWATCH_* in the environment. Exit codes: 0 done, 1 the answer is no
    (a failed check), 2 unusable input.
    """


def main() -> NoReturn:
    """The console script: errors that say what to do without a traceback, exit code 2; anything else with one, 70."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)  # click hands back the code of a click.exceptions.Exit
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception:
        traceback.print_exc()
        sys.exit(EX_SOFTWARE)
