"""SCVMM believes a virtual machine on the wrong host: from the alert to who it really is."""

import asyncio

from bot.vocabulary.actions import Update, Updates
from bot.vocabulary.questions import fields
from lab.slack.plain import plain_text
from lab.sqlserver.trouble import Mishap
from lab.world.vmm import MISSING, host_id, object_id


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
            "VMM 2016 or later",
        ):
            assert fact in told


async def test_vmms_own_refresh_does_not_help_and_a_moved_record_does(play):
    async with play("missing-vm") as ops:
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("crm-01 is missing in VMM")
        world = ops.estate.world
        guest = world.guest("crm-01")
        was = fields(HostId=str(host_id(world.node("hv04"))), ObjectState=MISSING)
        becomes = fields(HostId=str(host_id(guest.node)), ObjectState=0)
        fix = Updates("vmm", "vmm", (Update("tbl_WLC_VObject", fields(ObjectId=str(object_id(guest))), was, becomes),))
        before = await ops.engine.reach.update(fix)
        assert before.rows[0]["ObjectState"] == str(MISSING)
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("vmm: VMM and hosts agree about 120 virtual machines")


async def test_a_machine_that_moves_to_where_vmm_believes_is_found_again(play):
    async with play("missing-vm") as ops:
        world = ops.estate.world
        await asyncio.to_thread(ops.estate.do, lambda: setattr(world.guest("crm-01"), "node", world.node("hv04")))
        await ops.guest_admin("Refresh in VMM")
        await ops.says("/find-missing-vms vmm")
        await ops.sees("VMM and hosts agree about 120 virtual machines")


async def test_a_database_that_drops_the_connection_is_unknown(play):
    async with play("missing-vm") as ops:
        ops.estate.database.trouble.mishaps.append(Mishap("drop after", "INFORMATION_SCHEMA"))
        await ops.says("/find-missing-vms vmm")
        told = plain_text(await ops.sees("vmm: VMM's database did not answer"))
        assert "UNKNOWN" in told
        await ops.says("/find-missing-vms vmm")
        await ops.sees("crm-01 is missing in VMM")


async def test_a_cluster_is_no_vmm_server(play):
    async with play("missing-vm") as ops:
        await ops.says("/find-missing-vms prod")
        await ops.sees("prod is a cluster; this takes a vmm.")
        await ops.says("/check-writers vmm")
        await ops.sees("vmm is a vmm; this takes a cluster or a host.")
