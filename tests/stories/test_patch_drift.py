"""Nodes are patched differently, and one trap is known."""

from lab.slack.plain import plain_text


async def test_the_trap_is_named_with_its_three_steps(play):
    async with play("patch-drift") as ops:
        await ops.says("/verify-kb-drift prod")
        told = plain_text(await ops.sees("prod: 3 of 6 nodes differ, 1 known trap"))
        assert "TRAP hv02, hv05" in told
        assert "1 remove KB2616676 2 install KB2607712 3 reinstall KB2616676" in told
        assert "no proof of absence" in told


async def test_one_kb_can_be_asked_about(play):
    async with play("patch-drift") as ops:
        await ops.says("/verify-kb-drift prod 2570791")
        told = plain_text(await ops.sees("KB2570791"))
        assert "hv06" in told


async def test_where_nothing_is_wrong_nothing_is_found(play):
    async with play("healthy") as ops:
        for line, says in (
            ("/check-writers branch", "writers well on all 4 nodes"),
            ("/verify-kb-drift branch", "4 nodes"),
        ):
            await ops.says(line)
            told = plain_text(await ops.sees(says))
            assert "UNKNOWN" not in told
            assert "TRAP" not in told
