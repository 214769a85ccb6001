"""The disaster plan put to the test: what is broken is named, what was fixed is proved, secrets stay where they are."""

from __future__ import annotations

from datetime import timedelta

from lab.scenarios.continuity import FOLDER, GOOD, STOPPED
from lab.slack.plain_text import plain_text
from lab.slack.workspace import Group


async def test_what_the_disaster_plan_rests_on(play, capfd):
    async with play("continuity") as ops:
        group = Group("S0ONCALL", "oncall", "On call", ["U0OPERATOR"])
        ops.slack.workspace.groups[group.id] = group
        await ops.says("/check-continuity crm")
        told = plain_text(await ops.sees("crm: 4 broken, 1 stale"))
        assert "Critical, last replicated 4 days ago" in told
        assert "sql-prod.corp.example and sql-prod go to 10.20.0.15" in told
        assert f"10.20.0.15 in {FOLDER}\\web.config line 3" in told
        assert "on call now: operator" in told
        kept = "".join(str(entry.fields) for entry in ops.ledger())
        kept += "".join(str(message) for message in ops.everything("operator"))
        kept += "".join(capfd.readouterr())
        files = [one for one in ops.estate.directory.iterdir() if one.is_file() and one.name != "settings.toml"]
        kept += "".join(one.read_bytes().decode("latin-1") for one in files)
        assert "correct-horse" not in kept
        ops.estate.do(lambda: _mend(ops))
        await ops.says("/check-continuity crm")
        told = plain_text(await ops.sees("crm: 1 not proved"))
        assert "BROKEN" not in told


async def test_a_silent_site_proves_nothing(play):
    async with play("continuity") as ops:
        for node in ("br01", "br02", "br03", "br04"):
            ops.estate.do(lambda node=node: ops.estate.world.trouble(node, "refuse", on=True))
        await ops.says("/check-continuity crm")
        told = plain_text(await ops.sees("not proved"))
        assert "UNKNOWN branch" in told
        assert "NOT PROVED prod to branch" in told
        assert "last test failover" not in told


def _mend(ops) -> None:
    world = ops.estate.world
    good, stopped = world.guest(GOOD), world.guest(STOPPED)
    good.text_files = {path: text for path, text in good.text_files.items() if path.endswith("crm.ini")}
    for cluster in world.clusters.values():
        for guest in cluster.guests:
            if guest.replication is not None:
                guest.replication.state, guest.replication.health, guest.replication.cycles = 3, 1, 144
                guest.replication.last = world.now - timedelta(minutes=2)
                if guest.replication.mode != 1:
                    guest.replication.tested = world.now - timedelta(days=10)
    assert stopped.replication is not None
