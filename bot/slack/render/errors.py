"""What could not be answered, as a message: what happened, where, and what to do."""

from __future__ import annotations

from bot.errors import HvopsError, InternalError, PermissionDenied, TicketError, UsageError
from bot.slack.outbound.message import Message, escape, without_bold
from bot.slack.render.blocks import ASK_AGAIN, SHOW, actions, button, sections


def refusal(error: HvopsError) -> Message:
    """The sentence of the error, and what helps: suggestions, usage, who may, the id of a bug."""
    says = escape(str(error), lines=True)
    if isinstance(error, UsageError):
        return _usage(error, says)
    if isinstance(error, PermissionDenied):
        return Message(f"Not allowed. {says}", sections(f"*Not allowed.* {says}"))
    if isinstance(error, InternalError):
        return Message(says, sections(f"*{escape(f'Bug {error.bug}')}.* {says}"))
    if isinstance(error, TicketError):
        return not_executed(error)
    return Message(says, sections(f"*Not answered.* {says}"))


def not_executed(error: HvopsError) -> Message:
    """A decision that came too late, or that cannot be made."""
    says = escape(str(error), lines=True)
    return Message(says, sections(f"*Not done.* {says}"))


def no_ledger(error: HvopsError) -> Message:
    """Nothing can be written down, so nothing is done."""
    says = f"{escape(str(error))} hvops asks and does nothing that it cannot write into its ledger."
    return Message(says, sections(f"*Nothing was done.* {says}"))


def stopped_here_only(error: HvopsError) -> Message:
    """A stop could not be written down, and is in force in this process all the same."""
    says = (
        f"The stop could not be written to the ledger: {escape(str(error))} Nothing new starts on this bot until /hvops go. "
        "Another bot, or this one after a restart, does not know of the stop: type it again once the ledger is put right."
    )
    title = "Changes are stopped on this bot only."
    return Message(f"{title} {says}", sections(f"*{title}* {says}"))


def ledger_is_silent() -> Message:
    """What was pressed or typed could not be written down in the time that Slack gives; that is still being tried."""
    says = "This is not written down yet. Nothing is done before it is, and hvops says here what comes of it."
    return Message(f"The ledger does not answer. {says}", sections(f"*The ledger does not answer.* {says}"))


def not_decided(error: HvopsError) -> Message:
    """A press was written down, and what it decides could not be: the next life of the bot takes it up."""
    says = f"{escape(str(error))} Press again. If hvops restarts within 5 minutes, it handles this press itself."
    return Message(says, sections(f"*Not decided yet.* {says}"))


def expired_button(line: str = "") -> Message:
    """A button that this version does not know, or whose answer is gone."""
    type_it = f"type {line}" if line else "type the command again, or /hvops help"
    says = f"This button is from an older version, or its answer is no longer kept; {escape(type_it)}."
    return Message(says, sections(says))


def not_the_real_message(ticket: str, link: str) -> Message:
    """A button or a window that is none of the ticket's own: nothing is decided there."""
    where = f"<{link}|in the original message>" if link else "in the original message; /hvops runs shows where it is"
    says = f"This is not the original message of {escape(ticket)}, so nothing was decided. Decide {where}, next to the full plan."
    return Message(says, sections(f"*Not done.* {says}"))


def not_your_answer() -> Message:
    """A button that starts something, and is in no answer that was given to who pressed it."""
    says = "This button is not part of an answer that hvops gave you, so nothing was started. Type the command, or press Show Answer."
    return Message(f"Not done. {says}", sections(f"*Not done.* {says}"))


def not_your_window() -> Message:
    """A window of a command that was not opened for who sent it off."""
    says = "This window is not one that hvops opened for you, so nothing was started. Type the command, or open it from Home."
    return Message(f"Not done. {says}", sections(f"*Not done.* {says}"))


def already_done(what: str) -> Message:
    """The same thing came twice."""
    return Message(f"{escape(what)} is already being answered.")


def delivery_unknown(token: str) -> Message:
    """An answer was sent, and nobody can know whether it arrived."""
    says = "The answer was sent, and the connection to Slack died before it was confirmed. If you do not see it:"
    return Message(says, (*sections(says), *actions([button("Show Answer", SHOW, token), _again(token)])))


def cannot_share() -> Message:
    """The bot is not in that conversation."""
    says = "hvops cannot post here. Invite it with /invite @hvops, then press Share again."
    return Message(says, sections(says))


def _again(token: str) -> dict[str, object]:
    return button("Check Again", ASK_AGAIN, token)


def _usage(error: UsageError, says: str) -> Message:
    lines = [says]
    if error.suggestions:
        lines.append(f"*Did you mean:* {escape(', '.join(error.suggestions))}?")
    if error.usage:
        lines.append(f"*Usage:* {escape(error.usage)}")
    text = " ".join(without_bold(line) for line in lines)
    return Message(text, sections("\n".join(lines)))
