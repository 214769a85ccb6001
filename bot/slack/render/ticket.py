"""A ticket as its one message shows it, in every state. Pure: what the ledger says in, blocks out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.ledger.ticket_state import TicketState
from bot.slack.outbound.local_times import local_message
from bot.slack.outbound.message import File, Message
from bot.slack.render.blocks import sections
from bot.slack.render.closed import ended_message
from bot.slack.render.proposed import approved_message, plan_file, proposed_message
from bot.slack.render.running import interrupted_message, running_message
from bot.slack.render.stop import with_stop
from bot.slack.render.ticket_buttons import with_seal
from bot.slack.render.ticket_view_model import TicketView, has_times_in_names

_BY_STATE = {
    TicketState.PROPOSED: proposed_message,
    TicketState.APPROVED: approved_message,
    TicketState.RUNNING: running_message,
    TicketState.INTERRUPTED: interrupted_message,
    TicketState.ENDED: ended_message,
}


def ticket_message(card: TicketView) -> Message:
    """The message of a ticket as it stands now. Within Slack's limits whatever the plan holds, and never without its buttons."""
    message = _BY_STATE[card.ticket.state](card)
    if card.ticket.state is not TicketState.ENDED:
        message = with_stop(message, card.stop)
    sealed = replace(message, blocks=with_seal(message.blocks, card.id, card.seal))
    whole = replace(sealed, instead=_plainest(card, sealed))
    return local_message(replace(whole, keeps_times=has_times_in_names(card)), datetime.fromisoformat(card.proposal.at))


def _plainest(card: TicketView, message: Message) -> Message:
    """The same in nothing but sections and buttons, for a Slack that refuses the rest. A plan is whole in its file."""
    buttons = [block for block in message.blocks if block["type"] == "actions"]
    says, files = message.text, tuple[File, ...]()
    if card.ticket.state is TicketState.PROPOSED:
        digest = card.proposal.digest
        says += f"\nAll of the plan is in plan.txt in the thread, digest {digest}. Read it before you decide."
        files = (plan_file(card.proposal),)
    return Message(message.text, (*sections(says), *buttons), files)


def copy_message(ticket: str, link: str) -> Message:
    """What a second message of a ticket says: where the real one is. No buttons, so that nothing is decided here."""
    where = f"<{link}|is shown here>" if link else "is shown in another message"
    says = f"{ticket} {where}; this is only a copy of it."
    return Message(says, sections(f"*{ticket}* {where}; this is only a copy of it."))
