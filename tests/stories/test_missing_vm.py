"""SCVMM believes a virtual machine on the wrong host: from the alert to who it really is."""

import asyncio
import os
import re
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest

from bot.api.actions import RowTransaction, Update
from bot.api.queries import make_params
from bot.transport.errand import Errand, carrying_out
from lab.slack.plain_text import plain_text
from lab.sqlserver.fault_injection import Fault, Trouble
from lab.world import services
from lab.world.vmm import MISSING, host_id, object_id

DONE = "^T-1 DONE|^Done: Fix missing"
BY_DATABASE = "/fix-missing-vm crm-01 --by database"


def believed(ops):
    """On which host VMM's record says the guest is, and in which state."""
    return ops.estate.do(lambda: ops.estate.world.vmm.believes(ops.estate.world.guest("crm-01")))


def service(ops):
    return ops.estate.do(lambda: ops.estate.world.vmm.host.service("VMMService").state)


def story(ops, ticket="T-1"):
    """The entries of a ticket, oldest first."""
    return [entry for entry in ops.ledger() if entry.ticket == ticket]


def steps(ops, kind, ticket="T-1"):
    return [entry.fields for entry in story(ops, ticket) if entry.kind == kind]


async def shown(ops, text, who="operator"):
    """The ticket's own message, which is edited in place, as soon as it says so."""
    return await ops.slack.person(who).sees(re.compile(text), "hv-ops")


