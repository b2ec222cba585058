import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_people import LONGEST_NAME, Globs, People, glob_matches, system_of
from audit.context_schema import Person

PEOPLE = People(
    [
        Person(id="ada", identities={"okta": ("Ada@x.com",), "github": ("adalove",)}, access_keys=("AKIA1",)),
        Person(id="bob", identities={"kubernetes": ("ada",), "aws": ("arn:aws:sts::1:assumed-role/Eng-*/bob@x.com",)}),
        Person(id="carol@x.com"),
    ]
)


def test_sources_speak_of_systems():
    assert [system_of(source) for source in ("cloudtrail", "kubernetes", "o365", "gcp", "okta", "linux")] == [
        "aws", "k8s", "entra", "google", "okta", "linux",
    ]  # fmt: skip


def test_names_are_found_in_their_own_system_only():
    assert PEOPLE.named("okta", "ada@X.com") == {"ada"}
    assert PEOPLE.named("k8s", "ada") == {"bob"}
    assert PEOPLE.named("github", "ada") == frozenset()
    assert PEOPLE.named("github", "AdaLove") == {"ada"}
    assert PEOPLE.of_access_key("AKIA1") == {"ada"}
    assert PEOPLE.of_access_key("akia1") == frozenset()


def test_an_e_mail_is_the_same_person_in_every_system():
    assert PEOPLE.named("k8s", "ada@x.com") == {"ada"}
    assert PEOPLE.named("google", "CAROL@x.com") == {"carol@x.com"}
    assert PEOPLE.named("k8s", "ada@y.com") == frozenset()


def test_an_arn_is_looked_up_in_aws_whoever_writes_it():
    assert PEOPLE.named("k8s", "arn:aws:sts::1:assumed-role/Eng-Berlin/bob@x.com") == {"bob"}


def test_a_name_that_is_too_long_is_nobodys_and_not_kept():
    people = People([Person(id="ada", identities={"github": ("a" * 2000,)})])
    assert people.named("github", "a" * 2000) == frozenset()
    assert people.named("github", "b" * (LONGEST_NAME + 1)) == frozenset()


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a*c", "abc", True),
        ("a*c", "ac", True),
        ("a*c", "ab", False),
        ("a*ba", "aba", True),
        ("a*a", "a", False),
        ("*b*", "abc", True),
        ("a*b*c*d", "abcbcd", True),
        ("a*bc*bc", "abc", False),
        ("abc", "abc", True),
        ("a.c*", "abc", False),
        ("[a]*", "a", False),
    ],
)
def test_a_star_is_any_run_of_characters(pattern, name, matches):
    assert glob_matches(tuple(pattern.split("*")), name) is matches


@given(st.text(alphabet="ab:/*", max_size=8), st.text(alphabet="ab:/", max_size=10))
def test_patterns_match_as_a_regular_expression_would_and_are_found_through_the_index(pattern, name):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
    assert glob_matches(tuple(pattern.split("*")), name) is expected
    if "*" in pattern:
        assert Globs([(pattern, "x"), ("a:b*", "y")]).owners(name) >= ({"x"} if expected else set())
        assert ("x" in Globs([(pattern, "x")]).owners(name)) is expected


def test_many_patterns_cost_one_look_up_a_word():
    globs = Globs((f"arn:aws:sts::1:assumed-role/eng_*/u{n}@x.com", f"u{n}") for n in range(2_000))
    assert globs.owners("arn:aws:sts::1:assumed-role/eng_1/u77@x.com") == {"u77"}
    assert max(len(rows) for rows in globs._filed.values()) == 1
