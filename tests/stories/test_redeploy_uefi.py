"""An evicted node is laid out anew by hand: whoever is at its console reads back which disk it is, or nothing goes on."""

import json
import re

from lab.scenarios.redeploy_uefi import HOST
from lab.slack.plain_text import plain_text
from lab.world.wmi_providers.storage import disk_serial

SERIAL, SIZE, NUMBER = "Serial number of the disk", "Size of the disk", "Number of the disk in the console"
SELECTED = "Serial number of the selected disk"


async def approved(ops):
    await ops.says(f"/redeploy-uefi {HOST}")
    plan = await ops.sees(f"Erase {HOST} and reinstall Windows for UEFI?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def waits(ops, step):
    return await ops.slack.person("operator").sees(re.compile(f"is waiting for a manual step: {step}"), "hv-ops")


async def says_done(ops, step):
    await ops.clicks(await waits(ops, step), "Done")


async def reads(ops, step, **typed):
    await ops.clicks(await waits(ops, step), "Done…")
    person = ops.slack.person("operator")
    window = await person.sees_view("Confirm T-1")
    await person.submits(window, typed)
    return window


async def until_the_console(ops):
    await approved(ops)
    await waits(ops, f"Remove the SAN paths of {HOST}")
    await ops.guest_admin("Remove SAN Paths")
    await says_done(ops, f"Remove the SAN paths of {HOST}")
    await waits(ops, f"Boot {HOST} into the repair console")
    await ops.guest_admin("Shut Down hv05")
    await says_done(ops, f"Boot {HOST} into the repair console")


def entries(ops, kind):
    return [entry.data for entry in ops.ledger() if entry.ticket == "T-1" and entry.kind == kind]


async def test_every_step_is_a_persons_word_and_the_last_one_is_looked_at(play):
    async with play("redeploy-uefi") as ops:
        serial = ops.estate.do(lambda: disk_serial(ops.estate.world.node(HOST), 0))
        await until_the_console(ops)
        await reads(ops, "Find the disk of hv05", **{SERIAL: serial.upper(), SIZE: "278 GB", NUMBER: "1"})
        await reads(ops, "Select that disk in diskpart", **{SELECTED: serial, SIZE: "278 GB", NUMBER: "1"})
        await says_done(ops, "Erase that disk and make it GPT")
        await says_done(ops, "Leave the console and shut hv05 down")
        await says_done(ops, "Install Windows through F10")
        await waits(ops, "Bring hv05 back")
        await ops.guest_admin("Install for UEFI")
        await says_done(ops, "Bring hv05 back")
        done = await ops.slack.person("operator").sees(re.compile("^Done: Erase"), "hv-ops")
        assert "confirmed but not verified: step" in plain_text(done)
        said = {one.step: one.answers for one in entries(ops, "step-confirmed")}
        assert list(said) == [
            "san-paths", "console", "find-disk", "select-disk", "erase", "shut-down", "install", "answers"
        ]  # fmt: skip
        assert [(one.what, one.answer) for one in said["find-disk"]] == [
            (SERIAL, serial.upper()),
            (SIZE, "278 GB"),
            (NUMBER, "1"),
        ]
        based = {one.step: one.basis for one in entries(ops, "outcome")}
        assert based["answers"] == "changed"
        assert {based[step] for step in ("console", "find-disk", "select-disk", "erase", "shut-down", "install")} == {
            "statement"
        }
        thread = [plain_text(one) for one in ops.slack.person("viewer").thread(done)]
        assert any(f"{SERIAL}: “{serial.upper()}”" in one for one in thread)
        await ops.says(f"/check-boot-layout {HOST}")
        await ops.sees(f"{HOST}: UEFI and GPT with EFI and reserved partition")


async def test_another_disk_in_the_console_stops_it_there(play):
    """Only the installation stick is listed, and it is disk 0: the controller's driver is missing."""
    async with play("redeploy-uefi") as ops:
        serial = ops.estate.do(lambda: disk_serial(ops.estate.world.node(HOST), 0))
        await until_the_console(ops)
        await reads(ops, "Find the disk of hv05", **{SERIAL: "C3072E18 <!channel>", SIZE: "14 GB", NUMBER: "0"})
        answer = await ops.sees("T-1 stops at step 3")
        told = plain_text(answer)
        for fact in (f"must be {serial}", "“14 GB” was typed, and it must be 278 GB", "lacks the driver of the disk controller", "no later step starts"):  # fmt: skip
            assert fact in told
        assert "select disk" not in told
        assert "clean" not in told
        assert "<!channel>" not in json.dumps(answer.blocks)  # as text it mentions nobody
        waiting = plain_text(await waits(ops, "Find the disk of hv05"))
        assert "“clean”" not in waiting
        assert [one.step for one in entries(ops, "intent")] == ["san-paths", "console", "find-disk"]
        (refused,) = entries(ops, "refused")
        assert "14 GB" in refused.reason
        assert refused.category == "blocked"
        # once the driver is loaded, the right disk is there
        await reads(ops, "Find the disk of hv05", **{SERIAL: serial, SIZE: "278 GB", NUMBER: "1"})
        await waits(ops, "Select that disk in diskpart")


async def test_a_window_counts_for_the_step_that_it_was_opened_for(play):
    async with play("redeploy-uefi") as ops:
        serial = ops.estate.do(lambda: disk_serial(ops.estate.world.node(HOST), 0))
        await until_the_console(ops)
        await ops.clicks(await waits(ops, "Find the disk of hv05"), "Done…")
        person = ops.slack.person("operator")
        window = await person.sees_view("Confirm T-1")
        window.payload["callback_id"] = window.payload["callback_id"].replace(":3", ":4")
        await person.submits(window, {SERIAL: serial, SIZE: "278 GB", NUMBER: "1"})
        await ops.recorded("refused", 1)
        (refused,) = entries(ops, "refused")
        assert "pressed outside the message of T-1" in refused.reason
        assert [one.step for one in entries(ops, "step-confirmed")] == ["san-paths", "console"]


async def test_a_shared_disk_that_is_still_there_is_seen(play):
    async with play("redeploy-uefi") as ops:
        await approved(ops)
        await says_done(ops, f"Remove the SAN paths of {HOST}")
        await ops.recorded("step-confirmed", 1)
        await ops.slack.person("operator").sees(re.compile("until hv05 sees no Fibre Channel or iSCSI disk"), "hv-ops")
        assert [one.step for one in entries(ops, "intent")] == ["san-paths"]


async def test_a_node_that_is_still_in_its_cluster_is_refused(play):
    async with play("boot-layout") as ops:
        await ops.says(f"/redeploy-uefi {HOST}")
        told = plain_text(await ops.sees("No plan yet for hv05"))
        assert "hv05 is still a cluster node (up): drain it first, then evict it" in told
        assert "Virtual machines are registered on hv05" in told
        assert "Drain Node…" in told


async def test_a_node_that_starts_by_uefi_is_left_alone(play):
    async with play("healthy") as ops:
        await ops.says("/redeploy-uefi hv05")
        await ops.sees("Nothing to redeploy")
