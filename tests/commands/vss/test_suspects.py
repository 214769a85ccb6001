"""Locked guests are victims; guests that logs name are suspects, wherever they run now."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.api.facts import Unknown
from commands.sources.cluster import Cluster, Group, Resource
from commands.sources.event_log import VMMS, Event, Meaning
from commands.sources.guests import Guest, Power
from commands.vss.suspects import (
    HostLog,
    LockedRole,
    Locks,
    find_suspects,
    locks_on,
    suspects_by_node,
    which_are_suspects,
)

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
A, B = "0000000A-0000-4000-8000-000000000000", "0000000B-0000-4000-8000-000000000000"
LONG_AGO = {"hv03": NOW - timedelta(days=1), "hv04": NOW - timedelta(days=1)}
SILENT = Unknown("prod", "timed out", "no answer in 20 s.")


def guest(vm_id, name):
    return Guest(vm_id, name, Power.RUNNING)


def event(minutes, name, vm_id="", number=10102):
    return Event(number, NOW - timedelta(minutes=minutes), (("VmName", name), ("VmId", vm_id)), VMMS)


def suspects_in(logs, guests, since, build=9600):
    return find_suspects({node: HostLog(build, events) for node, events in logs.items()}, guests, since)


def test_a_guest_that_moved_is_found_by_its_id():
    guests = {"hv03": [], "hv04": [guest(A, "renamed")]}
    (one,) = suspects_in({"hv03": [event(9, "old-name", A), event(5, "old-name", A)], "hv04": []}, guests, LONG_AGO)
    assert (one.name, one.vm_id, one.times, one.logged_on, one.runs_on) == ("renamed", A, 2, ("hv03",), "hv04")
    assert one.newest == NOW - timedelta(minutes=5)
    assert suspects_by_node([one]) == {"hv03": (one,), "hv04": (one,)}


def test_without_a_valid_id_the_name_decides_in_any_case():
    guests = {"hv03": [guest(A, "TEST-TFS-01")], "hv04": []}
    (one,) = suspects_in({"hv03": [event(9, "test-tfs-01", "84521EG0G-8B7A-54ED-2F24-392A1761ED11")]}, guests, LONG_AGO)
    assert (one.vm_id, one.runs_on) == (A, "hv03")


def test_two_guests_of_one_name_are_told_apart_by_the_log_that_names_them():
    guests = {"hv03": [guest(A, "twin")], "hv04": [guest(B, "twin")]}
    (one,) = suspects_in({"hv04": [event(9, "twin")]}, guests, LONG_AGO)
    assert one.vm_id == B
    elsewhere = {"hv05": [event(9, "twin")]}
    (unknown,) = suspects_in(elsewhere, guests, {"hv05": LONG_AGO["hv03"]})
    assert (unknown.vm_id, unknown.runs_on) == ("", "")


def test_events_of_an_earlier_job_name_nobody():
    since = {"hv03": NOW - timedelta(minutes=9)}
    logs = {"hv03": [event(10, "before"), event(9, "at once"), event(8, "")]}
    assert [one.name for one in suspects_in(logs, {}, since)] == ["at once"]


def cluster(groups=(), resources=()):
    return Cluster("prod", (), groups, resources)


def resource(group, vm_id, *, locked=False, owner="HV03"):
    return Resource(f"Virtual Machine {group}", f"key-{group}", group, owner, locked, vm_id)


def test_locks_carry_the_guests_name_by_vm_id_and_count_once():
    groups = (
        Group("SCVMM a Resources", "HV03", locked=True, is_guest=True),
        Group("b", "hv03", locked=False, is_guest=True),
        Group("elsewhere", "hv04", locked=True, is_guest=True),
    )
    resources = (
        resource("SCVMM a Resources", A, locked=True),
        resource("b", "", locked=True),
        resource("elsewhere", B, locked=True, owner="hv04"),
    )
    assert locks_on("hv03", (guest(A, "app-01"),), cluster(groups, resources)) == Locks(
        (LockedRole("app-01", A, "app-01"), LockedRole("b"))
    )


def test_silence_is_no_lock_free_node():
    assert locks_on("hv03", (), cluster(groups=SILENT)) == Locks(None)
    assert locks_on("hv03", (), cluster(resources=SILENT)) == Locks(None)
    assert not Locks(None).none
    assert locks_on("hv03", SILENT, cluster()).none
    assert locks_on("backup01", (), None).none


def test_an_id_outranks_the_name_beside_it():
    guests = {"hv03": [guest(A, "app")], "hv04": []}
    (one,) = suspects_in({"hv03": [event(9, "app", B)]}, guests, LONG_AGO)
    assert (one.vm_id, one.runs_on) == (B, "")


def test_two_guests_of_one_name_are_shown_by_their_ids_and_only_the_named_one_is_suspect():
    twins = (guest(A, "app"), guest(B, "APP"), guest("0000000C-0000-4000-8000-000000000000", "crm"))
    resources = (resource("role one", A, locked=True), resource("role two", B, locked=True))
    locks = locks_on("hv03", twins, cluster(resources=resources))
    assert locks.roles == ("app (0000000A)", "APP (0000000B)")
    (one,) = suspects_in({"hv03": [event(9, "app", A)]}, {"hv03": twins}, LONG_AGO)
    assert one.name == "app (0000000A)"
    assert [is_ for _, is_ in which_are_suspects(locks.locked, [one])] == [True, False]


def test_a_name_alone_that_two_guests_bear_accuses_neither_and_clears_neither():
    twins = (guest(A, "app"), guest(B, "app"))
    (one,) = suspects_in({"hv03": [event(9, "app")]}, {"hv03": twins}, LONG_AGO)
    assert (one.vm_id, one.name, one.namesakes) == ("", "app", 2)
    resources = (resource("role one", A, locked=True), resource("app", "", locked=True))
    locked = locks_on("hv03", twins, cluster(resources=resources)).locked
    assert {role.name: is_ for role, is_ in which_are_suspects(locked, [one])} == {"app (0000000A)": None, "app": False}


@pytest.mark.parametrize(
    ("number", "build", "meaning"),
    [
        (10102, 7601, Meaning.GUEST_SNAPSHOT_FAILED),
        (10102, None, Meaning.GUEST_SNAPSHOT_FAILED),
        (10103, 9600, Meaning.NO_SCSI_CONTROLLER),
        (10103, 20348, Meaning.NO_SCSI_CONTROLLER),
        (10103, 7601, None),  # 2008: a virtual hard disk that could not be reverted
        (10103, 9200, None),
        (10103, None, None),
        (10150, 9600, Meaning.BACKUP_CHECKPOINT_FAILED),
        (18012, 9600, None),
        (18012, 20348, Meaning.CHECKPOINT_FAILED),
        (20415, 20348, None),
    ],
)
def test_a_number_names_a_guest_only_where_its_meaning_is_known_on_that_windows(number, build, meaning):
    guests = {"hv03": [guest(A, "app-01")]}
    found = suspects_in({"hv03": [event(9, "app-01", A, number)]}, guests, LONG_AGO, build)
    assert [one.meanings for one in found] == ([(meaning,)] if meaning else [])


def test_the_number_of_another_provider_names_nobody():
    stranger = Event(10102, NOW, (("VmName", "app-01"), ("VmId", A)), "Somebody else")
    assert suspects_in({"hv03": [stranger]}, {"hv03": [guest(A, "app-01")]}, LONG_AGO) == ()