async def approved(ops, line=BY_DATABASE, ticket="T-1"):
    await ops.says(line)
    plan = await ops.sees(f"*{ticket}* · requested by", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def refreshes(ops, ticket):
    """Do the step by hand: refresh in VMM, and say so."""
    waits = await shown(ops, f"{ticket} is waiting for a manual step: Refresh the virtual machine")
    await ops.guest_admin("Refresh in VMM")
    await ops.clicks(waits, "Done")


async def test_the_machine_is_found_by_its_id_with_what_to_try(play):
    async with play("missing-vm") as ops:
        await ops.says("/find-missing-vms vmm")
        told = plain_text(await ops.sees("vmm: crm-01 is missing in VMM, and running on hv06"))
        for fact in (
            "10 of 10 nodes answered",
            "VMM says Missing (220) on hv04; it is running on hv06.",
            "Read-SCVirtualMachine -Force",
            "live-migrate it to hv04",
            "deletes its files",
            "ended as Failed",
            "119 virtual machines",
        ):
            assert fact in told


async def test_vmms_own_refresh_does_not_help_and_a_moved_record_does(play):
    async with play("missing-vm") as ops:
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("crm-01 is missing in VMM")
        world = ops.estate.world
        guest = world.guest("crm-01")
        was = make_params(HostId=str(host_id(world.node("hv04"))), ObjectState=MISSING)
        becomes = make_params(HostId=str(host_id(guest.node)), ObjectState=0)
        fix = RowTransaction(
            "vmm", "vmm", (Update("tbl_WLC_VObject", make_params(ObjectId=str(object_id(guest))), was, becomes),)
        )
        with carrying_out(Errand("T-1", "move", "0" * 64, "move", (fix,))):  # a worker does nothing else
            before = await ops.engine.target_client.update(fix)
        assert before.rows[0]["ObjectState"] == str(MISSING)
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("vmm: VMM and hosts agree about 120 virtual machines")


async def test_an_undo_leaves_vmm_running_where_its_row_is_no_longer_as_it_was_left(play):
    """The machine was shut down since, and VMM noted it: the row would not be restored, and VMM would stay stopped."""
    async with play("missing-vm") as ops:
        await approved(ops)
        await refreshes(ops, "T-1")
        done = await shown(ops, DONE)
        world = ops.estate.world
        ops.estate.do(lambda: setattr(world.guest("crm-01"), "state", "off"))
        ops.estate.do(world.vmm.refresh)
        await ops.clicks(done, "Undo…")
        await ops.clicks(await ops.sees("*T-2* · requested by", channel="hv-ops"), "Approve", who="approver")
        await ops.recorded("failed", 1)
        (failed,) = steps(ops, "failed", "T-2")
        assert "not started: not met: VMM vmm records the host where it really is, and the state 0" in failed["reason"]
        assert (steps(ops, "intent", "T-2"), service(ops)) == ([], "Running")


async def test_an_undo_that_was_stopped_between_is_ended_by_one_that_only_starts_the_service(play, monkeypatch):
    """Its row is restored and VMM's service is stopped: another stop and another restore are refused by their guards."""
    async with play("missing-vm") as ops:
        await approved(ops)
        await refreshes(ops, "T-1")
        done = await shown(ops, DONE)
        restore = ops.engine.target_client.update

        async def restore_and_stop(action, seconds):
            restored = await restore(action, seconds)
            await ops.clicks(await shown(ops, "^T-2 crm-01: step 2 of 3"), "Stop After Step")
            await ops.recorded("cancel-asked", 1)
            return restored

        monkeypatch.setattr(ops.engine.target_client, "update", restore_and_stop)
        await ops.clicks(done, "Undo…")
        await ops.clicks(await ops.sees("*T-2* · requested by", channel="hv-ops"), "Approve", who="approver")
        await ops.recorded("cancelled", 1)
        assert (believed(ops), service(ops)) == (("hv04", MISSING), "Stopped")

        await ops.clicks(done, "Undo…")
        again = await ops.sees("*T-3* · requested by", channel="hv-ops")
        told = plain_text(again)
        assert "*Impact:* Start the service VMMService on vmm01 again." in told
        assert "Already done by T-2: Stop the service VMMService on vmm01 again; Restore the previous host" in told
        await ops.clicks(again, "Approve", who="approver")
        await ops.recorded("done", 2)
        assert [one["step"] for one in steps(ops, "intent", "T-3")] == ["undo-stop-vmmservice"]
        assert (believed(ops), service(ops)) == (("hv04", MISSING), "Running")


async def test_a_machine_that_moves_to_where_vmm_believes_is_found_again(play):
    async with play("missing-vm") as ops:
        world = ops.estate.world
        await asyncio.to_thread(ops.estate.do, lambda: setattr(world.guest("crm-01"), "node", world.node("hv04")))
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("VMM and hosts agree about 120 virtual machines")


async def test_a_database_that_drops_the_connection_is_unknown(play):
    async with play("missing-vm") as ops:
        ops.estate.database.trouble.faults.append(Fault("drop after", "INFORMATION_SCHEMA"))
        await ops.says("/find-missing-vms vmm")
        told = plain_text(await ops.sees("vmm: VMM's database did not answer"))
        assert "UNKNOWN" in told
        await ops.says("/find-missing-vms vmm")
        await ops.sees("crm-01 is missing in VMM")


async def test_a_cluster_is_no_vmm_server(play):
    async with play("missing-vm") as ops:
        await ops.says("/find-missing-vms prod")
        await ops.sees("prod is a cluster; this command takes a VMM server.")
        await ops.says("/check-writers vmm")
        await ops.sees("vmm is a VMM server; this command takes a cluster or a host.")


async def test_the_record_is_mended_in_the_database_and_put_back(play):
    async with play("missing-vm") as ops:
        await ops.says("/find-missing-vms vmm")
        answer = await ops.sees("vmm: crm-01 is missing in VMM, and running on hv06")
        await ops.clicks(answer, "Change the Database…")
        plan = await ops.sees("*T-1* · requested by", channel="hv-ops")
        told = plain_text(plan)
        for fact in (
            "All 6 checks passed",
            "Stop the service VMMService on vmm01",
            "Change one row of tbl_WLC_VObject in VMM vmm: set the host to hv06 and the state to 0",
            "Start the service VMMService on vmm01",
            "If one of these steps fails, the completed ones are rolled back",
        ):
            assert fact in told
        await ops.clicks(plan, "Approve")  # the requester may not
        await ops.sees("so another approver must decide")
        assert service(ops) == "Running"
        await ops.clicks(plan, "Approve", who="approver")
        await refreshes(ops, "T-1")
        done = await shown(ops, DONE)
        assert (believed(ops), service(ops)) == (("hv06", 0), "Running")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("vmm: VMM and hosts agree about 120 virtual machines")

        vmm = ops.estate.world.vmm
        hosts = {name: str(host_id(ops.estate.world.node(name))).upper() for name in ("hv04", "hv06")}
        changed = next(one for one in steps(ops, "intent") if one["step"] == "record")
        assert [(row["HostId"], row["ObjectState"]) for row in changed["before"]] == [(hosts["hv04"], "220")]
        after = next(one for one in steps(ops, "outcome") if one["step"] == "record")["after"]
        assert [(row["HostId"], row["ObjectState"]) for row in after] == [(hosts["hv06"], "0")]

        await ops.clicks(done, "Undo…")
        back = await ops.sees("*T-2* · requested by", channel="hv-ops")
        assert "Undo T-1" in plain_text(back)
        assert believed(ops) == ("hv06", 0)  # proposed is not done
        await ops.clicks(back, "Approve", who="approver")
        await shown(ops, "^T-2 DONE|^Done: Undo T-1")
        assert [one["step"] for one in steps(ops, "intent", "T-2")] == [
            "undo-start-vmmservice",
            "undo-record",
            "undo-stop-vmmservice",
        ]
        assert (believed(ops), service(ops)) == (("hv04", MISSING), "Running")
        assert vmm.stuck  # as lost as before
        told = [(entry.kind, entry.actor) for entry in story(ops)]
        assert ("approved", told[0][1]) not in told
        await ops.says("/find-missing-vms vmm")
        await ops.sees("crm-01 is missing in VMM")


@pytest.mark.long
async def test_a_live_migration_by_hand_is_proved_and_vmms_next_look_is_waited_for(play):
    async with play("missing-vm") as ops:
        world = ops.estate.world
        await approved(ops, "/fix-missing-vm crm-01 --by migration")
        waits = await shown(ops, "T-1 is waiting for a manual step: Live-migrate the virtual machine from hv06 to hv04")
        assert "Don't use a quick migration" in plain_text(waits)
        await asyncio.to_thread(ops.estate.do, lambda: setattr(world.guest("crm-01"), "node", world.node("hv04")))
        await ops.guest_admin("Refresh in VMM")  # what VMM does by itself every half hour
        await ops.clicks(waits, "Done")
        done = plain_text(await shown(ops, "^Done: Fix missing VM crm-01"))
        assert re.search(r"\*Before, .*:\* VMM vmm shows crm-01 on hv04, Missing \(220\); it is running on hv06", done)
        assert re.search(r"\*After, .*:\* .*ObjectState 0", done)
        assert believed(ops)[1] == 0


def narrow(ops, role):
    """That role holds on both clusters only, not on VMM's own host any more."""
    path = ops.estate.settings_path
    section = re.search(rf"\[roles\.{role}\]\n(?:[^\[\n].*\n)+", path.read_text())[0]
    path.write_text(path.read_text().replace(section, section.replace('"*"', '"prod", "branch"')))


async def test_whoever_has_no_role_on_vmms_own_host_stops_no_service_there(play):
    async with play("missing-vm") as ops:
        await ops.ends()
        narrow(ops, "approver")
        await ops.starts()
        await ops.says(BY_DATABASE)
        plan = await ops.sees("*T-1* · requested by", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("needs the approver role on vmm01", who="approver")
        assert [entry.kind for entry in story(ops) if entry.kind != "shown"] == ["proposed", "clicked", "refused"]

        await ops.ends()
        narrow(ops, "operator")
        await ops.starts()
        await ops.says(BY_DATABASE)
        await ops.sees("needs the operator role on vmm01")
        assert [entry.kind for entry in ops.ledger()].count("proposed") == 1
        assert service(ops) == "Running"
        assert believed(ops)[1] == MISSING


async def test_vmms_own_refresh_is_proposed_first_and_says_when_it_did_not_help(play):
    async with play("missing-vm") as ops:
        await ops.says("/find-missing-vms vmm")
        answer = await ops.sees("crm-01 is missing in VMM")
        await ops.clicks(answer, "Refresh in VMM…")
        plan = await ops.sees("*T-1* · requested by", channel="hv-ops")
        assert "Refresh the virtual machine in VMM vmm" in plain_text(plan)  # the command stands in the thread
        await ops.clicks(plan, "Approve", who="approver")
        await shown(ops, "T-1 is waiting for a manual step")
        assert believed(ops) == ("hv04", MISSING)


async def test_a_row_that_somebody_changed_before_the_start_voids_the_plan(play):
    async with play("missing-vm") as ops:
        await ops.says(BY_DATABASE)
        plan = await ops.sees("*T-1* · requested by", channel="hv-ops")
        vmm, world = ops.estate.world.vmm, ops.estate.world
        ops.estate.do(lambda: vmm.lose(world.guest("crm-01"), world.node("hv05"), "another migration"))
        await ops.clicks(plan, "Approve", who="approver")
        void = plain_text(await shown(ops, "^Void, the plan changed"))
        assert f"HostId='{str(host_id(world.node('hv05'))).upper()}'" in void
        assert "Nothing was done." in void
        assert (service(ops), steps(ops, "intent")) == ("Running", [])


@pytest.mark.long
async def test_a_row_that_somebody_changed_meanwhile_changes_nothing_and_the_service_runs_again(play, monkeypatch):
    """Behind the bot's back, at the moment in which the service has stopped."""
    async with play("missing-vm") as ops:
        vmm, world, stopped = ops.estate.world.vmm, ops.estate.world, services._stopped

        def meddle(*told):
            stopped(*told)
            vmm.lose(world.guest("crm-01"), world.node("hv05"), "another migration")

        monkeypatch.setattr(services, "_stopped", meddle)
        await approved(ops)
        failed = plain_text(await shown(ops, "^Failed at step 2"))
        assert "hvops undid the steps of this group." in failed
        assert [one["step"] for one in steps(ops, "intent")] == ["stop-vmmservice", "undo-stop-vmmservice"]
        assert (believed(ops), service(ops)) == (("hv05", MISSING), "Running")


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        pytest.param(Fault("drop before", "COMMIT"), "hv04", marks=pytest.mark.long),
        (Fault("drop after", "COMMIT"), "hv06"),
    ],
)
async def test_a_connection_lost_in_the_middle_is_looked_at_and_nothing_is_half_done(play, monkeypatch, fault, ends):
    """Rolled back with its connection, it is begun again after its deadline; committed, it is found done."""
    monkeypatch.setattr("commands.vmm.repair.TRANSACTION", 3)
    async with play("missing-vm") as ops:
        ops.estate.database.trouble.faults.append(fault)
        await approved(ops)
        await refreshes(ops, "T-1")
        await shown(ops, DONE)
        assert (believed(ops), service(ops)) == (("hv06", 0), "Running")
        begun = [one["attempt"] for one in steps(ops, "intent") if one["step"] == "record"]
        assert begun == ([1, 2] if ends == "hv04" else [1])
        outcome = next(one for one in steps(ops, "outcome") if one["step"] == "record")
        assert "made as a whole or not at all" in outcome["reply"] or ends == "hv04"


