"""`hvops runs`, `hvops stop`, `hvops go`: what must work while Slack does not, on the bot's own machine.

They need the settings and the ledger, and nothing else: no host, no Slack, and no bot that runs. Where the inventory cannot be
read, what a stop covers is not known, and `go` asks for the role approver on "*". A bot that runs obeys what is written here before its next step, and posts it to every ops channel as soon as Slack takes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from bot.cli.ask import REFUSED, UNKNOWN, WELL, print_error, stopped_in_words
from bot.cli.console import console, format_short_time, styled
from bot.cli.layout import print_rows, print_text
from bot.cli.os_user import OsUser, who_typed
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Settings
from bot.dispatch.authorization import Person
from bot.errors import LedgerError, SwitchUnchanged, UsageError
from bot.ledger import Entry, Reader, TicketRow
from bot.ledger.entries import Stopped
from bot.ledger.ticket_state import OPEN
from bot.ledger_place import Place
from bot.services import open_ledger
from bot.tickets.decisions import ApprovalService

_VIA = "terminal"
_LISTED = 50
_LONGEST_REASON = 10_000  # bytes that are read of one
_POSTED = "The bot posts this to every ops channel once it is running and Slack is reachable."
_NOT_THE_BOTS = (
    "The bot runs as this account, so hvops can't tell who you are. Log in as yourself and run this through sudo, or "
    "type /hvops go in Slack."
)


def runs(settings: Settings) -> int:
    """Print whether changes are stopped, and every open ticket. Returns the exit code."""
    place = _existing_ledger(settings)
    try:
        with open_ledger(settings) as ledger:
            newest, rows, count = ledger.newest_switch(), ledger.listed(OPEN, _LISTED), sum(ledger.counted().values())
    except LedgerError as error:
        print_error(console(errors=True), f"{error}\nNOT VERIFIED: this is only what the file says, and nothing runs.")
        with Reader(place) as reader:
            newest, rows, count = reader.newest_switch(), reader.listed(OPEN, _LISTED), sum(reader.counted().values())
        _print_runs(newest, rows, count)
        return UNKNOWN
    _print_runs(newest, rows, count)
    return WELL


def stop(settings: Settings, words: Sequence[str]) -> int:
    """Stop changes. Returns the exit code: 0 also where they are stopped already."""
    why = " ".join(words) if words else _asked_why()
    with _decisions(settings) as (decisions, user):
        person = user.person(settings.roles)
        return _switched(lambda: decisions.stop_changes(person, why, via=_VIA, place=user.host))


def go(settings: Settings) -> int:
    """Let changes start again. Returns the exit code: 0 also where nothing is stopped.

    Whatever `go` in `[policy]` says, at a terminal it takes an account that `[roles.approver]` names, and never the bot's.
    """
    # Opening a ledger may take a while, in which others stop changes.
    typed = datetime.now(UTC)
    with _decisions(settings) as (decisions, user):
        given = decisions.in_force().as_given(typed, datetime.now(UTC))
        person = user.person(settings.roles)
        if user.is_bots_account:
            person = Person(person.id, person.name, barred=_NOT_THE_BOTS)
        return _switched(lambda: decisions.allow_changes(person, via=_VIA, place=user.host, given=given))


@contextmanager
def _decisions(settings: Settings) -> Iterator[tuple[ApprovalService, OsUser]]:
    """What decides, by this ledger, and who typed, by its files."""
    _existing_ledger(settings)
    user = who_typed(settings.ledger)
    policy = settings.policy.model_copy(update={"go": "approver"})
    with open_ledger(settings) as ledger:
        # Read for a go alone: a slip in the inventory keeps nobody from stopping.
        yield (
            ApprovalService(
                ledger, policy, ledger.now, covered=lambda: load_inventory(settings.inventory).role_places()
            ),
            user,
        )


def _asked_why() -> str:
    """The reason, as a line of standard input: a sudo rule can so allow the command alone, without any words behind it."""
    if sys.stdin is None:  # it was started with none
        return ""
    sys.stderr.write("Why? Everyone sees the reason. ")
    sys.stderr.flush()
    return sys.stdin.buffer.readline(_LONGEST_REASON).decode(errors="replace").strip()


def _switched(switch: Callable[[], Entry]) -> int:
    """Do it and say what came of it. Whoever wants what is so already is told who did it."""
    out = console()
    try:
        entry = switch()
    except SwitchUnchanged as same:
        print_text(out, styled(str(same)))
        return WELL
    except UsageError as error:
        print_error(console(errors=True), str(error), "hvops stop <why>")
        return REFUSED
    if entry.kind == Stopped.kind:
        print_text(
            out,
            styled("Changes are stopped. Steps in progress will finish; nothing new starts until hvops go.", "bold"),
        )
    else:
        print_text(out, styled("Changes can start again.", "bold"))
    print_text(out, styled(f"Entry {entry.seq}, as {entry.name}. {_POSTED}", "dim"))
    return WELL


def _existing_ledger(settings: Settings) -> Place:
    """The ledger, where there is one: none is begun here. Raises LedgerError."""
    path = settings.ledger.lock_base
    try:
        path.stat()
    except OSError as error:
        raise LedgerError(
            f"{path}: {error.strerror}. Run this with the bot's settings, as the bot's account (through sudo)."
        ) from None
    return settings.ledger.place


def _print_runs(newest: Entry | None, rows: Sequence[TicketRow], count: int) -> None:
    out = console()
    stopped = stopped_in_words(newest)
    print_text(out, styled(stopped, "bold red") if stopped else styled("Changes are not stopped."))
    if not rows:
        print_text(out, styled("No open tickets."))
        return
    drawn = []
    for one in rows:
        until = format_short_time(one.open_until) if one.state == "proposed" else ""
        drawn.append([styled(cell) for cell in (one.id, one.state, one.requester.rpartition("/")[2], until, one.line)])
    print_rows(out, drawn, ("Ticket", "State", "Requested by", "Open until", "Line"))
    if count > len(rows):
        print_text(out, styled(f"The newest {len(rows)} of {count:,}.", "dim"))
