"""Every instance of every machine says only what the class pages know, in the types they give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from lab import scenarios
from lab.windows import schema
from lab.windows.machine_protocol import Embedded, Instance, Reference, WmiFailure
from lab.world.machine import VIEWS, WorldMachine
from lab.world.model import GIB, MIB, ShadowStorage

BOUNDS = {
    "uint8": (0, 2**8),
    "uint16": (0, 2**16),
    "uint32": (0, 2**32),
    "uint64": (0, 2**64),
    "sint16": (-(2**15), 2**15),
    "sint32": (-(2**31), 2**31),
    "sint64": (-(2**63), 2**63),
}
KINDS = {
    "string": str,
    "char16": str,
    "boolean": bool,
    "datetime": (datetime, timedelta),
    "ref": Reference,
    "object": Embedded,
}


def every_instance(machine: WorldMachine) -> Iterator[tuple[str, str, Instance]]:
    for namespace in machine.namespaces():
        if namespace == "root/MSCluster" and machine.windows in machine.windows.cluster.evicted:
            continue  # the cluster's provider answers no more there
        for cls in VIEWS.get(namespace.casefold(), {}):
            for instance in machine.instances(namespace, cls):
                yield namespace, cls, instance


def fits(kind: str, value: object) -> bool:
    if kind in BOUNDS:
        low, high = BOUNDS[kind]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value < high
    return isinstance(value, KINDS.get(kind, Embedded))


def faults(definition: schema.ClassDefinition, instance: Instance) -> Iterator[str]:
    for name, value in instance.items():
        known = definition.properties.get(name.lower())
        if known is None or known.name != name:
            yield f"{definition.name} has no {name}"
        elif known.array:
            whole = isinstance(value, Sequence) and not isinstance(value, str)
            if value is not None and not (whole and all(fits(known.kind, each) for each in value)):
                yield f"{definition.name}.{name} is no {known.kind}[]: {value!r}"
        elif value is not None and not fits(known.kind, value):
            yield f"{definition.name}.{name} is no {known.kind}: {value!r}"


@pytest.mark.parametrize("story", sorted(scenarios.stories()))
def test_instances_have_documented_properties_of_documented_types(story):
    world = scenarios.begin(story)
    asked = [machine for machine in world.machines.values() if machine.answers]
    seen = set()
    for machine in asked:
        for namespace, cls, instance in every_instance(machine):
            definition = schema.find(namespace, cls)
            assert definition is not None, cls
            assert list(faults(definition, instance)) == []
            seen.add((namespace, cls))
    assert len(seen) > 25


def test_the_check_itself_finds_slips():
    definition = schema.find("root/cimv2", "Win32_Volume")
    slips = list(faults(definition, {"FreeSpace": -1, "freespace": 1, "Colour": "red", "Automount": 1}))
    assert len(slips) == 4


def test_keys_tell_the_instances_of_a_class_apart(world):
    for name in ("hv03", "branch-sql-01"):
        keys_of: dict[tuple[str, str], list[tuple[object, ...]]] = {}
        for namespace, cls, instance in every_instance(world.machine(name)):
            keys = schema.find(namespace, cls).keys
            keys_of.setdefault((namespace, cls), []).append(tuple(str(instance.get(key)) for key in keys))
        for which, keys in keys_of.items():
            assert len(keys) == len(set(keys)), which


def test_an_older_windows_lacks_what_came_later(world):
    old = scenarios.begin("patch-drift")
    (node, *_) = old.machine("hv01").instances("root/MSCluster", "MSCluster_Node")
    (newer, *_) = world.machine("hv01").instances("root/MSCluster", "MSCluster_Node")
    assert "NodeDrainStatus" in newer
    assert "NodeDrainStatus" not in node
    assert "root/virtualization/v2" not in old.machine("hv01").namespaces()
    assert "root/virtualization" not in world.machine("hv01").namespaces()
    assert "OwnerNode" not in next(iter(old.machine("hv01").instances("root/MSCluster", "MSCluster_ResourceGroup")))


def test_the_cluster_is_the_same_from_every_node_and_guests_only_their_own_hosts(world):
    views = [
        list(world.machine(node.name).instances("root/mscluster", "mscluster_resourcegroup"))
        for node in world.clusters["prod"].nodes
    ]
    assert all(view == views[0] for view in views)
    names = [
        row["ElementName"]
        for node in world.clusters["prod"].nodes
        for row in world.machine(node.name).instances("root/virtualization/v2", "Msvm_ComputerSystem")
        if row["Caption"] == "Virtual Machine"
    ]
    assert sorted(names) == sorted(guest.name for guest in world.clusters["prod"].guests)


def test_the_bios_guid_of_a_guest_is_the_one_its_host_knows(world):
    guest = world.guest("sql-01")
    (inside,) = world.machine("sql-01").instances("root/cimv2", "Win32_ComputerSystemProduct")
    settings = world.machine(guest.node.name).instances("root/virtualization/v2", "Msvm_VirtualSystemSettingData")
    (outside,) = [row for row in settings if row["ElementName"] == "sql-01"]
    assert outside["BIOSGUID"] == f"{{{inside['UUID']}}}"
    assert outside["VirtualSystemIdentifier"] == guest.vm_id.upper()


def test_shadow_storage_names_its_volumes_by_reference(world):
    guest = world.guest("sql-01")
    assert list(world.machine("sql-01").instances("root/cimv2", "Win32_ShadowStorage")) == []
    guest.shadow_storage.append(ShadowStorage("C", allocated=GIB, used=MIB))
    (row,) = world.machine("sql-01").instances("root/cimv2", "Win32_ShadowStorage")
    volumes = world.machine("sql-01").instances("root/cimv2", "Win32_Volume")
    device = next(volume["DeviceID"] for volume in volumes if volume["DriveLetter"] == "C:")
    assert row["Volume"] == row["DiffVolume"] == Reference("root/cimv2", "Win32_Volume", {"DeviceID": device})
    assert not list(faults(schema.find("root/cimv2", "Win32_ShadowStorage"), row))


def test_without_its_service_a_provider_does_not_answer(world):
    machine = world.machine("hv01")
    assert list(machine.instances("root/virtualization/v2", "Msvm_ComputerSystem"))
    world.node("hv01").service("vmms").state = "Stopped"
    with pytest.raises(WmiFailure):
        machine.instances("root/virtualization/v2", "Msvm_ComputerSystem")
    assert machine.instances("root/MSCluster", "MSCluster_Node")
    world.node("hv01").service("ClusSvc").state = "Stopped"
    with pytest.raises(WmiFailure):
        machine.instances("root/MSCluster", "MSCluster_Node")
