"""auditwatch access: what is declared against what is used, and why one thing is permitted or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import yaml

from alerting.plain import plain
from audit.context import Context
from audit.event import AuditEvent, Principal, Resource, rfc3339
from audit.yaml_lines import BadText, read_json, read_yaml
from rules.access import AFTER_END, Access, Decision, Table, access_of
from rules.access_asked import SSO, WHOLE, Asked, asked_by_name
from rules.access_compile import FOREVER, Holding
from rules.access_finding import nearest, short_of
from rules.declared import employment
from rules.separation import duties_of
from rules.separation_finding import words
from streams.access_import_aws import Imported, from_aws
from streams.access_import_k8s import from_k8s
from streams.access_proposal import proposal
from streams.access_report import Report, Tally
from streams.access_show import page, text
from streams.commands import access_grants
from streams.commands.common import Unusable, config_option, settings_of, source_file, sources_line
from streams.commands.out import counting, echo_json, out_path, output
from streams.commands.rules.given import Moment, answers, context_option, logs_of, logs_options, now
from streams.load import declared


@click.group()
def command() -> None:
    """Compare the access the company declares with the access that is used."""


command.add_command(access_grants.command)


@command.command("report", epilog=sources_line, short_help="shadow access, unused grants, accounts left behind")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
@click.option(
    "--unused-days", default=14, show_default=True, type=click.IntRange(1), help="Days unused before it is called so."
)
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON object.")
@click.option("--html", type=out_path, help="Write it as one page of HTML that needs nothing else.")
def report_command(
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    unused_days: int,
    as_json: bool,
    html: Path | None,
) -> None:
    """Show what was used and nobody declared, what is declared and nobody used, and accounts left behind.

    Nothing is alerted and nothing changed: run it before you let the model alert, and from then on each week. What is
    unused is proposed as a diff of the context; what the logs cannot show is kept apart.

    \b
    Examples:
      auditwatch access report cloudtrail=trail.jsonl.gz okta=okta.jsonl --context company.yml
      auditwatch access report --trail .auditwatch/trail --since 30d --html access.html
      auditwatch access report --json | jq '.uses[] | select(.severity == "high")'
    """
    settings = settings_of(config)
    with answers():
        path = context or settings.context
        known = _with_roles(path)
        logs = logs_of(sources, settings, known, trail, (since, until))
        tally = Tally(known)
        with counting("reading") as tick:
            for event in logs.events():
                tally.see(event)
                tick(1)
        logs.complain()
        report = tally.report(unused_days)
        if not report.events:
            raise Unusable("there are no events in these logs: give others, or another --since")
        report.proposal = proposal(path, report.unused) if path else []
    _write(report, as_json, html)


def _write(report: Report, as_json: bool, html: Path | None) -> None:
    if html:
        with output(html) as stream:
            stream.write(page(report).encode())
    if as_json:
        echo_json(report)
    elif not html or str(html) != "-":
        for line in text(report):
            click.echo(line)


def _with_roles(path: Path | None) -> Context:
    known = declared(path)
    if not known.declared.roles:
        where = str(path) if path else "no context is given (--context, AUDITWATCH_CONTEXT)"
        raise Unusable(f"{where}: no roles are declared: docs/authorization.md shows how to begin")
    return known


@command.command("explain", short_help="why somebody may do something, or may not")
@click.argument("user")
@click.argument("action")
@click.argument("resource", default="")
@config_option
@context_option
@click.option("--system", help="aws, k8s, github, okta, ... [default: what the action looks like]")
@click.option("--account", default="", help="AWS account, by name or number.")
@click.option("--at", type=Moment(), help="When: 2026-03-02T09:00:00Z, or 7d ago [default: now].")
@click.option("--from", "address", help="From which address.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def explain_command(
    user: str,
    action: str,
    resource: str,
    config: Path | None,
    context: Path | None,
    system: str | None,
    account: str,
    at: int | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Say whether USER may do ACTION on RESOURCE, by which role, or what comes nearest; exit 1 when not.

    ACTION is spelled as roles spell it: s3:GetObject, "get pods/log" (RESOURCE is the namespace), git.push (RESOURCE
    is owner/repository), an Okta event type; "app" for signing on to the application RESOURCE.

    \b
    Examples:
      auditwatch access explain ada s3:GetObject acorn-finance-reports --account prod
      auditwatch access explain ada "create pods/exec" payments --at 2026-03-02T22:00:00Z
      auditwatch access explain ada app NetSuite
    """
    settings = settings_of(config)
    with answers():
        known = _with_roles(context or settings.context)
    access = access_of(known)
    table = access.table(user)
    if table is None:
        raise Unusable(f"'{user}' is not declared in the context: give the id of one of its users")
    number = known.declared.company.aws_accounts.get(account, account)
    what = asked_by_name(SSO if action == "app" else action, resource, number, system)
    event = _event(user, what, now() if at is None else at, address)
    left = employment(table.person, event.time) == "ended"
    decision = AFTER_END if left else access.judge(table, what, event, {})
    why = [*_told(access, table, what, decision, event), *_apart(known, user, event.time)]
    if as_json:
        echo_json({"decision": decision.kind, "why": why})
    else:
        click.echo("\n".join([decision.kind, *(f"  {plain(line, 300)}" for line in why)]))
    if decision.kind not in ("permitted", "break_glass"):
        raise click.exceptions.Exit(1)


