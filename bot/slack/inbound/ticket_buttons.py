"""What the buttons of a ticket do. Each click is answered; who may and who came first is for `ApprovalService` to say."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import structlog

from bot.api.actions import ReadBack
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.dispatch.pipeline import Request
from bot.errors import HvopsError, LedgerError, TicketError
from bot.executor.scheduler import ANSWER_SECONDS
from bot.ledger import Entry
from bot.ledger.entries import Clicked, Proposed, Refused
from bot.slack.inbound.freshness import FRESH_SECONDS, Freshness, Way
from bot.slack.inbound.request_handler import RequestHandler, SlackUser
from bot.slack.outbound.message import Message, View
from bot.slack.outbound.responder import Reply, ReplyTarget
from bot.slack.render import errors
from bot.slack.render.answer_modal import answer_view
from bot.slack.render.read_back_modal import read_back_view
from bot.slack.render.reason_modal import reason_view
from bot.slack.render.ticket_buttons import (
    AGAIN,
    ANSWER,
    APPROVE,
    CLOSE,
    GO_ON,
    HAND,
    LOOK,
    READ_BACK,
    REASONED,
    REJECT,
    REMEDY,
    SEALED,
    SHOW,
    STOP_STEP,
    UNDO,
    WITHDRAW,
    sealed_value,
)
from bot.slack.render.ticket_list import decision_message
from bot.slack.render.ticket_view_model import person as mention
from bot.slack.tickets.change_service import Changes
from bot.slack.tickets.message_table import MessageRef, button_seal, message_ref, message_refs, opened_at, window_seal
from bot.tickets.decisions import UserAction
from bot.tickets.proposal import proposal_of

log = structlog.get_logger()

# Said once it is in the ledger. What follows is shown by the ticket itself.
_SAYS = {
    APPROVE: "{decided}. {begins}",
    ANSWER: "approved, with your answers on record. {begins}",
    WITHDRAW: "withdrawn. Nothing is done.",
    STOP_STEP: "asked to stop. The step in progress will finish; nothing else starts{unless}.",
    HAND: "noted. hvops checks what it can.",
    READ_BACK: "noted, with what you read. It is what the plan expects.",
    GO_ON: "goes on. The step in progress is checked first.",
    REJECT: "rejected. Your reason is in the thread.",
    CLOSE: "closed as it is.",
}
_UNLESS = ", unless it fails: then its group is undone"
_BEGINS, _WAITS = "Re-checking, then starting.", "After /hvops go it is re-checked, then starts."


@dataclass(frozen=True, slots=True)
class Click:
    """A button that somebody pressed. Ids, and what our own action_id said.

    Attributes:
        verb: of the action_id "hvops:<verb>[:<argument>]"; "" for a button that is not ours.
        argument: the index, the name of a command, or the step or attempt that a button of a ticket was shown for.
        token: the value: an answer's token, or the number of a ticket.
        seal: what it carries beside a ticket.
        forged: nothing is decided by it: it was in no message of its ticket and carries no seal of ours.
        is_private: only one person saw the message it was in.
        view: the id of the view it was in; "" in messages.
        why: what was written into a window.
        said: what was written into a window that asks for more than one thing, in its order.
        seq: of the `clicked` entry; 0 where there is none.
        message: the ts of the message it was in; "" in views, in Home, and in what only one person sees.
        fresh: how old it is; what is too old decides nothing.
    """

    who: SlackUser
    where: ReplyTarget
    verb: str
    argument: str
    token: str
    trigger: str = ""
    view: str = ""
    why: str = ""
    said: tuple[str, ...] = ()
    seq: int = 0
    message: str = ""
    seal: str = ""
    forged: bool = False
    is_private: bool = False
    fresh: Freshness = field(default_factory=lambda: Freshness(None))

    @property
    def key(self) -> tuple[str, ...]:
        """The same click by the same person."""
        return (self.who.id, self.verb, self.argument, self.token, self.view)

    @property
    def is_in_thread(self) -> bool:
        """Whether it was in a reply; the message of a ticket is none."""
        return self.where.thread_ts not in ("", self.message)

    @property
    def index(self) -> int:
        """The argument as a number; -1 where it is none, or longer than any that hvops has written."""
        is_number = self.argument.isascii() and self.argument.isdecimal() and len(self.argument) <= _LONGEST_NUMBER
        return int(self.argument) if is_number else -1


_LONGEST_NUMBER = 9  # digits
_PROPOSE = frozenset({UNDO, AGAIN, REMEDY})  # what asks for a plan, in the name of who presses
# What begins something, or lets it go on: pressed hours ago, it counts no more.
_BEGIN = frozenset({APPROVE, ANSWER + REASONED, HAND, READ_BACK + REASONED, GO_ON})


class TicketClicks:
    """Does what the buttons of tickets say."""

    def __init__(self, desk: RequestHandler, changes: Changes, window: Callable[[Click, View], Awaitable[str]]) -> None:
        """Take the desk that answers, what changes things, and what opens a window."""
        self._desk = desk
        self._changes = changes
        self._window = window
        decisions = changes.decisions
        self._decides: Mapping[str, Callable[[UserAction, Click], Entry]] = {
            APPROVE: lambda press, _: decisions.approve(press),
            ANSWER + REASONED: lambda press, click: decisions.approve(press, click.said or ("",)),
            WITHDRAW: lambda press, _: decisions.withdraw(press),
            STOP_STEP: lambda press, _: decisions.cancel(press),
            HAND: lambda press, _: decisions.confirm_manual_step(press),
            READ_BACK + REASONED: lambda press, click: decisions.confirm_manual_step(press, click.said),
            GO_ON: lambda press, _: decisions.resume(press),
            REJECT + REASONED: lambda press, click: decisions.reject(press, click.why),
            CLOSE + REASONED: lambda press, click: decisions.close(press, click.why),
        }
        verbs: Mapping[str, Callable[[Click], Awaitable[None]]] = {
            **dict.fromkeys(self._decides, self._decide),
            REJECT: self._ask_why,
            CLOSE: self._ask_why,
            ANSWER: self._ask_how,
            READ_BACK: self._ask_read_back,
            LOOK: self._look,
            UNDO: self._undo,
            AGAIN: self._again,
            REMEDY: self._remedy,
            SHOW: self._show,
        }
        self.verbs = {verb: partial(self._do, does) for verb, does in verbs.items()}

    async def replay_missed(self, entry: Entry) -> None:
        """A click that was written down and never answered, because the bot was gone. Only decisions are made up for."""
        clicked = entry.read(Clicked)
        verb, _, argument = clicked.button.partition(" ")
        if verb not in self._decides or entry.ticket is None:
            return
        team, _, user = entry.actor.partition("/")
        where = ReplyTarget(user, clicked.place)
        click = Click(SlackUser(team, user), where, verb, argument, entry.ticket, seq=entry.seq)
        click = replace(click, why=clicked.reason, said=clicked.answers, forged=clicked.forged)
        click = replace(click, fresh=self._recorded(entry, clicked))
        await self._desk.report_errors(
            self._desk.reply(where), lambda: self._do(self._decide, click), f"late button {verb}"
        )

    def _recorded(self, entry: Entry, clicked: Clicked) -> Freshness:
        """How old a press is that stands in the ledger: as old as it came, and older by the time since, by the ledger's clock.

        What ends something counts however long hvops was away: who asked for it saw it taken, and nobody meant the rest.
        """
        age = None
        if clicked.button.partition(" ")[0] not in _BEGIN and clicked.age is not None:
            age = float(clicked.age)
        elif clicked.age is not None:
            since = self._changes.run.now() - datetime.fromisoformat(entry.at)
            age = clicked.age + max(0.0, since.total_seconds())
        most = FRESH_SECONDS if age is None else min(FRESH_SECONDS, age + ANSWER_SECONDS)
        return Freshness(age, Way.PRESS, most, recorded=True)

    async def _do(self, does: Callable[[Click], Awaitable[None]], click: Click) -> None:
        """Do what the button says, where hvops made it: a copy of the real message in its channel works too, once."""
        if click.forged:
            await self._refuse_forged(click)
            return
        if (
            click.message and not click.is_in_thread and click.verb != SHOW
        ):  # that one stands where the ticket is not shown
            self._desk.start(self._met(click))
        await does(click)

    async def is_forged(self, click: Click) -> bool:
        """Whether a press about a ticket is in no message that the ledger knows, and carries no seal of ours.

        The number of a ticket can be guessed, and whoever holds the bot's token can post any button. Raises LedgerError.
        """
        if click.verb.removesuffix(REASONED) not in SEALED or not click.token:
            return False
        return await self._desk.soon(partial(self._is_forged, click))

    def _is_forged(self, click: Click) -> bool:
        ledger = self._desk.parts.ledger
        story = ledger.story(click.token)
        proposed = story[0].read_if(Proposed) if story else None
        is_known = MessageRef(click.where.channel, click.message) in message_refs(story)
        if proposed is None:
            return bool(story) and not is_known  # about no ticket at all: that is what it is answered
        verb, ticket, digest = click.verb.removesuffix(REASONED), click.token, proposed.digest
        if click.verb.endswith(REASONED):
            right = window_seal(ledger, ticket, digest, _window_of(click), click.who.id, opened=opened_at(click.seal))
        elif click.is_private or click.is_in_thread:
            return True  # the message of a ticket is for everybody in its channel, and no reply
        elif not click.seal or verb in _PROPOSE:
            return not is_known  # a copy decides, once; but under another label it would make somebody ask for a plan
        else:
            right = button_seal(ledger, ticket, digest, click.where.channel)
        return not hmac.compare_digest(click.seal.encode(), right.encode())

    async def _refuse_forged(self, click: Click) -> None:
        """Say where the real message is. Nothing is decided, and the place of the ticket stays what it was."""
        ticket = click.token
        why = f"It was pressed outside the message of {ticket}: in a forward, or in a message that hvops did not post."
        log.warning(
            "a press in a message that is not ours", ticket=ticket, user=click.who.id, place=click.where.channel
        )
        refused = Refused(
            name=click.who.name, line=f"{click.verb} {ticket}", reason=why, category="not allowed", via="button",
            place=click.where.channel, click=click.seq,
        )  # fmt: skip
        await self._desk.entries.refuse(click.who.id, refused, ticket, always=True)
        link = await self._changes.board.permalink(ticket)
        await self._desk.reply(await self._where(click)).result(errors.not_the_real_message(ticket, link))

    async def _met(self, click: Click) -> None:
        try:
            await self._changes.board.reconcile_duplicate(click.token, MessageRef(click.where.channel, click.message))
        except HvopsError as error:  # a copy stays what it was: its buttons work
            log.info("copy not told", ticket=click.token, why=str(error))

    async def _decide(self, click: Click) -> None:
        """Decide, while it counts: who it is may take long to be told, and nothing is decided by what is old by then."""
        click = replace(click, fresh=await self._desk.dated(click.fresh))
        told: tuple[Person, str] | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, click.fresh.left)):
                person = await self._person(click)
                told = person, await self._changes.hindered(click.token) if click.verb == GO_ON else ""
        where = await self._where(click)
        if told is None or click.fresh.why_late():
            await self._refuse_late(click, where)
            return
        person, hindered = told
        via = "modal" if click.verb.endswith(REASONED) else "button"
        press = UserAction(person, click.token, via, where.channel, click.seq, click.index)
        if click.verb in (APPROVE, ANSWER + REASONED):
            await self._changes.show_plan(click.token)
        try:
            if click.verb == GO_ON:
                entry = await asyncio.to_thread(self._changes.decisions.resume, press, hindered)
            else:
                entry = await asyncio.to_thread(self._decides[click.verb], press, click)
        except TicketError as late:
            await self._desk.reply(where).result(errors.not_executed(late))
            return
        except LedgerError as error:
            await self._desk.reply(where).result(errors.not_decided(error))
            return
        self._changes.decided(entry)
        says = _SAYS[click.verb.removesuffix(REASONED)]
        decided = unless = ""
        if click.verb in (APPROVE, STOP_STEP):
            card = await self._changes.board.card(click.token)
            decided, unless = card.approved_by, _UNLESS if card.undoes_a_failure else ""
        begins, waits = (
            decision_message(click.token, says.format(decided=decided, begins=when, unless=unless))
            for when in (_BEGINS, _WAITS)
        )
        await self._desk.reply(where).result(await self._changes.beside_a_stop(begins, waits))

    async def _refuse_late(self, click: Click, where: ReplyTarget) -> None:
        """Say that it came too late to count, and write that down: no later life of the bot takes it up."""
        why = click.fresh.why_late() or "This could not be answered in time. Nothing was done. Press again."
        known = await self._desk.soon(partial(self._desk.parts.ledger.story, click.token))
        late = TicketError(f"{click.token}: {why}" if known else f"There is no ticket {click.token}.")
        refused = Refused(
            line=f"{click.verb} {click.token}", reason=str(late), category="too late", via="button",
            place=where.channel, click=click.seq,
        )  # fmt: skip
        await self._desk.entries.refuse(click.who.id, refused, click.token if known else None, always=True)
        await self._desk.reply(where).result(errors.not_executed(late))

    async def _ask_why(self, click: Click) -> None:
        """Ask for a reason; of nobody whose word would not count, or who comes too late."""
        person = await self._person(click)
        where = await self._where(click)
        press = UserAction(person, click.token, "button", where.channel, click.seq, click.index)
        verb = "reject" if click.verb == REJECT else "close"
        try:
            await asyncio.to_thread(self._changes.decisions.must_explain, press, verb)
        except TicketError as late:
            await self._desk.reply(where).result(errors.not_executed(late))
            return
        await self._open(click, reason_view(click.verb, click.token, click.argument if verb == "close" else ""))

    async def _ask_how(self, click: Click) -> None:
        """Ask for the answers; of nobody whose answer would not count, or who comes too late."""
        person = await self._person(click)
        where = await self._where(click)
        press = UserAction(person, click.token, "button", where.channel, click.seq)
        await self._changes.show_plan(click.token)
        try:
            proposal = await asyncio.to_thread(self._changes.decisions.must_answer, press)
        except TicketError as late:
            await self._desk.reply(where).result(errors.not_executed(late))
            return
        await self._open(click, answer_view(click.token, proposal.plan))

    async def _ask_read_back(self, click: Click) -> None:
        """Ask for what they read off the machine; of nobody who may not say it, or for whom another step waits."""
        person = await self._person(click)
        where = await self._where(click)
        press = UserAction(person, click.token, "button", where.channel, click.seq, click.index)
        try:
            place = await asyncio.to_thread(self._changes.decisions.must_read_back, press)
        except TicketError as late:
            await self._desk.reply(where).result(errors.not_executed(late))
            return
        if not isinstance(place.step.act, ReadBack):
            await self._say(click, errors.expired_button())
            return
        await self._open(click, read_back_view(click.token, place, click.index))

    async def _open(self, click: Click, view: View) -> None:
        """Open a window for this person and this ticket: what is sent off by anybody else, or from another, is not ours."""
        ledger, ticket = self._desk.parts.ledger, click.token
        digest = (await asyncio.to_thread(proposal_of, ledger, ticket)).digest
        opened = await self._desk.slack_seconds()
        seal = window_seal(ledger, ticket, digest, _window_of(click), click.who.id, opened=opened)
        await self._window(click, {**view, "private_metadata": sealed_value(ticket, seal)})

    async def _look(self, click: Click) -> None:
        person = await self._who_may_look(click, "look at")
        await self._begins(click)
        by = mention(click.who.id, click.who.name)
        await self._say(click, await self._changes.look(person, click.token, by))

    async def _begins(self, click: Click) -> None:
        """Say at once that it was understood: hosts are asked before there is anything to answer."""
        self._desk.start(_said(self._desk.reply(click.where), Message(f"Checking {click.token}…")))

    async def _who_may_look(self, click: Click, wanted: str) -> Person:
        """Who this is, where they may look at all that the ticket is about; a refusal stands in the ledger."""
        request = await self._request(click, f"{wanted} {click.token}")
        async with self._desk.parts.pipeline.recording_refusals_beside(request):
            await self._changes.seen_by(request.person, click.token)
        return request.person

    async def _undo(self, click: Click) -> None:
        click = replace(click, fresh=await self._desk.dated(click.fresh))
        if click.fresh.why_late():
            await self._refuse_late(click, click.where)
            return
        request = await self._request(click, f"undo {click.token}")
        await self._begins(click)
        await self._say(click, await self._changes.undo(request, click.token))

    async def _again(self, click: Click) -> None:
        made = (await self._changes.board.card(click.token)).proposal.made
        if made.undoes:
            await self._undo(replace(click, token=made.undoes))
            return
        await self._desk.handle_line(
            click.who, click.where, read_typed(made.line, EntryPoint.BUTTON), "button", click.seq, fresh=click.fresh
        )

    async def _remedy(self, click: Click) -> None:
        remedies = (await self._changes.board.card(click.token)).plan.remedies
        if not 0 <= click.index < len(remedies):
            await self._say(click, errors.expired_button())
            return
        await self._desk.handle_line(
            click.who,
            click.where,
            read_typed(remedies[click.index].line, EntryPoint.BUTTON),
            "button",
            click.seq,
            fresh=click.fresh,
        )

    async def _show(self, click: Click) -> None:
        await self._who_may_look(click, "show")
        await self._say(click, await self._changes.put_up(click.token))

    async def _request(self, click: Click, line: str) -> Request:
        person = await self._person(click)
        return Request(person, line, "button", click.where.channel or "home", click.seq)

    async def _person(self, click: Click) -> Person:
        """Who this is. A refusal names the click, so that no later life of the bot makes up for it."""
        try:
            return await self._desk.parts.people.person(click.who.team, click.who.user, click.who.name)
        except HvopsError as error:
            refused = Refused(
                name=click.who.name, line=click.verb, reason=str(error), category=error.refused_as, via="button",
                click=click.seq,
            )  # fmt: skip
            ledger = self._desk.parts.ledger
            known = await asyncio.to_thread(ledger.entries, ticket=click.token, kind="proposed", limit=1)
            await self._desk.entries.refuse(click.who.id, refused, click.token if known else None, always=True)
            raise

    async def _where(self, click: Click) -> ReplyTarget:
        """Where to answer: a window knows no channel, the ticket does."""
        if click.where.channel:
            return click.where
        place = message_ref(await asyncio.to_thread(self._desk.parts.ledger.story, click.token))
        return replace(click.where, channel=place.channel) if place else click.where

    async def _say(self, click: Click, message: Message) -> None:
        await self._desk.reply(click.where).result(message)


async def _said(reply: Reply, message: Message) -> None:
    await reply.begins(message)


def _window_of(click: Click) -> str:
    """What a window was opened for, as its seal says: with the step or the attempt, where it is about one."""
    verb = click.verb.removesuffix(REASONED)
    return f"{verb} {click.argument}" if verb in (READ_BACK, CLOSE) else verb
