"""A host that repeats a password while a run waits for it: nobody in Slack reads it, whatever letters it has."""

import json

import pytest

from bot.errors import TargetFault
from bot.redaction import Redactor


@pytest.fixture(
    params=["*Tr0ub4dor-9x", "Tr0ub`4dor-9x", "Tr0ub4dor_!9x", "Tr\u0430ub4dor-9x", "Tr0ub4dor  9x."], ids=ascii
)
def secret(request):
    return request.param


def repeats(bench, secret, monkeypatch, when):
    """From then on the world answers with a fault that has the password in it."""
    answer = bench.world.answer

    async def faulty(question, seconds=20.0):
        if when():
            raise TargetFault(question.on, f"error 1326: the login hvops with {secret} was refused.", code=1326)
        return await answer(question, seconds)

    monkeypatch.setattr(bench.world, "answer", faulty)


def said(bench):
    return "\n".join(
        json.dumps([one.text, one.blocks], ensure_ascii=False)
        for message in bench.viewer.messages("hv-ops")
        for one in (message, *bench.viewer.thread(message))
    )


def shows_no(secret, bench):
    told = said(bench)
    return "[masked]" in told and not any(part in told for part in ("ub4dor", "4dor", "Tr0ub"))


async def test_what_a_host_repeats_behind_a_manual_step_is_masked_on_the_card(bench, secret, monkeypatch):
    pressed = []
    repeats(bench, secret, monkeypatch, lambda: pressed)
    async with bench.running(mask=Redactor([secret])):
        await bench.operator.types("/reopen hv03")
        await bench.approver.clicks(await bench.viewer.sees("Reopen on hv03?", "hv-ops"), "Approve")
        card = await bench.viewer.sees("Manual step", "hv-ops")
        pressed.append(True)
        await bench.operator.clicks(card, "Done")
        await bench.until(lambda: "hvops checked:" in said(bench))
        assert shows_no(secret, bench)


async def test_what_a_host_repeats_while_a_step_is_waited_for_is_masked_on_the_card(bench, secret, monkeypatch):
    repeats(bench, secret, monkeypatch, lambda: bench.world.acts)
    async with bench.running(mask=Redactor([secret])):
        await bench.operator.types("/repair hv03")
        await bench.approver.clicks(await bench.viewer.sees("Repair on hv03?", "hv-ops"), "Approve")
        bench.world.release()
        await bench.until(lambda: "the login hvops with" in said(bench))
        assert shows_no(secret, bench)
