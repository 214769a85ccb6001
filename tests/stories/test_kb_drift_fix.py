"""Nodes that lack an update are fixed one after the other: emptied, changed, restarted, proved, and given back."""

import re

import pytest

from commands.patch_fix import steps
from commands.sources import restarts
from lab.scenarios.kb_drift_fix import BLOCKED, BLOCKER, RULE, path
from lab.slack.plain_text import plain_text
from tests.stories.conftest import until

LINE = f"/fix-kb-drift prod {RULE}"
PER_NODE = 16  # steps of one node: two that hold updates, a drain, three changes of three steps each, four to give back


@pytest.fixture
def quick(monkeypatch, hurried):
    """Restarts take moments."""
    monkeypatch.setattr("lab.world.servicing.SHUTDOWN_SECONDS", 0.1)
    monkeypatch.setattr("lab.world.servicing.START_SECONDS", 0.4)
    monkeypatch.setattr(restarts, "EVERY", 1)


def updates(ops, node):
    return ops.estate.do(lambda: {one.kb for one in ops.estate.world.node(node).updates})


def node(ops, name):
    return ops.estate.world.node(name)


def told(ops, kind, ticket="T-1"):
    return [entry.data for entry in ops.ledger() if entry.ticket == ticket and entry.kind == kind]


async def approved(ops, line=LINE, title=r"Fix updates of prod"):
    await ops.says(line)
    plan = await ops.sees(re.compile(f"{title}.*[?]"), channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def outcomes(ops, count):
    """Wait until so many steps have ended; each has its own patience."""
    for number in range(1, count + 1):
        try:
            await until(lambda number=number: len(told(ops, "outcome")) >= number or told(ops, "failed") or told(ops, "interrupted"))  # fmt: skip
        except TimeoutError:
            for one in ops.ledger():
                if one.ticket == "T-1" and one.kind in ("intent", "outcome", "voided", "failed", "interrupted", "resumed"):
                    print(one.kind, str(one.data)[:700])
            raise


async def reaches(ops, start):
    return await ops.slack.person("operator").sees(re.compile(f"^{start}"), "hv-ops")


async def test_both_nodes_are_fixed_one_after_the_other(play, quick):
    async with play("kb-drift-fix") as ops:
        homes = ops.estate.do(lambda: {name: {one.name for one in node(ops, name).guests} for name in ("hv02", "hv05")})
        booted = ops.estate.do(lambda: node(ops, "hv02").booted)
        await ops.says(LINE)
        plan = await ops.sees(re.compile(r"Fix updates of prod.*[?]"), channel="hv-ops")
        text = plain_text(plan)
        for fact in (
            f"hv02 lacks {BLOCKED}; hv05 lacks {BLOCKED}",
            "wusa.exe and the Windows Update Agent do not install over WinRM",
            "run cluster validation again",
            "Clients and other servers",
            "is silent for a while, and that is expected",
        ):
            assert fact in text, fact
        await ops.clicks(plan, "Approve", who="approver")
        await outcomes(ops, 2 * PER_NODE)
        await reaches(ops, "Done: Fix updates of prod")
        assert told(ops, "done")
        asked = [one for one in ops.estate.world.asked if "wuauserv" not in one]
        assert [one.partition(": ")[2].partition(" ")[2] or one for one in asked] == [
            step
            for name in ("hv02", "hv05")
            for step in (
                f"{name}: MSCluster_Node.Pause",
                "/Remove-Package Package_for_KB3102429~31bf3856ad364e35~amd64~~6.3.1.0",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"/Add-Package {path(BLOCKED)}",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"/Add-Package {path(BLOCKER)}",
                f"{name}: Win32_OperatingSystem.Reboot",
                f"{name}: MSCluster_Node.Resume",
            )
        ]
        for name in ("hv02", "hv05"):
            assert {BLOCKED, BLOCKER} <= updates(ops, name)
            assert ops.estate.do(lambda name=name: node(ops, name).service("wuauserv").start) == "Manual"
            assert ops.estate.do(lambda name=name: node(ops, name).state) == 0
            assert ops.estate.do(lambda name=name: {one.name for one in node(ops, name).guests}) == homes[name]
        assert ops.estate.do(lambda: node(ops, "hv02").booted) > booted
        assert {one.result for one in told(ops, "outcome")} == {"done"}
        await ops.says(LINE)
        await ops.sees("Nothing to fix on prod")
