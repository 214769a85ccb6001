"""A service is stopped and started as two steps, each judged by its state."""

import pytest

from bot.api.actions import InvokeMethod
from bot.api.plan import Check, Expect, Step
from bot.api.queries import Predicate, RunReader, Wql
from bot.api.rows import CellError
from commands.sources.services import (
    Service,
    host_services,
    is_in_state,
    new_process_step,
    restart_steps,
    service_dependents,
    service_state,
)

VMMS = Wql("hv03", "root/cimv2", "Win32_Service", ("Name", "State", "ProcessId"), (Predicate("Name", "=", "vmms"),))
START = InvokeMethod("hv03", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StartService", accept=(0, 10))


def state(word, within=0):
    found = Check(VMMS, (Expect((Predicate("State", "=", word),)),), within=within, every=2)
    return found.described_as(f"the service vmms is {word.lower()} on hv03")


def test_both_steps():
    extra, image = is_in_state("hv03", "vss", "Stopped"), RunReader("hv03", "vssadmin list writers")
    assert restart_steps("hv03", "vmms", (extra,), image) == (
        Step(
            key="stop-vmms",
            description="Stop the service vmms on hv03",
            act=InvokeMethod("hv03", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService", accept=(0, 6)),
            guard=(state("Running"), extra),
            done=(state("Stopped", 120),),
            before=image,
            undo=START,
            undone=(state("Running", 120),),
            undo_says="Start the service vmms on hv03 again",
        ),
        Step(
            key="start-vmms",
            description="Start the service vmms on hv03",
            act=START,
            guard=(state("Stopped"),),
            done=(state("Running", 120),),
            before=VMMS,
            repeatable=True,
            reverts=("stop-vmms",),
        ),
    )


def test_stopping_is_never_repeated_and_a_hang_is_no_failure():
    """Nothing says that a stop has failed: when time runs out, what becomes of it is not known."""
    stop, _ = restart_steps("hv03", "vmms")
    assert not stop.repeatable
    assert [check.give_up for check in stop.done] == [None]
    assert stop.before == service_state("hv03", "vmms").query


@pytest.mark.parametrize("service", ["MSMQ$web 1", "SMS_SITE_VSS_WRITER", "a' OR Name != '", "ÄÖ"])
def test_any_name_makes_a_key(service):
    stop, start = restart_steps("hv03", service)
    assert (stop.key[:5], start.key[:6]) == ("stop-", "start-")
    assert service_state("hv03", service).query.where == (Predicate("Name", "=", service),)


def test_a_name_too_long_for_a_key_makes_one_all_the_same():
    stop, start = restart_steps("hv03", "x" * 256)
    assert len(f"undo-{start.key}") <= 80
    assert new_process_step("hv03", "x" * 256).done[0].holds[1].step == stop.key


def test_services_are_read_as_their_host_lists_them():
    row = {
        "Name": "Spooler",
        "DisplayName": "Druckwarteschlange",
        "State": "Running",
        "StartMode": "Auto",
        "ProcessId": "4120",
        "AcceptStop": "TRUE",
    }
    silent = {"Name": "Acme", "DisplayName": None, "State": "Running", "StartMode": None, "AcceptStop": None}
    spooler, acme = host_services("hv03").read((row, silent))
    assert spooler == Service("Spooler", "Druckwarteschlange", "Running", "Auto", 4120, accepts_stop=True)
    assert spooler.label == "Druckwarteschlange (Spooler)"
    assert acme == Service("Acme", "", "Running", "", None, accepts_stop=None)
    assert acme.label == "Acme"


def test_dependents_are_pairs_of_names():
    def end(name, cls="Win32_Service"):
        return {"__CLASS": cls, "Name": name}

    read = service_dependents("hv03").read
    rows = (
        {"Antecedent": end("HTTP", "Win32_SystemDriver"), "Dependent": end("Spooler")},
        {"Antecedent": {"name": "EventSystem"}, "Dependent": end("SENS")},
    )
    assert read(rows) == (("HTTP", "Spooler"), ("EventSystem", "SENS"))
    for unreadable in (None, "SENS", {"__CLASS": "Win32_Service"}, {"Name": ""}):
        with pytest.raises(CellError):
            read((*rows, {"Antecedent": end("EventSystem"), "Dependent": unreadable}))


def test_the_state_is_that_of_the_service_that_was_asked_for():
    read = service_state("hv03", "vmms").read
    own, other = {"Name": "VMMS", "State": "Stopped"}, {"Name": "vmicvss", "State": "Running"}
    assert read([other, own]) == read([own]) == "Stopped"
    assert read([other]) == read([]) == ""
    with pytest.raises(ValueError, match="more than once"):
        read([own, own])
