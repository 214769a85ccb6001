"""A node that was installed without UEFI, and others beside it."""

from lab.scenarios.boot_layout import lay_out_for_bios
from lab.slack.plain_text import plain_text


async def test_the_node_in_bios_mode_is_named_and_the_order_only_noted(play):
    async with play("boot-layout") as ops:
        await ops.says("/check-boot-layout prod")
        told = plain_text(await ops.sees("prod: BIOS mode, MBR on hv05, 5 others UEFI"))
        assert told.index("DIFFERS prod") < told.index("FIRMWARE DIFFERS hv06")
        assert "On hv02 the reserved partition comes before the EFI partition" in told
        assert "2.7.4 on hv06" in told


async def test_a_silent_node_is_unknown(play):
    async with play("healthy") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv02", "refuse", on=True))
        await ops.says("/check-boot-layout prod")
        told = plain_text(await ops.sees("reserved partition on all 5 hosts, 1 unknown"))
        assert "UNKNOWN hv02" in told


async def test_a_cluster_of_bios_nodes_is_no_fault(play):
    async with play("healthy") as ops:
        nodes = ops.estate.world.clusters["branch"].nodes
        ops.estate.do(lambda: [lay_out_for_bios(node) for node in nodes])
        await ops.says("/check-boot-layout branch")
        told = plain_text(await ops.sees("branch: BIOS mode, MBR on all 4 hosts"))
        assert "DIFFERS" not in told
