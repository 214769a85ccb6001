"""That changes are stopped, or may start again: as a line above whatever is shown meanwhile, and as messages."""

from __future__ import annotations

from dataclasses import replace

from bot.dispatch.authorization import SYSTEM
from bot.ledger import Entry
from bot.ledger.entries import Stopped
from bot.slack.outbound.message import Block, Message, View, escape, without_bold
from bot.slack.render.blocks import contexts, header, sections
from bot.slack.render.reason_modal import reason_input
from bot.slack.render.ticket_view_model import DATE, StopView, at_time, format_approvers, who

# What a stop does, to steps in progress as to a change that fails meanwhile: its rollback waits as well.
_MEANWHILE = "Steps in progress will finish; nothing new starts, and a change that fails is not rolled back,"
CALLBACK = "hvops:stop"  # of the window; the channel that it was asked for in is the private metadata


def stop_line(stop: StopView) -> str:
    """That changes are stopped, by whom, since when and why, and who can let them start again. mrkdwn."""
    if stop.unknown:
        return f"*hvops can't tell whether changes are stopped*, so nothing starts: {escape(stop.unknown)}"
    if stop.entry is None:
        how = "on this bot only: the stop could not be written to the ledger"
    else:
        how = f"by {_by(stop.entry)} since {at_time(stop.entry.at, DATE)}{_why(stop.entry)}"
    return f"*Changes are stopped* {how}. Nothing starts until /hvops go, which {format_approvers(stop.resumed_by)} can run."


def with_stop(message: Message, stop: StopView | None) -> Message:
    """The message, and above it that changes are stopped, where they are."""
    if stop is None:
        return message
    line = stop_line(stop)
    return replace(message, text=f"{without_bold(line)} {message.text}", blocks=(*sections(line), *message.blocks))


def stopped_blocks(stop: StopView | None) -> tuple[Block, ...]:
    """That line by itself; nothing where changes are not stopped."""
    return sections(stop_line(stop)) if stop is not None else ()


def notice(switch: Entry, before: Entry | None, resumed_by: tuple[str, ...]) -> Message:
    """What an ops channel is told of a stop or a go, that hears of each of them once.

    Args:
        switch: the newest of both.
        before: the stop that a go ends; None where it is not known. The channel need not have heard of it.
        resumed_by: who may type `/hvops go`.
    """
    if switch.kind == Stopped.kind:
        title = "Changes are stopped"
        says = (
            f"{_by(switch)} stopped all changes {at_time(switch.at, DATE)}{_why(switch)}. {_MEANWHILE} until /hvops go, which "
            f"{format_approvers(resumed_by)} can run."
        )
    else:
        title = "Changes can start again"
        ended = f" They had been stopped by {_by(before)} {at_time(before.at, DATE)}{_why(before)}." if before else ""
        says = f"{_by(switch)} allowed changes again {at_time(switch.at, DATE)}.{ended}"
    return Message(
        f"{title}. {without_bold(says)}", (header(title), *sections(says), *contexts(f"Ledger entry {switch.seq:,}"))
    )


def switched_message(entry: Entry) -> Message:
    """The answer to whoever stopped changes, or let them start again."""
    if entry.kind == Stopped.kind:
        says = f"Changes are stopped. {_MEANWHILE} until someone runs /hvops go."
    else:
        says = "Changes can start again."
    return Message(f"{says} (entry {entry.seq:,})", sections(f"*{says}* (entry {entry.seq:,})"))


def unchanged_message(newest: Entry | None) -> Message:
    """The answer to a stop or a go that changes nothing: what is so, and by whom."""
    if newest is not None and newest.kind == Stopped.kind:
        says = f"*Changes are already stopped* by {_by(newest)} since {at_time(newest.at, DATE)}{_why(newest)}."
    elif newest is not None:
        says = f"*Changes are not stopped.* {_by(newest)} allowed changes again {at_time(newest.at, DATE)}."
    else:
        says = "*Changes are not stopped.*"
    return Message(without_bold(says), sections(says))


def stop_view(channel: str) -> View:
    """The window that asks why, where `/hvops stop` was typed alone."""
    says = f"{_MEANWHILE} until /hvops go. Your name and reason are posted in every ops channel."
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": channel,
        "title": {"type": "plain_text", "text": "Stop Changes", "emoji": False},
        "submit": {"type": "plain_text", "text": "Stop Changes", "emoji": False},
        "close": {"type": "plain_text", "text": "Back", "emoji": False},
        "blocks": [*sections(says), reason_input()],
    }


def _by(entry: Entry) -> str:
    return f"{who(entry)} (at a terminal)" if entry.actor.startswith(SYSTEM) else who(entry)


def _why(entry: Entry) -> str:
    return f": {escape(entry.reason.rstrip('.'))}" if entry.reason else ""
