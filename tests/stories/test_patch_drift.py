"""Nodes are patched differently, and one trap is known."""

from dataclasses import replace

from lab.slack.plain_text import plain_text


async def test_the_trap_is_named_with_its_three_steps(play):
    async with play("patch-drift") as ops:
        await ops.says("/verify-kb-drift prod")
        told = plain_text(await ops.sees("prod: 3 of 6 nodes differ, 1 known issue"))
        assert "KNOWN ISSUE hv02, hv05" in told
        assert "(1) remove KB2616676; (2) install KB2607712; (3) reinstall KB2616676" in told
        assert "does not prove that an update is missing" in told


async def test_one_kb_can_be_asked_about(play):
    async with play("patch-drift") as ops:
        await ops.says("/verify-kb-drift prod 2570791")
        told = plain_text(await ops.sees("KB2570791"))
        assert "hv06" in told


async def test_the_second_trap_names_the_guests_it_is_about(play):
    async with play("patch-drift") as ops:
        node = ops.estate.world.node("hv03")
        kept = [one for one in node.updates if one.kb != "KB2636573"]
        ops.estate.do(lambda: setattr(node, "updates", kept))
        await ops.says("/verify-kb-drift prod")
        told = plain_text(await ops.sees("2 known issues"))
        assert "KNOWN ISSUE hv03:* KB2636573 is not listed, and guests have disks on SCSI controllers" in told
        assert "Disks on SCSI controllers: app-01, crm-02, crm-03, sql-07." in told


async def test_a_silent_node_is_unknown_and_never_different(play):
    async with play("patch-drift") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv02", "refuse", on=True))
        await ops.says("/verify-kb-drift prod")
        told = plain_text(await ops.sees("5 of 6 nodes answered"))
        assert "UNKNOWN hv02" in told
        assert "KNOWN ISSUE hv05:*" in told  # and not hv02, which had it too
        assert "REBOOT PENDING hv06" in told


async def test_the_update_revision_says_the_level_and_not_the_list(play):
    async with play("healthy") as ops:
        node = ops.estate.world.node("br02")
        older = replace(node.release, revision=1)
        ops.estate.do(lambda: setattr(node, "release", older))
        ops.estate.do(lambda: setattr(node, "updates", node.updates[1:]))
        await ops.says("/verify-kb-drift branch")
        told = plain_text(await ops.sees("1 of 4 nodes differ"))
        assert "Build 17763.1; most nodes run 17763.4010" in told
        assert "not listed; " not in told
        assert "br01 br03 br04" in told


async def test_where_nothing_is_wrong_nothing_is_found(play):
    async with play("healthy") as ops:
        for line, says in (
            ("/check-writers branch", "VSS writers healthy on all 4 nodes"),
            ("/verify-kb-drift branch", "4 nodes"),
        ):
            await ops.says(line)
            told = plain_text(await ops.sees(says))
            assert "UNKNOWN" not in told
            assert "KNOWN ISSUE" not in told
