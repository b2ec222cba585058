"""auditwatch rules: everything somebody does with rules before they run, and to see how they do."""

from __future__ import annotations

import click

from streams.commands.lazy import Lazy

COMMANDS = {
    "check": "say what is wrong with rules, with path:line:column",
    "test": "run the tests inside the rules",
    "list": "a table of rules",
    "match": "which stateless rules match which events, for comparing with other engines",
    "explain": "why a rule matches an event, or why not: each test, what it read, how near it came",
    "backtest": "what rules would have done to logs: fires, people, alerts, and what a change changes",
    "tune": "propose the smallest exception for false positives",
    "coverage": "ATT&CK techniques the rules prove to cover, as a Navigator layer",
    "health": "which rules are noisy, stale, silent or cannot fire",
}


@click.group(cls=Lazy, prefix=f"{__name__}.", modules=COMMANDS)
def command() -> None:
    """Check, test, explain, backtest and tune rules.

    PATH is a rule file or a folder of them [default: the library that ships].
    """
