import pytest

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
