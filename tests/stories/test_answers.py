"""What no source answered is answered by an approver, in their own words, and never by who asked."""

import re

from lab.slack.plain_text import plain_text
from lab.world.overrides import ClassRows

NAME = "memory that crm-03 holds"
SAID = "Its console shows 4 GB assigned, hv01 has 40 GB free"
SUMMARY = ("root/virtualization/v2", "msvm_summaryinformation")


def nobody_tells_its_memory(ops, guest: str = "crm-03") -> ClassRows:
    """The host counts a guest's memory, and does not tell how much: it may be starting, or its integration hangs."""
    row = {"Name": ops.estate.world.guest(guest).vm_id.upper(), "MemoryUsage": None}
    silent = ClassRows([row], by=("Name",))
    rows = ops.estate.do(lambda: ops.estate.world.machine("hv03")).overrides.rows
    ops.estate.do(lambda: rows.setdefault(SUMMARY, []).append(silent))
    return silent


async def test_a_drain_with_one_unknown_is_answered_by_an_approver(play):
    async with play("healthy") as ops:
        nobody_tells_its_memory(ops)
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        told = plain_text(plan)
        assert f"{NAME}: no answer" in told
        assert "1 gate that could prevent a drain is not known" in told

        await ops.clicks(plan, "Approve With 1 Unknown…")  # the requester
        await ops.sees("so another approver must decide")
        await ops.clicks(plan, "Approve With 1 Unknown…", who="approver")
        approver = ops.slack.person("approver")
        window = await approver.sees_view("Approve T-1")
        await approver.submits(window, {NAME: SAID})
        done = await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        statement = f"<@U0APPROVER> answered: {NAME}: “{SAID}”."
        assert statement in plain_text(done)
        thread = [plain_text(one) for one in ops.slack.person("viewer").thread(plan)]
        assert any("Approved by <@U0APPROVER>" in one and statement in one for one in thread)
        (approved,) = [entry for entry in ops.ledger() if entry.kind == "approved"]
        assert approved.fields["answers"] == [{"what": NAME, "answer": SAID}]


async def test_an_unknown_that_comes_up_after_the_approval_voids_it(play):
    async with play("healthy") as ops:
        nobody_tells_its_memory(ops)
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        approver = ops.slack.person("approver")
        await ops.clicks(plan, "Approve With 1 Unknown…", who="approver")
        window = await approver.sees_view("Approve T-1")
        nobody_tells_its_memory(ops, "test-tfs-01")
        await approver.submits(window, {NAME: SAID})
        void = await ops.slack.person("operator").sees(re.compile("^Void, the plan changed"), "hv-ops")
        assert "no approver answered for it: memory that test-tfs-01 holds" in plain_text(void)
        await ops.sees("Approve With 2 Unknowns…", channel="hv-ops")
        assert "started" not in [entry.kind for entry in ops.ledger()]


async def test_settings_can_refuse_every_unknown(play):
    async with play("healthy") as ops:
        await ops.ends()
        path = ops.estate.settings_path
        path.write_text(re.sub(r"^\[policy\]$", '[policy]\nunknown = "refuse"', path.read_text(), flags=re.MULTILINE))
        await ops.starts()
        nobody_tells_its_memory(ops)
        await ops.says("/drain-node hv03")
        answer = plain_text(await ops.sees("No plan yet for hv03"))
        assert f"{NAME}: no answer" in answer
        assert "proposed" not in [entry.kind for entry in ops.ledger()]