class Gone(Trouble):
    """A database that goes away with the commit, and comes back when it is told to."""

    def __init__(self):
        super().__init__()
        self.has_met_a_commit = self.is_back = False

    def inject(self, statement):
        self.has_met_a_commit = self.has_met_a_commit or "COMMIT" in statement
        return "drop before" if self.has_met_a_commit and not self.is_back else None


@pytest.mark.long
async def test_a_database_that_is_gone_in_the_middle_is_unknown_until_somebody_looks(play, monkeypatch):
    # Behind a site's worker half of it has to do until the act begins, the note before it included.
    monkeypatch.setattr("commands.vmm.repair.TRANSACTION", 10 if os.environ.get("SITE") else 2)
    async with play("missing-vm") as ops:
        ops.estate.database.trouble = trouble = Gone()
        await approved(ops)
        waits = await shown(ops, "^Interrupted at step 2: someone must decide")
        assert "Outcome unknown: step 2" in plain_text(waits).replace("*", "")
        assert (believed(ops), service(ops)) == (("hv04", MISSING), "Stopped")  # nothing half done, nothing pretended
        trouble.is_back = True
        await ops.clicks(waits, "Go On…", who="approver")
        await refreshes(ops, "T-1")
        await shown(ops, DONE)
        assert (believed(ops), service(ops)) == (("hv06", 0), "Running")
        assert [one["attempt"] for one in steps(ops, "intent") if one["step"] == "record"] == [1, 3]


