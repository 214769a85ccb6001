"""A guest is moved again and again while a backup window opens, or a freeze begins: between two moves it waits for the end.

The clock of hvops is moved ahead to get there: what is asked of machines stays as it is, and nothing sleeps for hours.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest

from lab.slack.plain_text import plain_text
from lab.world.roles import guest_resources

DONE = re.compile("^Done: Move crm-04 live")
COUNT = 4


class Ahead:
    """The clock of hvops, some time ahead of that of the machines."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


@pytest.fixture
def ahead(monkeypatch):
    clock = Ahead()
    monkeypatch.setattr("bot.services._now", clock.now)
    return clock


def window(kind, opens, closes, **more):
    """A window of prod in the inventory, once, in UTC."""
    return {
        "[window]": [
            {
                "name": "nightly",
                "kind": kind,
                "scope": ["prod"],
                "from": f"{opens:%Y-%m-%d %H:%M}",
                "to": f"{closes:%Y-%m-%d %H:%M}",
                "zone": "UTC",
                **more,
            }
        ]
    }


def minute(at):
    return at.replace(second=0, microsecond=0)


async def soaking(ops, count=COUNT):
    await ops.says("/prove-migration crm-04 --to hv02")
    plan = await ops.sees("Prove live migration on prod with crm-04?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    await ops.recorded("done", 1)
    await ops.says(f"/soak-migrations crm-04 {count} --between hv06 hv02")
    plan = await ops.sees(f"Move crm-04 live {count} times between hv06 and hv02?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


def moved(ops):
    return [
        (entry.data.step, entry.data.round)
        for entry in ops.ledger()
        if entry.kind == "outcome" and entry.data.step in ("there", "back") and entry.data.result == "done"
    ]


@pytest.mark.long
async def test_a_backup_window_that_opens_meanwhile_is_waited_for_and_the_count_goes_on(play, hurried, ahead):
    opens = minute(datetime.now(UTC)) + timedelta(hours=3)
    closes = opens + timedelta(hours=5)
    async with play("healthy", window("backup", opens, closes)) as ops:
        plan = await soaking(ops)
        told = plain_text(plan)
        assert f"Next window: backup “nightly” on prod opens {opens.day} {opens:%b %Y %H:%M} (UTC)" in told
        assert "waits while a backup window or a freeze is open" in told
        await ops.recorded("outcome", 2 + 4 + 2)  # the proof, the baselines, one move

        ahead.by = opens - datetime.now(UTC) + timedelta(seconds=1)
        until = f"{closes.day} {closes:%b %Y %H:%M}"
        card = plain_text(
            await ops.slack.person("operator").sees(f"waiting: backup “nightly” on prod, until {until} (UTC)", "hv-ops")
        )
        assert "T-2" in card
        before = moved(ops)
        assert 1 <= len(before) < COUNT

        ahead.by = closes - datetime.now(UTC) + timedelta(seconds=1)
        said = plain_text(await ops.slack.person("operator").sees(DONE, "hv-ops"))
        assert f"{COUNT} of {COUNT} live migrations done" in said
        rounds = [(step, number) for number in range(1, COUNT // 2 + 1) for step in ("there", "back")]
        assert moved(ops) == rounds
        assert moved(ops)[: len(before)] == before
        attempts = {entry.data.attempt for entry in ops.ledger() if entry.kind == "intent" and entry.ticket == "T-2"}
        assert attempts == {1}, "it waited in one and the same run"


@pytest.mark.long
async def test_a_freeze_that_begins_meanwhile_is_waited_for_and_others_have_the_lock(play, hurried, ahead):
    begins = minute(datetime.now(UTC)) + timedelta(hours=3)
    ends = begins + timedelta(hours=6)
    async with play("healthy", window("freeze", begins, ends)) as ops:
        await soaking(ops)
        await ops.recorded("outcome", 2 + 4 + 2)
        ahead.by = begins - datetime.now(UTC) + timedelta(seconds=1)
        await ops.slack.person("operator").sees("waiting: freeze “nightly” on prod, until ", "hv-ops")
        before = moved(ops)

        await ops.says("/drain-node hv04")
        plan = await ops.sees("A freeze is in force.", channel="hv-ops")
        await ops.clicks(plan, "Override Freeze and Approve…", who="approver")
        approver = ops.slack.person("approver")
        view = await approver.sees_view("Say why this cannot wait")
        (name,) = [block["label"]["text"] for block in view.blocks if block["type"] == "input"]
        await approver.submits(view, {name: "hv04 lost a fan and heats up"})
        await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv04"), "hv-ops")
        assert moved(ops) == before, "the override is of the drain alone"

        ahead.by = ends - datetime.now(UTC) + timedelta(seconds=1)
        said = plain_text(await ops.slack.person("operator").sees(DONE, "hv-ops"))
        assert f"{COUNT} of {COUNT} live migrations done" in said
        assert len(moved(ops)) == COUNT


@pytest.mark.long
async def test_whoever_stops_it_while_it_waits_does_not_wait_for_the_window(play, hurried, ahead):
    opens = minute(datetime.now(UTC)) + timedelta(hours=3)
    async with play("healthy", window("backup", opens, opens + timedelta(hours=5))) as ops:
        await soaking(ops)
        await ops.recorded("outcome", 2 + 4 + 2)
        ahead.by = opens - datetime.now(UTC) + timedelta(seconds=1)
        card = await ops.slack.person("operator").sees("waiting: backup “nightly” on prod", "hv-ops")
        before = moved(ops)
        await ops.clicks(card, "Stop After Step")
        await ops.slack.person("operator").sees(re.compile("^Stopped at step [0-9]+: Move crm-04 live"), "hv-ops")
        assert moved(ops) == before


@pytest.mark.long
async def test_another_machine_that_has_the_resource_by_then_is_not_moved(play, hurried, ahead):
    """As after a restore beside the old machine: while the run waits, the cluster's names become those of another guest."""
    opens = minute(datetime.now(UTC)) + timedelta(hours=3)
    closes = opens + timedelta(hours=5)
    async with play("healthy", window("backup", opens, closes)) as ops:
        await soaking(ops, 8)
        await ops.recorded("outcome", 2 + 4 + 2)
        ahead.by = opens - datetime.now(UTC) + timedelta(seconds=1)
        await ops.slack.person("operator").sees("waiting: backup “nightly” on prod", "hv-ops")
        before = moved(ops)

        def swap():
            guest = ops.estate.world.guest("crm-04")
            other = next(one for one in guest.node.guests if one is not guest and one.state == "running")
            names = [guest_resources(one)[1].name for one in (other, guest)]
            guest.group, other.group = other.group, guest.group
            guest.resource, other.resource = names
            ops.estate.world.asked.clear()
            return other, other.node.name

        other, node = ops.estate.do(swap)
        ahead.by = closes - datetime.now(UTC) + timedelta(seconds=1)
        failed = await ops.slack.person("operator").sees(
            re.compile("^Failed at step [0-9]+: Move crm-04 live"), "hv-ops"
        )
        assert "is another virtual machine's now" in plain_text(failed)
        assert ops.estate.do(lambda: other.node.name) == node
        assert not [
            one for one in ops.estate.do(lambda: list(ops.estate.world.asked)) if "ExecuteResourceControl" in one
        ]
        assert moved(ops) == before
