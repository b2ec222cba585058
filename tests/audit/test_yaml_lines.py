import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import yaml_lines
from audit.yaml_lines import BadText, Lines, read_json, read_yaml


def test_plain_scalars_stay_text_and_nulls_count_as_not_written():
    text = b"account: 012345678901\ncountry: NO\nyes: on\nempty:\nnothing: ~\nquoted: 'null'\nitems: [1, ~, '']\n"
    assert read_yaml(text) == {
        "account": "012345678901",
        "country": "NO",
        "yes": "on",
        "quoted": "null",
        "items": ["1", None, ""],
    }


@pytest.mark.parametrize("text", [b"", b"# only a remark\n", b"---\n"])
def test_an_empty_document_is_an_empty_mapping(text):
    assert read_yaml(text) == {}


def test_json_and_yaml_give_the_same_tree():
    value = {"a": [{"id": "x", "lat": 52.5, "n": 7}], "b": {"c": ["ü", "d\n"]}, "gone": None}
    text = json.dumps(value).encode()
    assert read_json(text) == read_yaml(text) == {"a": [{"id": "x", "lat": "52.5", "n": "7"}], "b": {"c": ["ü", "d\n"]}}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML"),
        (b"a: 1\nb: 2\na: 3\n", 3, "twice"),
        (b"a:\nb: 2\na: 3\n", 3, "twice"),
        (b"a: 1\n? [x]\n: 2\n", 2, "quote it"),
        (b"a: 1\nb: *nobody\n", 2, "anchor"),
        (b"a: 1\n---\nb: 2\n", 1, "several documents"),
        (b"a: 1\nb: \x00\n", 2, "not YAML: control characters are not allowed: save it as UTF-8"),
        ("ä: 1\n\n".encode() + b"a: \xff\xfe\n", 3, "not YAML: invalid leading UTF-8 octet: save it as UTF-8"),
        (b"[" * 100 + b"]" * 100, 1, "nested deeper"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text, line, word):
    with pytest.raises(BadText) as caught:
        read_yaml(text)
    assert caught.value.line == line
    assert word in caught.value.what
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (b'{"a": 1,\n "b": }', 2, "not JSON"),
        (b'{"a": 1,\n "b": 2,\n "a": 3}', 3, "twice"),
        (b"[" * 100_000, 1, "not JSON"),
        (b'{"a": "\xff"}', 1, "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(text, line, word):
    with pytest.raises(BadText) as caught:
        read_json(text)
    assert caught.value.line == line
    assert word in caught.value.what


def test_aliases_stand_for_what_they_name():
    assert read_yaml(b"a: &x [1, 2]\nb: *x\nc: &y text\nd: *y\n") == {
        "a": ["1", "2"],
        "b": ["1", "2"],
        "c": "text",
        "d": "text",
    }


def test_a_billion_laughs_is_refused():
    lines = ["a0: &a0 [ha, ha]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(BadText, match="aliases"):
        read_yaml("\n".join(lines).encode())


def test_an_alias_inside_its_own_anchor_is_refused():
    with pytest.raises(BadText, match="inside its anchor"):
        read_yaml(b"a: &x [1, *x]\n")


def test_python_tags_make_no_objects():
    assert read_yaml(b"a: !!python/object/apply:os.system [echo]\n") == {"a": ["echo"]}


def test_lines_of_places():
    text = b"company: {domain: x}\nusers:\n  - id: a\n  - id: b\n    roles:\n      - one\n      - two\n"
    lines = Lines(text)
    assert lines.line(("company", "domain")) == 1
    assert lines.line(("users",)) == 2
    assert lines.line(("users", 1)) == 4
    assert lines.line(("users", 1, "roles", 1)) == 7
    assert lines.line(("users", 1, "nothing", 3)) == 4, "the nearest place around it"
    assert lines.line(("users", 9)) == 2


def test_lines_of_json_with_surrogates_and_of_nonsense():
    text = json.dumps({"users": [{"id": "😀"}, {"id": "b"}]}, indent=1).encode()
    assert Lines(text).line(("users", 1, "id")) == 7
    assert Lines(b"{[").line(("users", 1)) == 1


@given(st.binary(max_size=200) | st.text(alphabet="-:[]{}&*!|>'\"#%@`, \n\tab01", max_size=200).map(str.encode))
def test_any_bytes_are_a_tree_or_refused(text):
    for read in (read_yaml, read_json):
        try:
            read(text)
        except BadText as error:
            assert error.line >= 1  # noqa: PT017  most bytes raise nothing
    Lines(text).line(("a", 0))


@given(
    st.recursive(
        st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=12,
    )
)
def test_written_as_json_any_tree_is_read_back_by_json(value):
    assert read_json(json.dumps(value).encode()) == value


def test_the_bound_on_aliases_lets_shared_defaults_pass(monkeypatch):
    monkeypatch.setattr(yaml_lines, "MAX_ALIASED", 50)
    text = "d: &d {a: 1, b: 2}\n" + "\n".join(f"k{n}: *d" for n in range(9))
    assert len(read_yaml(text.encode())) == 10
    with pytest.raises(BadText, match="aliases"):
        read_yaml((text + "\nlast: *d\nlaster: *d").encode())
