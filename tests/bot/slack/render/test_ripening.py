"""A plan that may be decided before it may start: the card says so, wherever somebody reads or presses."""

from dataclasses import replace

import pytest

from bot.api.plan import Gate, GateOutcome
from bot.executor.context import TicketChange
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.local_times import in_utc
from bot.slack.render.ticket import ticket_message
from lab.slack.plain_text import plain_text

WAITS = Gate(
    "The writer is stuck",
    outcome=GateOutcome.BLOCKED,
    measured="first seen 23:05 UTC",
    passes_at="2026-03-02T23:07:00+00:00",
)


@pytest.fixture
def ripening(told):
    plan = told().card().plan
    return told(plan=replace(plan, gates=(WAITS, *plan.gates)))


def test_the_proposal_and_its_button_say_that_it_starts_later(ripening):
    message = ticket_message(ripening.card())
    line = "*Pending; nothing runs before this check passes:* This check failed: The writer is stuck (first seen 23:05 UTC)"
    assert line in in_utc(plain_text(list(message.blocks)))
    approve = message.blocks[-1]["elements"][0]["confirm"]["text"]["text"]
    assert approve.startswith("Starts by itself once every check has passed: Pause and drain hv03;")
    assert not problems(message.blocks)


def test_an_approved_one_says_what_it_waits_for(ripening):
    why = "not yet: The writer is stuck (first seen 23:05 UTC)"
    card = ripening.approved().card(happening=TicketChange("T-412", "ripening", says=why))
    message = ticket_message(card)
    assert "*Waiting:* The writer is stuck (first seen 23:05 UTC)" in in_utc(plain_text(list(message.blocks)))
    assert "then it starts" not in plain_text(list(message.blocks))
