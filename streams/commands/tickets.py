"""auditwatch tickets: what ticket systems send becomes part of the context."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import orjson
from aiohttp import web

from alerting.plain import plain
from audit.ticket_forms import FORMS, BadTicket, Form, read_forms, row_of
from rules.request import is_pending, review
from streams.commands.common import Unusable, config_option, log_level_option, log_to_stderr, problems, settings_of
from streams.commands.out import echo_json, json_option
from streams.declared import Declared
from streams.load import declared
from streams.settings import Settings
from streams.tickets import Folder, Intake

LEAST_TOKEN = 16
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
forms_option = click.option("--forms", type=_file, help="YAML file with paths of your own fields and words.")

log = logging.getLogger("auditwatch.tickets")


@click.group()
def command() -> None:
    """Take tickets from Jira, ServiceNow and others, so that they explain what was done on them."""


@command.command("serve", short_help="take tickets over HTTP into the context's folder")
@config_option
@click.option("--listen", default="127.0.0.1:6070", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="[default: CONTEXT/tickets]")
@forms_option
@log_level_option
def serve_command(config: Path | None, listen: str, folder: Path | None, forms: Path | None, log_level: str) -> None:
    """Take tickets posted to /tickets/FORM and write them to a folder of the context, which the worker watches.

    FORM is auditwatch (a row of the context's tickets), jira, servicenow, or one of --forms. The sender shows
    AUDITWATCH_TICKETS_TOKEN as a bearer token or signs the body with it (X-Hub-Signature: sha256=...). TLS is the
    business of a proxy before it. Ctrl-C ends it; a ticket that was answered with 200 is on the disk.

    \b
    Examples:
      AUDITWATCH_TICKETS_TOKEN=... auditwatch tickets serve
      curl -H "Authorization: Bearer $AUDITWATCH_TICKETS_TOKEN" -d @change.json http://127.0.0.1:6070/tickets/jira
    """
    log_to_stderr(log_level)
    settings = settings_of(config)
    if len(settings.tickets_token) < LEAST_TOKEN:
        raise Unusable(f"set AUDITWATCH_TICKETS_TOKEN to a secret of {LEAST_TOKEN} characters or more")
    place = folder or _folder(settings)
    with problems():
        people = Declared(settings.context, place)
        try:
            ids = [ticket.id for ticket in people.now().declared.tickets]
            intake = Intake(Folder(place, ids), _forms(forms), settings.tickets_token, people.person)
            asyncio.run(_serve(intake.app(), people, listen))
        except BadTicket as error:
            raise Unusable(str(error)) from error
        except OSError as error:
            raise Unusable(f"{listen}: {error.strerror or error}; choose another with --listen") from error


@command.command("read", short_help="show the row a ticket becomes")
@click.argument("form")
@click.argument("file", type=click.File("rb"))
@config_option
@forms_option
def read_command(form: str, file: click.utils.LazyFile, config: Path | None, forms: Path | None) -> None:
    """Show what a ticket saved to FILE (- for standard input) becomes; writes nothing. Exit code 1 when it is refused.

    \b
    Examples:
      auditwatch tickets read jira webhook.json --forms forms.yml
    """
    known = _forms(forms)
    if form not in known:
        raise Unusable(f"no such form {form!r}; there are {', '.join(known)}")
    with problems():
        people = Declared(settings_of(config).context)
        try:
            echo_json(row_of(orjson.loads(file.read()), known[form], people.person))
        except (BadTicket, orjson.JSONDecodeError) as error:
            click.echo(str(error), err=True)
            sys.exit(1)


@command.command("review", short_help="pending requests for access, and what is unusual about them")
@config_option
@click.option("--context", type=click.Path(exists=True, path_type=Path), help="[default: AUDITWATCH_CONTEXT]")
@click.option("--all", "everything", is_flag=True, help="Also those with nothing unusual.")
@json_option
def review_command(config: Path | None, context: Path | None, everything: bool, as_json: bool) -> None:
    """Show requests for access nobody has decided yet, with what is unusual about each, worst first.

    The worker tells of those of 30 points or more as they come, before anybody approves them.

    \b
    Examples:
      auditwatch tickets review
      auditwatch tickets review --all --json | jq 'select(.score >= 60).ticket.id'
    """
    settings = settings_of(config)
    with problems():
        company = declared(context or settings.context)
    reviews = [review(ticket, company) for ticket in company.declared.tickets if is_pending(ticket)]
    shown = sorted((each for each in reviews if each.remarks or everything), key=lambda each: -each.score)
    if as_json:
        for each in shown:
            echo_json({"score": each.score, "ticket": each.ticket, "remarks": each.remarks})
        return
    for each in shown:
        ticket = each.ticket
        who = ticket.subject or ticket.requester
        click.echo(f"{each.score:3}  {plain(ticket.id, 64)}  {plain(who, 60)}: {plain(ticket.resource or '-', 80)}")
        for remark in each.remarks:
            click.echo(f"{remark.points:9}  {plain(remark.text, 160)}")
    if not shown:
        click.echo(f"{len(reviews)} pending requests, none unusual", err=True)


def _forms(path: Path | None) -> Mapping[str, Form]:
    try:
        return read_forms(path) if path else FORMS
    except BadTicket as error:
        raise Unusable(str(error)) from error


def _folder(settings: Settings) -> Path:
    if settings.context is None or not settings.context.is_dir():
        raise Unusable("set AUDITWATCH_CONTEXT to a folder (tickets go to a folder in it), or name one with --folder")
    return settings.context / "tickets"


async def _serve(app: web.Application, people: Declared, listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal():
        raise Unusable(f"{listen!r} is not HOST:PORT")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, host, int(port)).start()
        log.info("taking tickets on http://%s:%s/tickets", *runner.addresses[0][:2])
        await people.keep(stop)
        await stop.wait()
    finally:
        await runner.cleanup()
