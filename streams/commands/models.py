"""auditwatch models: the registry; `train` is a module of its own, the only one that pays for scikit-learn."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from alerting.ledger import Decision
from detectors.model import Card, Model
from detectors.registry import Registry, default_model, read_model
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.lazy import Lazy
from streams.commands.out import echo_columns, echo_json, json_option
from streams.dispatch import now
from streams.ledger import login, note

registry_option = click.option(
    "--registry",
    type=click.Path(file_okay=False, path_type=Path),
    help="The registry's folder (default: AUDITWATCH_MODELS).",
)
_id = click.argument("model_id", metavar="ID")


@click.group(
    cls=Lazy,
    prefix="streams.commands.models_",
    modules={
        "train": "train a model on logs",
        "evaluate": "campaigns found at a fixed number of alerts a day",
        "compare": "what the model in the shadow would have told",
    },
)
def command() -> None:
    """Train, list, publish and promote models.

    A registry is a folder with one folder a model. The worker scores with the promoted model; without a registry with
    the one that ships.
    """


def registry_of(registry: Path | None, config: Path | None) -> Registry:
    """The registry of --registry or AUDITWATCH_MODELS. Raises Unusable where neither is set."""
    folder = registry or settings_of(config).models
    if folder is None:
        raise Unusable("which registry? give --registry DIR or set AUDITWATCH_MODELS")
    return Registry(folder)


class ModelLine(msgspec.Struct):
    """A model as `models list --json` shows it; state is current, shadow, published or shipped."""

    id: str
    state: str
    first: str
    last: str
    events: int
    principals: int
    threshold: float
    alerts_per_day: float


@command.command("list", short_help="the models of the registry and which one is current")
@registry_option
@config_option
@json_option
def list_command(registry: Path | None, config: Path | None, as_json: bool) -> None:
    """List the models of the registry; without a registry, the model that ships.

    \b
    Examples:
      auditwatch models list --registry models
      auditwatch models list --json | jq -r 'select(.state == "current") | .id'
    """
    folder = registry or settings_of(config).models
    with problems():
        lines = _published(Registry(folder)) if folder else [_line(default_model(), "shipped")]
    if as_json:
        for line in lines:
            echo_json(line)
    elif lines:
        heads = ("ID", "STATE", "TRAINED ON", "EVENTS", "PRINCIPALS", "THRESHOLD")
        echo_columns([heads, *(_row(line) for line in lines)])
    else:
        click.echo(f"{folder}: no models; publish one with `auditwatch models publish`", err=True)


def _published(registry: Registry) -> list[ModelLine]:
    states = {registry.shadowed(): "shadow", registry.current(): "current"}
    return [_line(registry.load(name), states.get(name, "published")) for name in registry.list()]


def _line(model: Model, state: str) -> ModelLine:
    card = model.card
    return ModelLine(
        model.hash, state, card.first, card.last, card.events, card.principals, card.threshold, card.alerts_per_day
    )


def _row(line: ModelLine) -> tuple[object, ...]:
    period = f"{line.first[:10]} to {line.last[:10]}"
    return line.id, line.state, period, line.events, line.principals, f"{line.threshold:.2f}"


@command.command("show", short_help="a model's card")
@click.argument("model_id", metavar="[ID]", required=False)
@registry_option
@config_option
@json_option
def show_command(model_id: str | None, registry: Path | None, config: Path | None, as_json: bool) -> None:
    """Show a model's card: what it was trained on, its threshold, its features. Without ID the current one.

    \b
    Examples:
      auditwatch models show
      auditwatch models show 1a2b3c4d5e6f7081 --registry models --json
    """
    folder = registry or settings_of(config).models
    with problems():
        if folder is None and model_id not in (None, default_model().hash):
            raise Unusable("which registry? give --registry DIR or set AUDITWATCH_MODELS")
        model = Registry(folder).load(model_id) if folder else default_model()
    if as_json:
        echo_json(model.card)
    else:
        echo_columns(_card(model.hash, model.card))


def _card(name: str, card: Card) -> list[tuple[str, object]]:
    return [
        ("id", name),
        ("trained on", f"{card.events} events of {card.principals} principals"),
        ("from", card.first),
        ("to", card.last),
        ("threshold", f"{card.threshold:.3f} (an anomaly is stranger than 1 event in {10**card.threshold:,.0f})"),
        ("budget", f"{card.alerts_per_day:g} alerts a day"),
        ("forest", f"{card.n_estimators} trees of {card.max_samples} samples, seed {card.seed}"),
        ("features", ", ".join(card.features)),
        ("made with", ", ".join(f"{name} {version}" for name, version in card.libraries.items())),
    ]


@command.command("publish", short_help="put a trained model into the registry")
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--shipped", is_flag=True, help="The model that ships, to have it compared with or to go back to.")
@registry_option
@config_option
def publish_command(folder: Path | None, shipped: bool, registry: Path | None, config: Path | None) -> None:
    """Put the model of a folder (card.json, forest.bin) into the registry and print its id.

    It is checked first, and not current until promoted.

    \b
    Examples:
      auditwatch models publish ./trained --registry models
      auditwatch models publish --shipped --registry models
    """
    if shipped == (folder is not None):
        raise click.UsageError("give either DIR or --shipped")
    with problems():
        name = registry_of(registry, config).publish(read_model(folder) if folder else default_model())
    click.echo(name)
    _note(config, "publish", {"model": name})


@command.command("shadow", short_help="let a model score beside the current one")
@click.argument("model_id", metavar="[ID]", required=False)
@click.option("--off", is_flag=True, help="End it.")
@registry_option
@config_option
def shadow_command(model_id: str | None, off: bool, registry: Path | None, config: Path | None) -> None:
    """Let a published model score beside the current one, without alerts.

    \b
    Examples:
      auditwatch models shadow 1a2b3c4d5e6f7081
      auditwatch models shadow --off
    """
    if off == (model_id is not None):
        raise click.UsageError("give either ID or --off")
    with problems():
        registry_of(registry, config).shadow(model_id)
    _note(config, "shadow", {"model": model_id or "off"})
    click.echo("no model in the shadow" if off else f"{model_id} scores in the shadow", err=True)


@command.command("promote", short_help="make a published model the current one")
@_id
@registry_option
@config_option
def promote_command(model_id: str, registry: Path | None, config: Path | None) -> None:
    """Make a published model current: workers score with it from now on.

    \b
    Examples:
      auditwatch models promote 1a2b3c4d5e6f7081
    """
    with problems():
        before = registry_of(registry, config).current()
        registry_of(registry, config).promote(model_id)
    _note(config, "promote", {"from": before or "", "to": model_id})
    click.echo(f"{model_id} is current", err=True)


@command.command("rollback", short_help="go back to the model that was current before")
@registry_option
@config_option
def rollback_command(registry: Path | None, config: Path | None) -> None:
    """Make the model that was promoted before the current one current again and print its id.

    \b
    Examples:
      auditwatch models rollback
    """
    with problems():
        before = registry_of(registry, config).current()
        name = registry_of(registry, config).rollback()
    click.echo(name)
    _note(config, "rollback", {"from": before or "", "to": name})


def _note(config: Path | None, step: str, details: dict[str, str]) -> None:
    """Tells the ledger, where there is a Redis to keep it."""
    note(settings_of(config), Decision("models", step, now(), login(), details))
