import unicodedata

import pytest

from bot.api import host_names
from bot.api.host_names import host_key, host_parts


@pytest.mark.parametrize("name", ["hvk1", "HVK1", "hv\N{KELVIN SIGN}1", "ＨＶＫ１", "hvk1.", "  hvk1\n"])
def test_spellings_of_one_name(name):
    assert host_key(name) == "hvk1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("vm\N{LATIN SMALL LETTER DOTLESS I}1", "vmi1"), ("VM\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}1", "vmi1")),
        *(("stra\N{LATIN SMALL LETTER SHARP S}e", "strasse"), ("hv\N{CYRILLIC SMALL LETTER O}1", "hvo1")),
        *(("hv01..", "hv01"), ("hv01.corp.example", "hv01"), ("hv-01", "hv01")),
    ],
)
def test_names_of_two_machines(one, other):
    assert host_key(one) != host_key(other)


def test_label_and_domain():
    assert host_parts("HV01.Corp.Example.") == ("hv01", "corp.example")
    assert host_parts("hv01") == ("hv01", "")


def test_what_is_longer_than_a_name_is_the_name_of_nothing(monkeypatch):
    """No machine's, and nobody chooses how long its marks are put in order: that takes the square of their number."""
    read = []
    monkeypatch.setattr(host_names, "unicodedata", Recorded(read))
    assert host_key("ＨＶ" + "１" * 250) == "hv" + "1" * 250
    for name in ("hv01" + " " * 300, "HV" + "１" * 254, "a" + "\u0345\u0315\u0300" * 5_000):
        assert host_key(name) == name
        assert host_parts(name) == (name, "")
    assert max(read) <= host_names.LONGEST


class Recorded:
    """`unicodedata`, which writes down how much it reads."""

    def __init__(self, read):
        self._read = read

    def normalize(self, form, text):
        self._read.append(len(text))
        return unicodedata.normalize(form, text)
