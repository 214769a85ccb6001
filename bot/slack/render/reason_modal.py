"""The window that asks for a reason. It opens at once: a trigger lives three seconds."""

from __future__ import annotations

from bot.slack.outbound.message import Block, View
from bot.slack.render.blocks import sections
from bot.slack.render.ticket_buttons import CLOSE, REJECT
from bot.tickets.decisions import LONGEST_REASON

CALLBACK = "hvops:ticket"  # then ":<verb>[:<step or attempt>]"; the ticket is the private metadata
REASON = "reason"  # block_id and action_id of the input
_ASKS = {
    REJECT: (
        "Reject",
        "The plan is rejected and nothing runs. Your reason is posted in the thread and recorded in the ledger.",
    ),
    CLOSE: ("Close", "Closes the ticket and releases its locks. Nothing is undone, even if it is half done."),
}


def reason_view(verb: str, ticket: str, attempt: str = "") -> View:
    """The window for *Reject…* and *Close…*: that one is about the attempt that its button was shown for."""
    label, says = _ASKS[verb]
    does = f"{verb}:{attempt}" if attempt else verb
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}:{does}",
        "private_metadata": ticket,
        "title": _plain(f"{label} {ticket}"[:24]),
        "submit": _plain(label),
        "close": _plain("Back"),
        "blocks": [
            *sections(says),
            reason_input(),
        ],
    }


def reason_input() -> Block:
    """The field that asks why."""
    return {
        "type": "input",
        "block_id": REASON,
        "label": _plain("Why?"),
        "element": {
            "type": "plain_text_input",
            "action_id": REASON,
            "multiline": True,
            "max_length": LONGEST_REASON,
        },
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
