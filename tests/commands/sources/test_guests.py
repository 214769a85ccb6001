"""Virtual machines in both of Hyper-V's namespaces, and whether the machine that answers is the one meant."""

import pytest

from bot.api.facts import Unknown
from bot.api.queries import Predicate
from bot.api.rows import CellError
from commands.sources.cluster import Node
from commands.sources.guests import (
    MOST_GUESTS,
    Guest,
    HostedGuest,
    HostGuests,
    Power,
    guests_by_id,
    look_at_guests,
    same_machine,
    virtual_machines,
)
from commands.sources.kvp import KvpInfo

VM = "0000000A-0000-4000-8000-000000000000"
BIOS = "01020304-0506-0708-090A-0B0C0D0E0F10"
KVP = (
    '<INSTANCE><PROPERTY NAME="Name"><VALUE>FullyQualifiedDomainName</VALUE></PROPERTY>'
    '<PROPERTY NAME="Data"><VALUE>crm-01.corp.example</VALUE></PROPERTY></INSTANCE>'
)
SWAPPED = "04030201-0605-0807-090A-0B0C0D0E0F10"


def row(name=VM, state="2", status="2", label="crm-01"):
    return {"Name": name, "ElementName": label, "EnabledState": state, "OperationalStatus": status}


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("2", Power.RUNNING),
        ("3", Power.OFF),
        ("6", Power.SAVED),
        ("9", Power.PAUSED),
        ("32768", Power.PAUSED),
        ("32769", Power.SAVED),
        ("10", Power.CHANGING),
        ("32777", Power.CHANGING),
        ("11", Power.CHANGING),
        ("32779", Power.FAST_SAVED),
        ("32780", Power.CHANGING),
        ("32781", Power.RUNNING_CRITICAL),
        ("32782", Power.OFF_CRITICAL),
        ("32783", Power.CHANGING_CRITICAL),
        ("32784", Power.SAVED_CRITICAL),
        ("32785", Power.PAUSED_CRITICAL),
        *((str(state), Power.CHANGING_CRITICAL) for state in (32786, 32787, 32788, 32789, 32790, 32792)),
        ("32791", Power.SAVED_CRITICAL),
        ("32793", Power.UNKNOWN),
        ("5", Power.UNKNOWN),
        (None, Power.UNKNOWN),
    ],
)
def test_power_in_both_numberings(state, power):
    assert virtual_machines(Node("hv03", 9600)).read([row(state=state)])[0].power is power


def test_who_runs_and_who_holds_no_memory():
    assert {one for one in Power if one.runs} == {Power.RUNNING, Power.RUNNING_CRITICAL}
    resting = {Power.OFF, Power.SAVED, Power.FAST_SAVED, Power.OFF_CRITICAL, Power.SAVED_CRITICAL}
    assert {one for one in Power if one.is_at_rest} == resting


def test_the_host_itself_is_no_guest_and_a_backup_shows_in_the_second_status():
    guests = virtual_machines(Node("hv03", 9600)).read(
        [row("HV03"), row(status=("2", "32776")), row(VM.replace("A", "B"), status="32772", label="")]
    )
    assert [(one.name, one.backing_up) for one in guests] == [(VM.replace("A", "B"), False), ("crm-01", True)]


@pytest.mark.parametrize(
    ("build", "namespace"),
    [(7601, "root/virtualization"), (9200, "root/virtualization/v2"), (None, "root/virtualization/v2")],
)
def test_2008_r2_has_another_namespace(build, namespace):
    assert virtual_machines(Node("hv03", build)).query.namespace == namespace


async def test_one_round_tells_everything_of_a_host(scripted):
    script = {
        ("hv03", "Msvm_ComputerSystem"): [row()],
        ("hv03", "Msvm_KvpExchangeComponent"): [{"SystemName": VM, "GuestIntrinsicExchangeItems": KVP}],
        ("hv03", "Msvm_VirtualSystemSettingData"): [{"VirtualSystemIdentifier": VM, "BIOSGUID": f"{{{BIOS}}}"}],
    }
    ask = scripted(script)
    (hosted,) = (await look_at_guests(Node("hv03", 9600), ask)).guests
    assert (hosted.told.fqdn, hosted.bios, hosted.host) == ("crm-01.corp.example", BIOS, "hv03")
    assert ask.rounds == 1


