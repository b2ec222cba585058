import re
from pathlib import Path

import pytest

from audit.context import EMPTY, Context, ContextErrors, load_context
from audit.context_schema import Declared, IpGeo, Person
from audit.event import parse_rfc3339

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "context.md"


@pytest.fixture
def example(tmp_path):
    path = tmp_path / "context.yml"
    path.write_text(re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1])
    return load_context(path)


def test_the_example_of_the_documentation_loads_whole(example):
    declared = example.declared
    assert all(getattr(declared, name) for name in declared.__struct_fields__ if name != "geo_databases")
    assert example.person("ada").identities["github"] == ("adalove",)
    assert example.person("ada").leave[0].end == parse_rfc3339("2026-08-14T23:59:59.999999Z")
    assert example.person("nobody") is None
    assert example.location("192.0.2.7").kind == "office"
    assert example.location("10.8.0.1").kind == "vpn"
    assert declared.company.aws_accounts["production"] == "111122223333"
    assert [str(one).rpartition(": ")[0].split(": ", 1)[1] for one in example.warnings] == [
        "role_changes: ticket 'ACC-9' is not declared",
        "pentest_windows: ticket 'PEN-3' is not declared",
    ]


def test_nothing_declared_is_a_context_too():
    assert EMPTY.person("ada") is None
    assert EMPTY.location("1.2.3.4") is None
    assert EMPTY.declared == Declared()
    assert EMPTY.hash == Context().hash != ""


def test_all_errors_are_raised_together_in_the_order_of_their_lines(tmp_path):
    (tmp_path / "a.yml").write_text("users:\n- {id: ada}\n- {id: ada}\n- {id: bob, nam: Bob}\n")
    (tmp_path / "b.yml").write_text("tikets: []\n")
    with pytest.raises(ContextErrors) as caught:
        load_context(tmp_path)
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [
        "a.yml:3: users: user 'ada' is declared already at "
        + f"{tmp_path}/a.yml:2: keep one".replace(f"{tmp_path}/", ""),
        "a.yml:4: users: unknown key 'nam': did you mean 'name'?",
        "b.yml:1: the file: unknown key 'tikets': did you mean 'tickets'?",
    ]


def test_the_hash_names_the_content_and_not_the_layout(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "c.yml").write_text(
        "# people\nusers:\n- id: ada\n  name: Ada\n- {id: bob}\ncompany: {domain: x.com}\n"
    )
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.json").write_text('{"company": {"domain": "x.com"}, "users": [{"id": "bob"}]}')
    (tmp_path / "two" / "p.json").write_text('{"users": [{"name": "Ada", "id": "ada", "team": null}]}')
    (tmp_path / "three.yml").write_text("users:\n- {id: ada, name: Adah}\n- {id: bob}\ncompany: {domain: x.com}\n")
    one, two, three = (load_context(tmp_path / name).hash for name in ("one", "two", "three.yml"))
    assert one == two != three
    assert re.fullmatch(r"[0-9a-f]{12}", one)


def test_every_section_counts_in_the_hash():
    hashes = {
        Context(declared).hash
        for declared in (
            Declared(),
            Declared(observe_only=True),
            Declared(users=(Person(id="a"),)),
            Declared(ip_geo=(IpGeo(prefix="10.0.0.0/8"),)),
            Declared(ip_geo=(IpGeo(prefix="10.0.0.0/8", asn=1),)),
        )
    }
    assert len(hashes) == 5


def test_where_databases_lie_does_not_count():
    assert Context(Declared(geo_databases=())).hash == EMPTY.hash


def test_a_large_organisation_loads(tmp_path):
    rows = "\n".join(
        f"- {{id: u{n}, roles: [r{n % 100}], identities: {{okta: [u{n}@x.com], aws: ['*/u{n}@x.com']}}}}"
        for n in range(2_000)
    )
    roles = "\n".join(f"- {{name: r{n}, system: aws}}" for n in range(100))
    (tmp_path / "c.yml").write_text(f"users:\n{rows}\nroles:\n{roles}\n")
    context = load_context(tmp_path / "c.yml")
    assert len(context.people.by_id) == 2_000
    assert context.people.named("aws", "arn:aws:sts::1:assumed-role/any/u1999@x.com") == {"u1999"}
