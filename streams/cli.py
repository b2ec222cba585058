"""The command line: every command is a module of streams.commands, loaded only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

COMMANDS = {
    "demo": "see it work: a sample organisation with an attack in it, alerts in this terminal",
    "worker": "run the pipeline: normalise, score, correlate",
    "dispatcher": "deliver alerts to people",
    "trail": "keep audit.events as Parquet by day",
    "ingest": "ship raw logs to audit.raw.SOURCE",
    "replay": "run files through the same pipeline, without broker or Redis",
    "normalise": "print files as AuditEvent JSON lines",
    "simulate": "write a sample organisation's logs with labelled attacks",
    "rules": "check, test, list and match rules",
    "models": "train, publish and promote models",
    "alerts": "list, show, acknowledge and resolve alerts",
    "dlq": "list, show and replay dead letters",
    "doctor": "check settings, broker, Redis, rules, model and Slack",
}


class Commands(click.Group):
    """Loads a command's module when it is called: --help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, loaded."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"streams.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="auditwatch")
def cli() -> None:
    """Real-time anomaly detection for audit logs: Sigma rules, per-user baselines, alerts in Slack.

    Settings come from auditwatch.toml and AUDITWATCH_* in the environment. Exit codes: 0 done, 1 the answer is no
    (a failed check), 2 unusable input.
    """


def main() -> None:
    """The console script. Errors that say what to do are printed without a traceback; exit code 2."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
