"""A guest that stopped while it was moved, and those that may be next."""

from lab.scenarios.storvsc_stop import HOTFIX
from lab.slack.plain_text import plain_text
from lab.world.model import Update


def _install(ops):
    world = ops.estate.world
    for node in world.clusters["prod"].nodes:
        if all(one.kb != HOTFIX for one in node.updates):
            node.updates.append(Update(HOTFIX, world.now))


async def test_who_stopped_comes_first_and_the_hotfix_ends_the_risk(play):
    async with play("storvsc-stop") as ops:
        await ops.says("/check-storvsc-risk prod")
        told = plain_text(await ops.sees("prod: sql-05 stopped with 0xD1 (209), 17 guests at risk"))
        assert told.index("STOPPED sql-05") < told.index("AT RISK 17 guests") < told.index("OTHER BUGCHECKS 2 guests")
        assert "sql-02 (3 SCSI, 2 growing)" in told
        assert "file-02 lost power or was turned off, no bugcheck" in told
        assert "app-02 stop 0x7E (126)" in told
        assert "LDR 6.1.7601.21680: cannot tell, the fixed version is not public" in told
        assert "UNKNOWN crm-03" in told
        ops.estate.do(lambda: _install(ops))
        await ops.says("/check-storvsc-risk prod")
        told = plain_text(await ops.sees("prod: no guest is known to be at risk"))
        assert "AT RISK" not in told
        assert "It stopped before the hotfix, or for another reason." in told


async def test_a_cluster_of_another_windows_is_not_affected(play):
    async with play("healthy") as ops:
        await ops.says("/check-storvsc-risk prod")
        await ops.sees("prod: KB2636573 does not apply, no host runs 2008 R2")


async def test_a_silent_host_is_unknown(play):
    async with play("storvsc-stop") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv01", "refuse", on=True))
        await ops.says("/check-storvsc-risk prod")
        told = plain_text(await ops.sees("sql-05 stopped with 0xD1"))
        assert "UNKNOWN hv01" in told
