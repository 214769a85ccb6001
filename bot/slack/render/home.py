"""The Home tab and the modal behind its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.audit.rows import Row
from bot.dispatch.help import Help, Status, format_roles
from bot.formatting import command_title
from bot.ledger import ChainStatus
from bot.slack.outbound.blockkit_fitting import fit_view
from bot.slack.outbound.local_times import local_blocks
from bot.slack.outbound.message import Block, View, escape, truncate
from bot.slack.render.audit_results import OPEN as AUDIT
from bot.slack.render.audit_results import broken, broken_title, chain_status, rows_table
from bot.slack.render.blocks import ASK_AGAIN, SHOW, TYPED, actions, button, contexts, header, moment, sections
from bot.slack.render.stop import stopped_blocks
from bot.slack.render.tables_and_charts import table_blocks
from bot.slack.render.ticket_buttons import open_button
from bot.slack.render.ticket_view_model import StopView

_LAST = 10
LISTED = 10  # tickets of one kind
_SAYS = 600


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """An answer this person got before."""

    token: str
    at: datetime
    line: str
    verdict: str


@dataclass(frozen=True, slots=True)
class OpenTickets:
    """Open tickets of one kind.

    Attributes:
        does: what is said of them: "to decide", "need attention", "running".
        tickets: number, what it says (mrkdwn), and the link to its message or ""; at most `LISTED`.
        count: how many there are.
        not_looked_at: how many older ones may belong here, too.
    """

    does: str
    tickets: tuple[tuple[str, str, str], ...]
    count: int
    not_looked_at: int = 0


@dataclass(frozen=True, slots=True)
class RecentChanges:
    """What the ledger says of the last changes, and of itself.

    Attributes:
        ended: the tickets that ended last, newest first.
        chain: how far the chain holds; None where nobody could look, or the person may not see it.
        bot: what the bot does now: "read-write", "read-only", "stopped".
    """

    ended: tuple[Row, ...] = ()
    chain: ChainStatus | None = None
    bot: str = ""


def home_view(
    status: Status,
    told: Help,
    last: Sequence[LastAnswer],
    open_now: Sequence[OpenTickets] = (),
    lately: RecentChanges | None = None,
    *,
    stop: StopView | None = None,
) -> View:
    """That changes are stopped, where they are; what waits, what happened, who you are and what you may do, your last answers, and a button per command."""
    usable = [line for line in told.lines if line.allowed]
    starts = [button(f"{_spoken(line.usage)}…", f"{TYPED}:{line.usage.split()[0].lstrip('/')}") for line in usable]
    audit = [button("Audit", AUDIT)] if lately is not None and usable else []
    blocks = [
        *stopped_blocks(stop),
        *_broken(lately),
        *(block for one in open_now if one.count or one.not_looked_at for block in _open(one)),
        *sections(_none(open_now)),
        *_ended(lately),
        header("hvops"),
        *sections(f"*You:* {escape(format_roles(status.roles))}{_bot(lately)}"),
        *actions([*starts, *audit]),
        header("Your recent answers"),
        *(block for one in last[:_LAST] for block in _answer(one)),
        *(() if last else sections("None yet.")),
        *contexts(f"Ledger: {escape(status.ledger)}{_chain(lately)}"),
        *contexts(" · ".join(f"{escape(label)}: {escape(says)}" for label, says in status.connections)),
    ]
    return fit_view({"type": "home", "blocks": [*local_blocks(blocks, datetime.now(UTC))]})


def no_role_view(says: str) -> View:
    """The Home tab of somebody without a role: whom to ask, and nothing else. `says` is plain text."""
    return fit_view({"type": "home", "blocks": [header("hvops"), *sections(escape(says))]})


def _broken(lately: RecentChanges | None) -> tuple[Block, ...]:
    """Before everything else: what stands below may not be so."""
    if lately is None or lately.chain is None or lately.chain.holds:
        return ()
    return (header(broken_title(lately.chain)), *sections(broken(lately.chain)))


def _ended(lately: RecentChanges | None) -> tuple[Block, ...]:
    if lately is None or not lately.ended:
        return ()
    table = rows_table("Recently finished changes", lately.ended)
    return (header("What happened"), *table_blocks(table))


def _bot(lately: RecentChanges | None) -> str:
    return f" · *Bot:* {lately.bot}" if lately is not None and lately.bot else ""


def _chain(lately: RecentChanges | None) -> str:
    return f" · {chain_status(lately.chain)}" if lately is not None and lately.chain is not None else ""


def _open(one: OpenTickets) -> tuple[Block, ...]:
    """Only a link to each: nothing is decided here, away from the whole plan."""
    shown = [block for ticket in one.tickets for block in _ticket(*ticket)]
    more = one.count - len(one.tickets)
    says = [f"{more:,} more: type /hvops runs."] if more > 0 else []
    says += [f"{one.not_looked_at:,} older ones were not checked."] if one.not_looked_at else []
    return (header(f"{one.count:,} {_verb(one)}"), *shown, *(contexts(" ".join(says)) if says else ()))


def _none(open_now: Sequence[OpenTickets]) -> str:
    """Which kinds have no ticket, in one sentence: "Nothing to decide, nothing needs attention."; "" where each has one."""
    words = [f"nothing {_verb(one)}" for one in open_now if not (one.count or one.not_looked_at)]
    told = ", ".join(words)
    return f"{told[:1].upper()}{told[1:]}." if told else ""


def _verb(one: OpenTickets) -> str:
    is_one = one.count < 2  # noqa: PLR2004 — plural from two on
    return one.does.replace("need ", "needs ", 1) if is_one else one.does


def _ticket(ticket: str, says: str, link: str) -> tuple[Block, ...]:
    row = actions([open_button(link, ticket)]) if link else ()
    return (*sections(truncate(says, _SAYS)), *row)


def _answer(one: LastAnswer) -> tuple[Block, ...]:
    said = f"{escape(truncate(one.verdict, 600))}\n{escape(truncate(one.line, 200))} · {moment(one.at, '{date_short_pretty} {time}')}"
    pair = [button("Show Answer", SHOW, one.token), button("Check Again", ASK_AGAIN, one.token)]
    return (*local_blocks(sections(said), one.at), *actions(pair))


def _spoken(usage: str) -> str:
    """The name of a command in words: `/check-writers <cluster>` is "Check Writers"."""
    return command_title((usage.split() or [""])[0].lstrip("/"))


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
