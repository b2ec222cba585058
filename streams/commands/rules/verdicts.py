"""What people said of alerts, for commands about rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click

from alerting.store import StoreUnavailable
from rules.health import Verdicts
from streams.labels import fetch_if_any, read, verdicts
from streams.settings import Settings

verdicts_option = click.option(
    "--verdicts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What people said of alerts, a file of `alerts labels --out` [default: AUDITWATCH_REDIS, where it is set].",
)


def verdicts_of(settings: Settings, file: Path | None) -> Mapping[str, Verdicts]:
    """The verdicts by rule id: of the file, else of the Redis that is set; a Redis that is away is told of.

    Raises:
        FileError: the file holds none.
    """
    if file is not None:
        return verdicts(read(file))
    if not settings.redis:
        return {}
    try:
        return verdicts(asyncio.run(fetch_if_any(settings)))
    except StoreUnavailable as error:
        click.echo(f"without verdicts: {error}", err=True)
        return {}


def verdict_line(one: Verdicts) -> dict[str, object]:
    """What a JSON line says of them."""
    share = one.precision
    precision = None if share is None else round(share, 3)
    return {"judged": one.all, "true": one.true, "benign": one.benign, "false": one.false, "precision": precision}


def shown(one: Verdicts) -> str:
    """ "3 of 4": the real ones among those judged; empty where none was."""
    return f"{one.true} of {one.all}" if one.all else ""
