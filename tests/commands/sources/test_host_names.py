"""Names of hosts: with and without a domain, whole and cut."""

import pytest

from bot.api.host_names import HostNames, host_label, same_host
from commands.sources.host_names import HostIndex, hosts_named


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("hv03", "HV03", True),
        ("hv03.corp.example", "HV03", True),
        ("hv03.corp.example.", "hv03.CORP.example", True),
        ("hv03.corp.example", "hv03.other.example", False),
        ("hv03", "hv04", False),
        ("hypervisor-bern-02.corp.example", "HYPERVISOR-BERN", True),
        ("hypervisor-bern-02", "HYPERVISOR-BERL", False),
        ("hypervisor-bern-02", "HYPERVISOR-BER", False),  # 14 characters: nothing was cut
        ("hypervisor-bern-02", "hypervisor-bern-", False),  # 16: no NetBIOS name
        ("hypervisor-bern-02", "hypervisor-bern.corp.example", False),  # with a domain it is whole
        ("hypervisor-bern-02", "hypervisor-bern-03", False),
        ("", "", False),
        ("", "hv03", False),
    ],
)
def test_the_same_host(one, other, same):
    assert same_host(one, other) is same
    assert same_host(other, one) is same


def test_a_whole_name_goes_before_a_cut_one():
    both = ("HYPERVISOR-BERN", "hypervisor-bern-02", "hv01")
    assert hosts_named("hypervisor-bern-02.corp.example", both) == ("hypervisor-bern-02",)
    assert hosts_named("hypervisor-bern-03", both) == ("HYPERVISOR-BERN",)
    cut = ("hypervisor-bern-02", "hypervisor-bern-03")
    assert hosts_named("HYPERVISOR-BERN", cut) == cut
    assert hosts_named("hv09", both) == ()


def test_labels():
    assert [host_label(name) for name in ("HV03.corp.example.", " hv03 ", "")] == ["hv03", "hv03", ""]


NAMES = (
    *("", "hv03", "HV03.", "hv03.corp.example", "hv03.other.example", "hv04", "hypervisor-bern", "HYPERVISOR-BERN"),
    *("hypervisor-bern.corp.example", "hypervisor-bern-02", "hypervisor-bern-02.corp.example", "hypervisor-ber"),
    *("hypervisor-bern-", "hypervisor-bern-.corp.example", "hypervisor-bern-02.other.example", " hv03 "),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_among_many_where_it_is_that_of_one_of_them(name):
    for one in NAMES:
        assert (name in HostNames([one])) is same_host(name, one), one
        for other in NAMES:
            assert (name in HostNames([one, other])) is (same_host(name, one) or same_host(name, other)), (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_an_index_finds_the_same_names_as_a_look_at_all(name):
    for among in (NAMES, *([one, other] for one in NAMES for other in NAMES)):
        index, found = HostIndex(among), hosts_named(name, among)
        assert index.count(name) == len(found), among
        assert [one for one in dict.fromkeys(among) if index.names(name, one)] == list(found), among
        assert index.only(name) == (found[0] if len(found) == 1 else ""), among
