"""The window that asks for what a person reads off a machine, before a manual step counts as done."""

from __future__ import annotations

from bot.api.actions import ReadBack, TypedField
from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, View, escape, escape_control, truncate
from bot.slack.render.answer_modal import ANSWERED
from bot.slack.render.blocks import sections
from bot.slack.render.reason_modal import CALLBACK
from bot.slack.render.ticket_buttons import READ_BACK
from bot.tickets.read_back import LONGEST_TYPED
from bot.tickets.run_history import StepInstance

_LABEL = 300  # what still reads as a label on a phone
_SAYS = 2_000
_HINTS = {
    "text": "As the console shows it. It is compared with the plan.",
    "size": "With its unit, such as 80 GB. It is compared with the plan.",
    "number": "As the console counts. It is recorded.",
}


def read_back_view(ticket: str, place: StepInstance, shown: int) -> View:
    """The window for *Done…*, which carries what that button was shown for."""
    act = place.step.act
    assert isinstance(act, ReadBack)
    says = (
        f"*Step {place.number}: {escape(truncate(place.step.description, _SAYS))}.* Type what you read now, not what the"
        " plan says. Your words are signed under your name. If it is another disk or machine, nothing goes on."
    )
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}:{READ_BACK}:{shown}",
        "private_metadata": ticket,
        "title": _plain(f"Confirm {ticket}"[: limits.VIEW_TITLE]),
        "submit": _plain("Confirm Step"),
        "close": _plain("Back"),
        "blocks": [*sections(says), *(_input(number, field) for number, field in enumerate(act.typed))],
    }


def _input(number: int, field: TypedField) -> Block:
    name = f"{ANSWERED}{number}"
    return {
        "type": "input",
        "block_id": name,
        "label": _plain(truncate(escape_control(field.label), _LABEL)),
        "hint": _plain(_HINTS[field.compare]),
        "element": {"type": "plain_text_input", "action_id": name, "max_length": LONGEST_TYPED},
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
