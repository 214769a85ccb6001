"""What `/hvops` answers: help by role, and the state of the bot."""

from __future__ import annotations

from bot.dispatch.help import Help, HelpLine, Status, format_roles
from bot.slack.outbound.message import Message, escape
from bot.slack.render.blocks import contexts, header, sections
from bot.slack.render.stop import with_stop
from bot.slack.render.ticket_view_model import StopView


def help_message(told: Help) -> Message:
    """The commands, those that this person may use first, each with its usage line."""
    may = [f"{_code(line.usage)}\n{escape(line.says)}" for line in told.lines if line.allowed]
    other = [f"{_code(line.usage)} needs the {escape(line.role)} role" for line in told.lines if not line.allowed]
    closing = "Every command also works as /hvops <command> …, and in threads as @hvops <command> …"
    blocks = (
        header("What you can ask"),
        *sections("\n".join([*may, *(_together(lines) for lines in told.builtins)])),
        *(sections("*Not for you now:*\n" + "\n".join(other)) if other else ()),
        *contexts(f"You: {escape(told.role)}. {escape(closing)}"),
    )
    usable = ", ".join(line.usage.split()[0] for line in told.lines if line.allowed) or "none of the commands"
    return Message(f"You are {escape(told.role)} and can use: {escape(usable)}, /hvops.", blocks)


def no_role_message(says: str) -> Message:
    """What /hvops, its help and its status answer somebody without a role; `says` is plain text."""
    return Message(escape(says), sections(escape(says)))


def status_message(status: Status, stop: StopView | None = None) -> Message:
    """How the bot is, and who is asking; before everything else, that changes are stopped."""
    roles = format_roles(status.roles)
    lines = [
        *(f"*{escape(label)}:* {escape(says)}" for label, says in status.connections),
        f"*Ledger:* {escape(status.ledger)}",
        f"*You:* {escape(status.name)} · roles: {escape(roles)}",
        f"*You may:* {escape(_may(status))}",
    ]
    said = f"hvops {status.version}: ledger {status.ledger}; you are {roles}"
    blocks = (header("hvops"), *sections("\n".join(lines)), *contexts(f"Version {escape(status.version)}"))
    return with_stop(Message(escape(said), blocks), stop)


def _together(lines: tuple[HelpLine, ...]) -> str:
    """Builtins that share a line: every usage, then one sentence of what each does."""
    first, *others = [line.says.removesuffix(".") for line in lines]
    says = "; ".join([first, *(f"{one[:1].lower()}{one[1:]}" for one in others)])
    return f"{' · '.join(_code(line.usage) for line in lines)}\n{escape(says)}."


def _may(status: Status) -> str:
    """The names of commands alone: with what each takes they would be a page on a phone."""
    if not status.may:
        return "only /hvops help and /hvops status"
    return f"{', '.join(usage.split()[0] for usage in status.may)} (how to use them: /hvops help)"


def _code(usage: str) -> str:
    return f"*{escape(usage)}*"
