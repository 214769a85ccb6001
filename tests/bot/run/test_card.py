"""A card says how a ticket stands, from the ledger alone."""

from __future__ import annotations

from scripted_world import APPROVER, OPERATOR, OTHER, VIEWER, Plan, by_hand, simple, step

from bot.card import card
from bot.pipeline import Request


def states(shown):
    return [one.state for one in shown.steps]


async def test_from_the_proposal_to_the_end(bench):
    ticket = (await bench.propose()).ticket
    shown = card(bench.ledger, ticket)
    assert shown.verbs == ("approve", "decline", "withdraw")
    assert states(shown) == ["waiting"] * 3
    bench.decisions.approve(bench.press(APPROVER, ticket))
    assert card(bench.ledger, ticket).verbs == ("withdraw",)
    await bench.runs()
    shown = card(bench.ledger, ticket)
    assert (shown.verbs, shown.approver_name, shown.why) == (("undo",), "person 2", "all 3 steps are done")
    assert states(shown) == ["done"] * 3
    assert shown.started <= shown.steps[0].began <= shown.steps[0].ended <= shown.ended
    assert shown.steps[0].noted == "noted in the event log of hv03"
    assert shown.last_entry == bench.ledger.head().seq
    bench.proposals.undo(Request(OPERATOR, "undo", "button", "C"), ticket)
    shown = card(bench.ledger, ticket)
    assert (shown.undone_by, shown.verbs) == ("T-2", ())


async def test_interrupted_and_failed(bench, world):
    world.faults = [None, "never"]
    ticket = await bench.approved()
    await bench.runs()
    shown = card(bench.ledger, ticket)
    assert states(shown) == ["done", "unknown", "waiting"]
    assert shown.now.key == "restart"
    assert shown.verbs == ("resume", "undo", "close")
    assert "instance is still as before" in shown.why
    bench.decisions.close(bench.press(OPERATOR, ticket), "seen to")
    world.faults, world.hosts["hv03"]["paused"] = ["refused"], "no"
    ticket = await bench.approved()
    await bench.runs()
    shown = card(bench.ledger, ticket)
    assert states(shown) == ["failed", "waiting", "waiting"]
    assert "5960" in shown.why


async def test_void_with_its_replacement(bench):
    ticket = await bench.approved()
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"))
    await bench.runs()
    shown = card(bench.ledger, ticket)
    assert shown.replaced_by == "T-2"
    assert "- 1 Pause hv03 [pause], at most 60 s, repeatable" in shown.difference
    assert shown.verbs == ()
    assert card(bench.ledger, "T-2").proposal.replaces == ticket


async def test_by_hand_and_cancel(bench, clock):
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    seen = []

    async def glance(seconds):
        clock.forward(seconds=seconds)
        seen.append(card(bench.ledger, ticket))
        if len(seen) == 1:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", glance)
    await bench.runs()
    assert seen[0].verbs == ("hand", "cancel")
    assert states(seen[0]) == ["running"]
    shown = card(bench.ledger, ticket)
    assert (shown.ticket.end, states(shown)) == ("cancelled", ["abandoned"])
    assert "cancelled at step 1" in shown.why


async def test_confirm_and_who_is_eligible(bench):
    proposed = await bench.propose("/tweak hv03")
    assert card(bench.ledger, proposed.ticket).verbs[0] == "confirm"
    assert bench.decisions.eligible(OPERATOR, proposed.proposal)
    proposed = await bench.propose()
    assert [bench.decisions.eligible(one, proposed.proposal) for one in (OPERATOR, APPROVER, OTHER, VIEWER)] == [
        False,
        True,
        True,
        False,
    ]
    assert bench.ledger.head().kind == "proposed"


def test_no_card_of_nothing(bench):
    assert card(bench.ledger, "T-9") is None
    assert Plan("", "", "", (), (), ()).steps == ()
