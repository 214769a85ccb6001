"""A node is drained: proposed by an operator, decided by an approver beside the whole plan, done, and proved."""

import re

from lab.slack.plain import plain_text


async def test_a_drain_is_proposed_approved_and_done(play):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        told = plain_text(plan)
        for fact in ("T-1", "one of you decides (not the requester)", "Exactly this runs:", "MSCluster_Node"):
            assert fact in told
        assert plan in ops.slack.person("viewer").messages("hv-ops")

        await ops.clicks(plan, "Approve")  # the requester
        await ops.sees("you asked, so somebody else of the approvers decides")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("T-1: approved", who="approver")
        done = await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        assert done.ts == plan.ts
        await ops.recorded("done", 1)
        thread = await ops.slack.person("operator").sees("T-1 Done: Drain node hv03", "hv-ops")
        assert thread.thread_ts == plan.ts
        assert "<@U0OPERATOR> <@U0APPROVER>" in thread.text
        kinds = [entry.kind for entry in ops.ledger()]
        assert [kinds.count(one) for one in ("proposed", "approved", "started", "done")] == [1, 1, 1, 1]
        assert kinds.count("intent") == kinds.count("outcome")
        assert kinds.index("clicked") < kinds.index("refused") < kinds.index("approved")


async def test_a_bot_that_was_restarted_still_knows_its_proposal(play):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv04")
        plan = await ops.sees("Drain node hv04?", channel="hv-ops")
        await ops.ends()
        await ops.starts()
        await ops.clicks(plan, "Reject…", who="approver")
        window = await ops.slack.person("approver").sees_view("Reject T-1")
        await ops.slack.person("approver").submits(window, {"Why?": "Not during the backup window."})
        rejected = await ops.slack.person("operator").sees(re.compile("^Rejected: Drain node hv04"), "hv-ops")
        assert rejected.ts == plan.ts
        assert "Not during the backup window." in plain_text(rejected)
        await ops.recorded("declined", 1)
        assert "started" not in [entry.kind for entry in ops.ledger()]


async def test_no_drain_while_the_cluster_is_being_updated(play):
    async with play("healthy") as ops:
        node = ops.estate.world.node("hv05")
        ops.estate.do(lambda: setattr(node.cluster, "updating_from", node))
        await ops.says("/drain-node hv03")
        answer = await ops.sees("No plan yet for hv03")
        assert "No run of Cluster-Aware Updating works on prod" in plain_text(answer)
        assert "hv05 tells of one" in plain_text(answer)
        assert "proposed" not in [entry.kind for entry in ops.ledger()]
