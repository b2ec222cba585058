from __future__ import annotations

from audit.countries import COUNTRIES


def test_names_to_codes() -> None:
    assert COUNTRIES["United States"] == "US"
    assert COUNTRIES["Côte d'Ivoire"] == COUNTRIES["Ivory Coast"] == "CI"
    assert COUNTRIES["Bonaire, Sint Eustatius, and Saba"] == "BQ"
    assert COUNTRIES["Zimbabwe"] == "ZW"
    assert "Atlantis" not in COUNTRIES


def test_the_table_is_whole() -> None:
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES.values())
    assert all(name == name.strip() and name[0].isupper() for name in COUNTRIES)
    assert len(set(COUNTRIES.values())) >= 240