@pytest.mark.long
async def test_a_row_that_somebody_else_has_locked_is_told_as_such(play, monkeypatch):
    monkeypatch.setattr("commands.vmm.repair.TRANSACTION", 3)
    async with play("missing-vm") as ops:
        row = ops.estate.world.vmm.record(ops.estate.world.guest("crm-01"))
        row.holder, row.mode = SimpleNamespace(process=99, lock_timeout=-1, waits_for=None), "U"
        await approved(ops)
        await shown(ops, "^Failed at step 2")
        outcome = next(one for one in steps(ops, "outcome") if one["step"] == "record")
        assert "somebody else has that row locked" in outcome["reply"]
        assert outcome["not_executed"] is True
        assert (believed(ops), service(ops)) == (("hv04", MISSING), "Running")


async def test_two_machines_of_one_name_are_refused_with_what_to_write(play):
    async with play("missing-vm") as ops:
        vmm, world = ops.estate.world.vmm, ops.estate.world
        ops.estate.do(lambda: vmm.objects.change(vmm.record(world.guest("crm-02")), Name="CRM-01"))
        await ops.says(BY_DATABASE)
        told = plain_text(await ops.sees("No plan for “crm-01”: 2 records could be meant"))
        assert f"/fix-missing-vm {str(object_id(world.guest('crm-01'))).upper()} --vmm vmm" in told
        await approved(ops, f"/fix-missing-vm {object_id(world.guest('crm-01'))} --by database")


