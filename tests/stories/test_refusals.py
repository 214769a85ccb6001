"""Closed doors and unreadable lines: always a sentence, always an entry, never a question asked."""

import pytest


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/check-writers", "is missing"),
        ("/check-writers hv99", "There is no cluster or host “hv99” in the inventory. Clusters: branch, prod."),
        ("/check-writers prud", "prod"),
        ("/check-writers “prod’; DROP TABLE entry--", "Unexpected words"),
        ("/check-writers prod --now", "There is no option --now"),
        ("/hvops chek-writers prod", "check-writers"),
        ("/find-full-guests prod —free lots", "is not a size"),
        ("/check-writers " + "a" * 4_000, "reads at most"),
    ],
)
async def test_what_cannot_be_read_gets_a_sentence(play, line, says):
    async with play("healthy") as ops:
        await ops.says(line)
        await ops.sees(says)
        entries = ops.ledger()
        assert entries[-1].kind == "refused" or entries[-2].kind == "refused"
        assert "answered" not in [entry.kind for entry in entries]


async def test_somebody_without_a_role_is_told_who_may(play):
    async with play("healthy") as ops:
        await ops.says("/check-writers prod", who="nobody")
        await ops.sees("You have no role in hvops.", who="nobody")
        assert [entry.kind for entry in ops.ledger() if entry.kind not in ("shown", "anchor")] == ["refused"]


async def test_a_button_of_somebody_elses_answer_asks_who_presses_it(play):
    async with play("healthy") as ops:
        await ops.says("/check-writers hv01")
        answer = await ops.sees("hv01: VSS writers healthy")
        await ops.clicks(answer, "Share")
        shared = await ops.sees("hv01: VSS writers healthy", who="nobody", channel="hv-ops")
        await ops.clicks(shared, "Show Answer", who="nobody")
        await ops.sees("You have no role in hvops.", who="nobody")


async def test_help_says_what_one_may(play):
    async with play("healthy") as ops:
        await ops.says("/hvops help")
        await ops.sees("/check-writers <cluster|host>")
        await ops.says("/hvops status")
        await ops.sees("2 of 2 connections open")
