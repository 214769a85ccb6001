"""The estate that is drawn: how many of what, where, and always the same."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

from lab.world import defaults, kvp
from lab.world.backup import without_space
from lab.world.factory import make
from lab.world.os_releases import RELEASES


def test_two_clusters_ten_nodes_and_120_guests(world):
    assert {name: (len(each.nodes), len(each.guests)) for name, each in world.clusters.items()} == {
        "prod": (6, 64),
        "branch": (4, 56),
    }
    assert len(world.machines) == 131
    assert world.vmm.host is world.machine("vmm01").windows
    assert world.vmm.host.service("VMMService").state == "Running"
    names = [machine.windows.name for machine in world.machines.values()]
    assert len(set(names)) == 131


def test_the_64_guests_of_prod_are_of_these_kinds(world):
    guests = world.clusters["prod"].guests
    linux = {guest.name for guest in guests if guest.release.family == "linux"}
    resting = {guest.name: guest.state for guest in guests if guest.state != "running"}
    assert linux == {f"lin-{number:02d}" for number in range(1, 6)}
    assert resting == {"vdi-07": "off", "vdi-09": "off", "old-02": "off", "dev-11": "saved"}
    asked = [guest for guest in guests if guest.name not in linux and guest.state == "running"]
    hinders = {
        guest.name
        for guest in asked
        if not world.machine(guest.name).access.accounts
        or not guest.reports_address
        or world.machine(guest.name).trouble.hang
    }
    assert hinders == {"crm-03", "lab-dc-02", "sap-old-01"}
    assert len(asked) - len(hinders) == 52


def test_machines_that_cannot_answer_refuse_connections(world):
    refusing = {machine.windows.name for machine in world.machines.values() if machine.trouble.refuse}
    assert {"lin-01", "vdi-07", "dev-11"} <= refusing
    assert not refusing & {"hv01", "br04", "crm-03", "sql-01"}


def test_addresses_are_all_on_loopback_and_all_different(world):
    hosts = [node.address for cluster in world.clusters.values() for node in cluster.nodes]
    assert hosts[:2] == ["127.0.1.1", "127.0.1.2"]
    assert hosts[-1] == "127.0.2.4"
    assert all(address.startswith("127.") for address in world.machines)


def test_nothing_is_short_of_space_in_a_healthy_estate(world):
    for cluster in world.clusters.values():
        for node in cluster.nodes:
            assert without_space(node) == []


def test_the_same_seed_draws_the_same_estate(clock):
    one, other, third = make(seed=7, clock=clock), make(seed=7, clock=clock), make(seed=8, clock=clock)
    volumes = [[guest.volumes for guest in each.clusters["prod"].guests] for each in (one, other, third)]
    assert volumes[0] == volumes[1] != volumes[2]
    assert one.accounts == other.accounts != third.accounts


def test_a_thousand_hosts_are_drawn_when_asked(clock):
    world = make(hosts=1000, clock=clock)
    assert sum(len(cluster.nodes) for cluster in world.clusters.values()) == 1000
    assert len({machine.windows.address for machine in world.machines.values()}) == len(world.machines) == 3000


@pytest.mark.parametrize(("key", "writers"), [("2008R2", 12), ("2012R2", 13), ("2019", 13), ("2025", 13)])
def test_a_node_has_the_whole_writer_set_of_its_windows(key, writers):
    found = defaults.writers("x", release=RELEASES[key], node=True)
    assert len({writer.id for writer in found}) == writers
    assert any(writer.name == "Cluster Shared Volume VSS Writer" for writer in found) == (key != "2008R2")


def test_guests_tell_their_host_who_they_are(world):
    def told(name: str) -> dict[str, str]:
        items = kvp.items(world.guest(name)) or ()
        pairs = [{part.get("NAME"): part.findtext("VALUE") for part in fromstring(item)} for item in items]
        return {pair["Name"]: pair["Data"] for pair in pairs}

    assert told("sql-01")["FullyQualifiedDomainName"] == "sql-01.corp.example"
    assert told("sql-01")["OSName"].startswith("Windows Server")
    assert told("lin-01")["OSName"] == "Ubuntu"
    assert "FullyQualifiedDomainName" not in told("lab-dc-02")
    assert told("lab-dc-02")["OSName"].startswith("Windows")
    assert told("vdi-07") == {}
