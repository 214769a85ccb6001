"""A drill there and back: what is measured is said, and what goes wrong half-way is taken back or left to a person."""

from __future__ import annotations

import re

import pytest

from lab.scenarios.drill import GUESTS, SERVICE
from lab.slack.plain_text import plain_text

PLAN = f"Fail {SERVICE} over to branch and back"


@pytest.fixture(autouse=True)
def swift(monkeypatch):
    """What takes Hyper-V seconds has happened by the next question."""
    for name in ("SHUTDOWN", "SENDING", "FAILOVER", "START", "REVERSAL"):
        monkeypatch.setattr(f"lab.world.replica_methods.{name}_SECONDS", 0.0)


async def approved(ops, line=f"/drill {SERVICE}", title=PLAN):
    await ops.says(line)
    plan = await ops.sees(f"{title}?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def waits(ops, step):
    return await ops.slack.person("operator").sees(re.compile(f"waits for a person: {step}"), "hv-ops")


async def says_done(ops, step):
    await ops.clicks(await waits(ops, step), "Done")


def entries(ops, kind):
    return [entry.data for entry in ops.ledger() if entry.ticket == "T-1" and entry.kind == kind]


def ends(ops, name):
    """Host -> mode and state of each end of a machine."""
    world = ops.estate.world
    return ops.estate.do(
        lambda: {
            one.node.name: (one.replication.mode, one.state)
            for cluster in world.clusters.values()
            for one in cluster.guests
            if one.name == name and one.replication
        }
    )


async def test_there_and_back_is_timed_and_proved(play):
    async with play("drill") as ops:
        before = {name: ends(ops, name) for name in GUESTS}
        await ops.says(f"/check-continuity {SERVICE}")
        await ops.sees("crm: 1 not proved")
        await approved(ops)
        await says_done(ops, f"Check that {SERVICE} works in branch")
        await waits(ops, f"Check that {SERVICE} works in prod")
        assert ends(ops, "crm-01")["br01"] == (1, "off")
        await says_done(ops, f"Check that {SERVICE} works in prod")
        done = plain_text(await ops.slack.person("operator").sees(re.compile(f"^Done: {PLAN}"), "hv-ops"))
        (end,) = entries(ops, "done")
        said = "; ".join(end.measured)
        for told in (said, done):
            assert re.search(r"failover took [0-9]+ s, RTO 60 min: kept", told)
            assert re.search(r"failback took [0-9]+ s, RTO 60 min: kept", told)
            assert re.search(r"last replication [0-9]+ s before the planned stop, RPO 15 min: kept", told)
        assert {name: ends(ops, name) for name in GUESTS} == before
        assert all(one.result == "done" for one in entries(ops, "outcome"))
        await ops.says(f"/check-continuity {SERVICE}")
        told = plain_text(await ops.sees("crm: 1 proved"))
        assert re.search(r"T-1, last drill .*RTO 60 min: kept", told)
