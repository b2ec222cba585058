"""What machines do: deployments, plans, backups, scans and controllers, on the clock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.cloudtrail import Call, calls
from streams.simulate.company import Company, squads
from streams.simulate.kubernetes import Object
from streams.simulate.model import DAY, HOUR, MINUTE, SECOND, Network, Person, Seat, SimEvent
from streams.simulate.places import BUILD, CLUSTER, MONITORING, RUNNERS, address
from streams.simulate.plan import Plan
from streams.simulate.words import SERVICES

_TERRAFORM = calls("""
ec2:DescribeVpcs ec2:DescribeSubnets ec2:DescribeSecurityGroups iam:GetRole:role iam:ListRolePolicies:role
iam:ListAttachedRolePolicies:role s3:GetBucketPolicy:bucket s3:GetBucketTagging:bucket kms:DescribeKey:key
rds:DescribeDBInstances:database ec2:DescribeVpcAttribute ssm:GetParameter:parameter
""")
_WATCH = calls("""
cloudwatch:GetMetricData ec2:DescribeInstances rds:DescribeDBInstances lambda:ListFunctions20150331 sqs:ListQueues
tag:GetResources
""")
_REPORT = calls("athena:StartQueryExecution:query athena:GetQueryResults:query s3:GetObject:object s3:PutObject:object")


def services_day(plan: Plan, company: Company, day: int) -> list[SimEvent]:
    """Everything the service accounts do on a UTC day, in no order."""
    rng = Random(f"{plan.seed}/services/{day}")  # noqa: S311
    midnight = plan.start + day * DAY
    working = plan.date(day).weekday() < 5
    places = squads(len(company.people))
    seats = {name: _seat(person, rng) for name, person in company.services.items()}
    events: list[SimEvent] = []
    for squad in places:
        for _ in range(rng.randint(6, 12) if working else rng.randint(1, 2)):
            events += _deployment(seats, squad, midnight + int(rng.triangular(6, 21, 13) * HOUR))
        events += _dependabot(seats["dependabot"], squad, midnight + 5 * HOUR)
    for _ in range(rng.randint(3, 6) if working else 1):
        events += _terraform(seats["terraform"], rng.choice(places), midnight + rng.randrange(7 * HOUR, 18 * HOUR))
    events += _backup(seats["backup"], places, midnight + 2 * HOUR)
    events += _reports(seats["reports"], midnight + 4 * HOUR)
    events += _watchtower(seats["watchtower"], midnight)
    events += _controllers(seats, places, midnight)
    events += _autoscaling(seats["autoscaler"], midnight)
    events += _mail(company, midnight, rng)
    return events


def _seat(service: Person, rng: Random) -> Seat:
    network = _NETWORKS.get(service.id, CLUSTER)
    return Seat(service, network, address(network, 9 + service.index * 3), service.device, rng, service.id)


_NETWORKS: dict[str, Network] = {
    "ci": RUNNERS,
    "dependabot": RUNNERS,
    "terraform": BUILD,
    "backup": BUILD,
    "reports": BUILD,
    "watchtower": MONITORING,
}


def aws(seat: Seat, since: int) -> cloudtrail.Session:
    """The role session of a service account."""
    return cloudtrail.session(seat, seat.person.accesses[0], since)


def _deployment(seats: dict[str, Seat], squad: str, time: int) -> Iterator[SimEvent]:
    seat = seats["ci"]
    rng = seat.rng
    service = rng.choice(SERVICES)
    repo, git = f"{squad}-{service}", github.session(seat)
    run = {"name": "deploy", "workflow_run_id": rng.randrange(10**9, 10**10), "head_branch": "main"}
    yield git.event(time, "workflows.created_workflow_run", repo, event="push", **run)
    yield git.event(time + 8 * SECOND, "git.clone", repo)
    session = aws(seat, time + 60 * SECOND)
    yield session.call(time + 62 * SECOND, Call("ecr", "GetAuthorizationToken"))
    yield session.call(time + 90 * SECOND, Call("ecr", "PutImage", "repository"), f"{squad}/{service}")
    about = Object("deployments", squad, service)
    yield kubernetes.session(seat).request(time + 120 * SECOND, "patch", about)
    argocd = kubernetes.session(seats["argocd"])
    yield argocd.request(time + 125 * SECOND, "patch", Object("applications", "argocd", repo))
    done = {"conclusion": "success" if rng.random() < 0.93 else "failure", **run}
    yield git.event(time + 180 * SECOND, "workflows.completed_workflow_run", repo, **done)


def _dependabot(seat: Seat, squad: str, time: int) -> Iterator[SimEvent]:
    git = github.session(seat)
    for service in SERVICES[: seat.rng.randint(0, 2)]:
        yield git.event(time + seat.rng.randrange(HOUR), "pull_request.create", f"{squad}-{service}")


def _terraform(seat: Seat, squad: str, time: int) -> Iterator[SimEvent]:
    session, rng = aws(seat, time), seat.rng
    for number, call in enumerate(rng.choices(_TERRAFORM, k=rng.randint(15, 30))):
        error = "ThrottlingException" if rng.random() < 0.04 else ""
        thing = f"acorn-{squad}-{rng.choice(SERVICES)}" if call.about else ""
        yield session.call(time + number * SECOND // 2, call, thing, error)


def _backup(seat: Seat, places: tuple[str, ...], time: int) -> Iterator[SimEvent]:
    session = aws(seat, time)
    for number, squad in enumerate(places):
        at = time + number * 3 * MINUTE + seat.rng.randrange(20 * SECOND)
        yield session.call(at, Call("rds", "CreateDBSnapshot", "database"), f"acorn-{squad}-primary")
        yield session.call(at + SECOND, Call("s3", "ListObjects", "bucket"), f"acorn-{squad}-exports")
        for part in range(4):
            yield session.call(
                at + (2 + part) * SECOND, Call("s3", "PutObject", "object"), f"acorn-backups/{squad}/{part}.tar.gz"
            )


def _reports(seat: Seat, time: int) -> Iterator[SimEvent]:
    session = aws(seat, time)
    for number in range(40):
        call = _REPORT[number % len(_REPORT)]
        thing = "nightly" if call.about == "query" else f"acorn-data-exports/nightly/{number:03d}.parquet"
        yield session.call(time + number * 20 * SECOND + seat.rng.randrange(5 * SECOND), call, thing)


def _watchtower(seat: Seat, midnight: int) -> Iterator[SimEvent]:
    for number in range(144):
        time = midnight + number * 10 * MINUTE + seat.rng.randrange(20 * SECOND)
        session = aws(seat, midnight + number // 6 * HOUR)
        for call in seat.rng.sample(_WATCH, 4):
            yield session.call(time, call, "", "ThrottlingException" if seat.rng.random() < 0.01 else "")


def _controllers(seats: dict[str, Seat], places: tuple[str, ...], midnight: int) -> Iterator[SimEvent]:
    argocd, autoscaler = kubernetes.session(seats["argocd"]), kubernetes.session(seats["autoscaler"])
    rng = seats["argocd"].rng
    for number in range(144):
        time, squad = midnight + number * 10 * MINUTE + rng.randrange(10 * SECOND), places[number % len(places)]
        yield argocd.request(time, "list", Object("deployments", squad))
        yield argocd.request(time + SECOND, "patch", Object("applications", "argocd", squad))
        yield autoscaler.request(time + 2 * SECOND, "list", Object("nodes"))
        yield autoscaler.request(time + 3 * SECOND, "update", Object("leases", "kube-system", "cluster-autoscaler"))
    certificates = kubernetes.session(seats["cert-manager"])
    for number in range(6):
        about = Object("secrets", "ingress", f"tls-{number}")
        yield certificates.request(midnight + number * 4 * HOUR, "get", about)


def _autoscaling(seat: Seat, midnight: int) -> Iterator[SimEvent]:
    rng = seat.rng
    assume = Call("sts", "AssumeRole", "assume")
    for _ in range(8):
        yield cloudtrail.service_call(midnight + rng.randrange(DAY), "autoscaling", assume, rng)
    for number in range(24):
        session = aws(seat, midnight + number * HOUR)
        time = midnight + number * HOUR + rng.randrange(MINUTE)
        yield session.call(time, Call("autoscaling", "DescribeAutoScalingGroups"))


def _mail(company: Company, midnight: int, rng: Random) -> Iterator[SimEvent]:
    session = okta.system(rng)
    for person in rng.sample(company.people, max(1, len(company.people) // 15)):
        yield session.event(midnight + rng.randrange(DAY), "system.email.delivery", [okta.email_target(person)])
