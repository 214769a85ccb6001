"""An entry host that hangs: what is asked about another cluster does not wait for it."""

import re
from datetime import timedelta

from lab.slack.plain_text import plain_text
from lab.world.model import BackupJob


def waits_for_hours(estate):
    """Let one silent host cost far more than any test waits, and be the only way into its cluster."""
    file, inventory = estate.settings_path, estate.directory / "inventory.toml"
    limits = "per_host_seconds = 600\noverall_seconds = 600"
    file.write_text(re.sub(r"per_host_seconds = \d+", limits, file.read_text()))
    alone = re.sub(r"(\[clusters\.branch\][^\[]*?entry_hosts = )\[[^\]]*\]", r'\1["br01"]', inventory.read_text())
    assert 'entry_hosts = ["br01"]' in alone
    inventory.write_text(alone)


async def test_a_plan_for_one_cluster_is_made_while_the_only_entry_host_of_another_hangs(play):
    """Backup jobs of guests are of no host; each 16 of them waited for the other cluster, and none of the guests was asked."""
    async with play("healthy", written=waits_for_hours) as ops:
        world = ops.estate.world
        prod = world.clusters["prod"]

        def prepare():
            world.trouble("br01", "hang", on=True)
            began = world.now - timedelta(minutes=20)
            names = [guest.name for guest in prod.guests if guest.node.name != "hv02"]
            for number, name in enumerate(names[:20], 70_000):
                world.jobs[number] = BackupJob(number, prod.nodes[0], state="running", started=began, client=name)

        ops.estate.do(prepare)
        await ops.says("/drain-node hv02")
        plan = await ops.sees(re.compile(r"Drain .*hv02|No plan"), channel="hv-ops")
        whole = await ops.whole_plan(plan)
        assert "which machine job" not in plain_text(plan) + whole
        assert "Approve With" not in plain_text(plan)
        ops.estate.do(lambda: world.trouble("br01", "hang", on=False))
