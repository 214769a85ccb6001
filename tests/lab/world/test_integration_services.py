"""What hosts of the practice environment say of integration services: keys by Windows, components, data exchange."""

import re

import pytest

from lab.world import factory
from lab.world.registry import CURRENT_VERSION

INSTALLER = f"{CURRENT_VERSION}\\Virtualization\\GuestInstaller"
V1, V2 = "root/virtualization", "root/virtualization/v2"
NAMES = re.compile(r'<PROPERTY NAME="Name" TYPE="string"><VALUE>(\w+)</VALUE>')


def world_of(release="2012R2"):
    return factory.make(seed=1, releases={"prod": release})


def component(world, guest, cls, namespace=V2):
    rows = world.machine(world.guest(guest).node.name).instances(namespace, cls)
    return next(row for row in rows if row["SystemName"] == world.guest(guest).vm_id.upper())


@pytest.mark.parametrize(
    ("release", "place", "values"),
    [
        ("2008R2", INSTALLER, {"Microsoft-Hyper-V-Guest-Installer-Win60-Package"}),
        (
            "2012",
            f"{INSTALLER}\\Version",
            {"Microsoft-Hyper-V-Guest-Installer", "Microsoft-Hyper-V-Guest-Installer-Win6x-Package"},
        ),
        (
            "2012R2",
            f"{INSTALLER}\\Version",
            {"Microsoft-Hyper-V-Guest-Installer", "Microsoft-Hyper-V-Guest-Installer-Win6x-Package"},
        ),
        ("2022", f"{INSTALLER}\\Version", {"Microsoft-Hyper-V-Guest-Installer"}),
        ("2019", "", set()),
    ],
)
def test_each_windows_keeps_what_it_expects_in_its_own_place(release, place, values):
    keys = world_of(release).machine("hv01").registry()
    found = {key: set(told) for key, told in keys.items() if "GuestInstaller" in key}
    assert found == ({place: values} if place else {})


@pytest.mark.parametrize(("release", "namespace"), [("2008R2", V1), ("2012R2", V2)])
def test_a_component_follows_its_service_its_switch_and_its_status(release, namespace):
    world = world_of(release)
    guest = world.guest("file-01")
    for part, cls, service in (
        ("kvp", "Msvm_KvpExchangeComponent", "vmickvpexchange"),
        ("vss", "Msvm_VssComponent", "vmicvss"),
        ("heartbeat", "Msvm_HeartbeatComponent", "vmicheartbeat"),
    ):
        assert component(world, "file-01", cls, namespace)["OperationalStatus"] == (2,)
        guest.service(service).state = "Stopped"
        assert component(world, "file-01", cls, namespace)["OperationalStatus"] == (12,)
        guest.component_status[part] = (3, 32775)
        assert component(world, "file-01", cls, namespace)["OperationalStatus"] == (3, 32775)
        guest.components_off.add(part)
        row = component(world, "file-01", cls, namespace)
        assert (row["EnabledState"], row["OperationalStatus"]) == (3, (2,))


def test_data_exchange_keeps_the_order_that_was_asked_for():
    world = world_of()
    world.guest("file-01").kvp_first = ("OSVersion", "IntegrationServicesVersion")
    items = component(world, "file-01", "Msvm_KvpExchangeComponent")["GuestIntrinsicExchangeItems"]
    names = [NAMES.search(one)[1] for one in items]
    assert names[:2] == ["OSVersion", "IntegrationServicesVersion"]
    assert names[2:] == sorted(names[2:])


def test_who_is_switched_off_or_has_no_daemon_reports_nothing():
    world = world_of()
    world.guest("file-01").components_off.add("kvp")
    world.guest("lin-02").component_status["kvp"] = (12,)
    for name in ("file-01", "lin-02"):
        assert component(world, name, "Msvm_KvpExchangeComponent")["GuestIntrinsicExchangeItems"] is None
    assert component(world, "lin-02", "Msvm_HeartbeatComponent")["OperationalStatus"] == (2,)