async def test_2008_r2_names_its_settings_otherwise(scripted):
    script = {
        ("hv03", "Msvm_ComputerSystem"): [row()],
        ("hv03", "Msvm_KvpExchangeComponent"): [],
        ("hv03", "Msvm_VirtualSystemSettingData"): [{"SystemName": VM, "BIOSGUID": BIOS}],
    }
    ask = scripted(script)
    (hosted,) = (await look_at_guests(Node("hv03", 7601), ask)).guests
    assert hosted.bios == BIOS
    assert {question.namespace for question in ask.asked} == {"root/virtualization"}
    assert [question.where for question in ask.asked] == [(), (), (Predicate("SettingType", "=", 3),)]


async def test_half_an_answer_keeps_its_guests_and_says_why_their_names_are_unknown(scripted):
    refused = Unknown("hv03", "refused", "the provider failed.")
    script = {
        ("hv03", "Msvm_ComputerSystem"): [row()],
        ("hv03", "Msvm_KvpExchangeComponent"): refused,
        ("hv03", "Msvm_VirtualSystemSettingData"): [],
    }
    found = await look_at_guests(Node("hv03", 9600), scripted(script))
    assert found.failed == (refused,)
    assert found.guests[0].told == KvpInfo(unread="the provider failed.")


def hosted(bios=BIOS, power=Power.RUNNING, host="hv03"):
    return HostedGuest(Guest(VM, "crm-01", power), host, KvpInfo("crm-01.corp.example"), bios)


@pytest.mark.parametrize(
    ("vm_id", "firmware", "itself"),
    [
        (VM, "", True),
        (VM.replace("A", "B"), BIOS, False),
        ("", BIOS, True),
        ("", SWAPPED, True),
        ("", VM, False),
        ("", "", None),
    ],
)
def test_a_machine_is_itself_by_vm_id_else_by_firmware(vm_id, firmware, itself):
    assert same_machine(hosted(), vm_id, firmware) is itself


def test_without_a_firmware_id_on_the_host_nothing_is_proved():
    assert same_machine(hosted(bios=""), "", BIOS) is None


def test_during_a_move_the_running_one_counts():
    both = [
        HostGuests((hosted(power=Power.OFF, host="hv04"),)),
        HostGuests((hosted(),)),
        HostGuests((hosted(power=Power.SAVED, host="hv05"),)),
    ]
    assert [one.host for one in guests_by_id(both).values()] == ["hv03"]


def test_a_host_that_names_more_guests_than_any_has_is_not_believed():
    """Each of them would be asked, so one answer became tens of thousands of questions."""
    guests = virtual_machines(Node("hv03", 9600))
    assert len(guests.read([row()] * MOST_GUESTS)) == MOST_GUESTS
    with pytest.raises(ValueError, match="it names 4,097 virtual machines"):
        guests.read([row()] * (MOST_GUESTS + 1))


def test_a_host_that_lists_not_even_itself_has_not_said_that_it_has_no_guests():
    """An account without the right sees an empty namespace, and a node was taken for empty by that."""
    guests = virtual_machines(Node("hv03", 9600))
    with pytest.raises(ValueError, match="not even itself"):
        guests.read([])
    assert guests.read([row(name="HV03", label="HV03")]) == ()


@pytest.mark.parametrize("name", [None, ""])
def test_a_row_that_does_not_tell_whose_it_is_is_not_taken_for_the_host(name):
    with pytest.raises(CellError):
        virtual_machines(Node("hv03", 9600)).read([row(), row(name=name)])
    assert len(virtual_machines(Node("hv03", 9600)).read([row(), row(name="HV03")])) == 1
