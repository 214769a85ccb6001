"""What a guest says of itself is hostile input."""

from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.sources.kvp import LONGEST_ITEM, System, kvp_info, read_items

CAPTURE = (
    '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Data" TYPE="string"><VALUE>AUTOBVT-4OVYXAB</VALUE></PROPERTY><PROPERTY NAME="Description" '
    'PROPAGATED="true" TYPE="string"></PROPERTY><PROPERTY NAME="ElementName" PROPAGATED="true" TYPE="string"></PROPERTY>'
    '<PROPERTY NAME="Name" TYPE="string"><VALUE>FullyQualifiedDomainName</VALUE></PROPERTY><PROPERTY NAME="Source" '
    'TYPE="uint16"><VALUE>2</VALUE></PROPERTY></INSTANCE>'
)


def item(name, data):
    return (
        f'<INSTANCE><PROPERTY TYPE="string" NAME="Name"><VALUE>{escape(name)}</VALUE></PROPERTY>'
        f'<PROPERTY NAME="Data"><VALUE>{escape(data)}</VALUE></PROPERTY></INSTANCE>'
    )


def test_the_documented_item_is_read():
    assert read_items([CAPTURE]) == {"FullyQualifiedDomainName": "AUTOBVT-4OVYXAB"}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<INSTANCE>",
        "no xml",
        '<!DOCTYPE x [<!ENTITY a "b">]><INSTANCE><PROPERTY NAME="Name"><VALUE>&a;</VALUE></PROPERTY></INSTANCE>',
        '<INSTANCE><PROPERTY NAME="Name"><VALUE>&a;</VALUE></PROPERTY></INSTANCE>',
        '<INSTANCE><PROPERTY NAME="Name"></PROPERTY></INSTANCE>',
        item("OSName", "x" * LONGEST_ITEM),
        "\x00",
        "<INSTANCE>\x0b</INSTANCE>",
    ],
)
def test_a_bad_item_spoils_only_itself(document):
    assert read_items([item("OSName", "Windows"), document, item("OSVersion", "6.3")]) == {
        "OSName": "Windows",
        "OSVersion": "6.3",
    }


def test_a_missing_value_is_empty():
    document = '<INSTANCE><PROPERTY NAME="Name"><VALUE>CSDVersion</VALUE></PROPERTY><PROPERTY NAME="Data"/></INSTANCE>'
    assert read_items([document]) == {"CSDVersion": ""}


XML_TEXT = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")


@given(st.text(XML_TEXT, min_size=1, max_size=40))
@settings(max_examples=100)
def test_any_data_comes_back_as_it_was(data):
    assert read_items([item("OSName", data)]) == {"OSName": data}


@given(st.lists(st.text(max_size=80), max_size=5))
@settings(max_examples=100)
def test_nothing_that_a_guest_sends_breaks_the_reader(documents):
    kvp_info(read_items(documents))


@pytest.mark.parametrize(
    ("items", "system"),
    [
        ({"OSName": "Windows Server 2012 R2 Datacenter", "OSPlatformId": "2"}, System.WINDOWS),
        ({"OSPlatformId": "2"}, System.WINDOWS),
        ({"OSName": "CentOS Linux release 7.9"}, System.LINUX),
        ({"OSDistributionName": "Ubuntu", "OSPlatformId": "2"}, System.LINUX),
        ({"OSName": "Red Hat Enterprise"}, System.LINUX),
        ({"OSName": "FreeBSD"}, System.OTHER),
        ({}, System.UNKNOWN),
    ],
)
def test_systems_are_told_apart(items, system):
    assert kvp_info(items).system is system


def test_a_name_loses_its_dot():
    assert kvp_info({"FullyQualifiedDomainName": "a.corp.example. "}).fqdn == "a.corp.example"


@pytest.mark.parametrize("name", ["OSName", "OSDistributionName"])
def test_a_guest_that_writes_pages_has_a_short_name_of_its_system(name):
    """It stands in tables and plans beside others, which Slack would refuse."""
    told = kvp_info(read_items([item(name, "Windows " * 2_000)]))
    assert (told.os_name, told.system) == (("Windows " * 16)[:127] + "…", System.WINDOWS)
    assert kvp_info(read_items([item(name, " Windows Server 2012 R2 ")])).os_name == "Windows Server 2012 R2"


def test_what_is_longer_than_a_name_of_dns_is_none():
    longest = ".".join(["x" * 63] * 4)
    assert kvp_info({"FullyQualifiedDomainName": longest + "."}).fqdn == longest
    assert kvp_info({"FullyQualifiedDomainName": longest + "x"}).fqdn == ""