@command.command("import", short_help="roles out of AWS IAM and Kubernetes RBAC")
@click.argument("files", metavar="aws=FILE|k8s=FILE...", nargs=-1, required=True)
@config_option
@context_option
@click.option("--out", type=out_path, default="-", show_default=True, help="Where to write the rows (YAML).")
def import_command(files: tuple[str, ...], config: Path | None, context: Path | None, out: Path) -> None:
    """Write roles for the context out of what AWS and Kubernetes are configured with.

    With a context whose people have their names in these systems, it also says who holds what (role_changes). What a
    declared role cannot say is told on standard error.

    \b
    Examples:
      aws iam get-account-authorization-details > iam.json
      kubectl get roles,clusterroles,rolebindings,clusterrolebindings -A -o json > rbac.json
      auditwatch access import aws=iam.json k8s=rbac.json --context context/ --out context/imported.yml
    """
    settings = settings_of(config)
    with answers():
        people = declared(context or settings.context).people
    made = Imported()
    for word in files:
        system, path = source_file(word, {"aws", "k8s"})
        try:
            data = Path(path).read_bytes()
            document = read_json(data) if path.endswith(".json") else read_yaml(data)
            if system == "aws":
                from_aws(document, Path(path).stem, people, made)
            else:
                from_k8s(document, people, made)
        except (OSError, BadText, ValueError) as error:
            raise Unusable(f"{path}: {error}") from error
    for remark in dict.fromkeys(made.remarks):
        click.echo(plain(remark, 300), err=True)
    rows = {"roles": made.roles, "role_changes": made.changes}
    with output(out) as stream:
        kept = {name: each for name, each in rows.items() if each}
        stream.write(yaml.dump(kept, Dumper=yaml.CSafeDumper, sort_keys=False, width=120, encoding="utf-8"))


def _event(user: str, what: Asked, time: int, address: str | None) -> AuditEvent:
    """A deed that has not been done."""
    who = Principal(user, user, "human", "verified")
    about = Resource("", what.resource) if what.resource not in ("", WHOLE) else None
    source = _SOURCES.get(what.system, what.system)
    return AuditEvent("", time, source, what.action, "success", who, resource=about, source_ip=address)


def _told(access: Access, table: Table, what: Asked, decision: Decision, event: AuditEvent) -> Sequence[str]:
    if decision.kind == "after_end":
        return [f"{table.person.id} has left by then"]
    if decision.kind == "not_observable":
        return [f"no role of {what.system} {what.account} is declared".replace("  ", " ")]
    matches = [holding for holding, _ in table.find(what)]
    if decision.kind == "permitted":
        reaching = access.reaching(table, what, event)
        return [_held(holding) for holding in reaching] or [f"by {decision.cause}"]
    first = [short_of(decision)] if decision.holding else [f"none of the roles of {table.person.id} allows it"]
    near = list(nearest(access, table.person.id, what))
    return [*first, *near, *dict.fromkeys(_held(holding) for holding in matches)]


def _apart(known: Context, user: str, time: int) -> Iterator[str]:
    """What the human behind an account holds together at a time (µs) that is to be kept apart."""
    duties = duties_of(known)
    for pair in duties.broken(user):
        if pair.holds(time):
            one = duties.exemption(pair.separation, pair.human, time)
            excused = f"; excused until {rfc3339(one.until)[:10]} on {one.ticket}" if one else ""
            apart, *held = words(pair)
            yield f"separation of duties: {apart}{excused}"
            yield from held


def _held(holding: Holding) -> str:
    paper = holding.paper
    if paper is None:
        return f"role {holding.role.name}, {'held' if holding.own else 'of their team'}"
    until = "" if holding.end >= FOREVER else f" until {rfc3339(holding.end)}"
    ticket = f", ticket {paper.ticket}" if paper.ticket else ""
    flaw = f": counts not, {holding.flaw}" if holding.flaw else ""
    return f"role {holding.role.name}, granted from {rfc3339(holding.start)}{until}{ticket}{flaw}"


_SOURCES = {"aws": "cloudtrail", "k8s": "kubernetes", "entra": "entra", "google": "google_workspace"}