async def test_two_records_of_one_machine_are_refused(play):
    async with play("missing-vm") as ops:
        vmm, world = ops.estate.world.vmm, ops.estate.world
        guest = world.guest("crm-01")

        def twice():
            new = uuid.uuid4()
            told = vmm.objects.read(vmm.record(guest))
            vmm.objects.insert(**(told | {"ObjectId": new, "Name": "crm-01 (2)"}))
            vmm.instances.insert(VMInstanceId=new, ObjectId=new, VMId=guest.vm_id.upper())

        ops.estate.do(twice)
        await ops.says(BY_DATABASE)
        await ops.sees("VMM has more than one record of this machine, and nobody can tell which one is right.")
        assert not [entry for entry in ops.ledger() if entry.kind == "proposed"]


async def test_an_unknown_schema_gets_a_draft_and_no_action(play):
    async with play("missing-vm") as ops:
        table = ops.estate.world.vmm.objects
        ops.estate.do(lambda: setattr(table, "columns", tuple(one for one in table.columns if one.name != "HostId")))
        await ops.says(BY_DATABASE)
        told = plain_text(await ops.sees("No plan: VMM vmm is a version that hvops does not know"))
        assert "Its schema lacks tbl_wlc_vobject.hostid" in told
        assert "Draft, not run, for a schema that hvops does not know" in told
        assert not [entry for entry in ops.ledger() if entry.kind == "proposed"]


async def test_without_a_recent_backup_there_is_no_plan(play):
    async with play("missing-vm") as ops:
        sets = ops.estate.world.vmm.instance.databases["msdb"].table("backupset")
        old = (ops.estate.world.now - timedelta(hours=25)).replace(tzinfo=None)
        ops.estate.do(lambda: [sets.change(row, backup_finish_date=old) for row in sets.rows])
        await ops.says(BY_DATABASE)
        told = plain_text(await ops.sees("No plan yet for crm-01"))
        assert "The database of vmm has no full backup less than 24 hours old; make one first" in told
        assert "5 of 6 checks passed" in told
        assert not [entry for entry in ops.ledger() if entry.kind == "proposed"]


async def test_hvops_moves_the_machine_itself_once_it_has_proved_that_it_can(play, hurried):
    async with play("missing-vm") as ops:
        await approved(ops, "/prove-migration crm-02 --on prod")
        await shown(ops, "^Done: Prove live migration on prod")
        await approved(ops, "/fix-missing-vm crm-01 --by migration", "T-2")
        await ops.recorded("outcome", 3)
        moved = next(entry for entry in story(ops, "T-2") if entry.kind == "outcome")
        assert (moved.data.step, moved.data.result, moved.data.basis) == ("move", "done", "changed")
        assert ops.estate.do(lambda: ops.estate.world.guest("crm-01").node.name) == "hv04"
        assert ops.estate.do(lambda: ops.estate.world.guest("crm-01").state) == "running"
