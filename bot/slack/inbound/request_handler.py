"""What is done about a line or a click, once Slack has its acknowledgement: person, pipeline, renderer, reply.

Nothing here trusts what came back from Slack except ids. A button names an answer by its token; the ledger says
what that answer was, and the pipeline asks again whether this person may see it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any, TypeVar

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.beside import beside, for_a_question_of
from bot.api.command import Role
from bot.dispatch.argument_parser import Parameter, is_read_as_itself
from bot.dispatch.authorization import EVERYWHERE, Person, no_role, require_switch
from bot.dispatch.builtins import AUDIT, FRONT_DOOR, GO, STATUS, STOP, Builtin
from bot.dispatch.command_line import TypedLine
from bot.dispatch.help import Status, help_for
from bot.dispatch.line_entries import LineEntries
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.pipeline import AnsweredRequest, Pipeline, Request
from bot.dispatch.query_session import Progress
from bot.dispatch.registry import Command, Registry
from bot.errors import (
    HvopsError,
    InternalError,
    LedgerError,
    PermissionDenied,
    RolesUnknown,
    StopNotWritten,
    SwitchUnchanged,
    TicketError,
    TooManyLines,
    UsageError,
)
from bot.ledger import Entry, Ledger
from bot.ledger.entries import Answered, AnswerShown, Asked, EntryData, Refused, Stopped
from bot.ledger.envelope import InForce
from bot.redaction import clip
from bot.slack.inbound.audit_command import AuditCommand
from bot.slack.inbound.builtin_commands import SWITCHES, Beside, Origin, open_tickets, stop_for, switch, unchanged
from bot.slack.inbound.freshness import INEXACT_SECONDS, Freshness
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, classify_error
from bot.slack.outbound.blockkit_fitting import weaker_view
from bot.slack.outbound.message import Block, Message, View
from bot.slack.outbound.outbox import Outbox
from bot.slack.outbound.responder import PressedReply, Reply, ReplyTarget, WindowReply
from bot.slack.outbound.slack_time import slack_time
from bot.slack.render import errors, progress
from bot.slack.render import help as help_renderer
from bot.slack.render.blocks import seal_answer
from bot.slack.render.command_modal import (
    Form,
    form_view,
    has_closed_list,
    options_of,
    progress_view,
    result_view,
)
from bot.slack.render.home import LastAnswer, RecentChanges, home_view, no_role_view
from bot.slack.render.report import asking_message, report_message
from bot.slack.render.stop import stop_view
from bot.slack.roles import RoleResolver
from bot.slack.tickets.change_service import Changes
from bot.transport.turns import Slots, asking_as

log = structlog.get_logger()

BOT = "bot"  # the actor of entries that nobody asked for
_LAST = 10
_MENU_SECONDS = 1.0  # until somebody who opens a menu is shown it, empty where nothing is known of them
# Windows of one person at once, and until the next: half of what all have in a minute, at most. Each is filled once, so
# what changes one that is open counts with them.
_WINDOWS, _WINDOW_SECONDS = 30, 3.0
# Mentions, each of which takes two of the messages that only its person sees: that it was understood, and the answer.
_MENTIONS, _MENTION_SECONDS = 10, 4.0
_TOLD_SECONDS = 60.0  # until somebody who goes on mentioning hvops is told again that it is too often
_AT_ONCE = 4  # short reads and writes of the ledger; it takes one write at a time
_NOTED_AT_ONCE = 5  # presses, or stops, that are written down, but for one place that is for runs; of one person two
# Whether what runs writes down a stop.
_stopping: ContextVar[bool] = ContextVar("stopping", default=False)
# Lines to hvops itself, each of which is an entry: more than anybody types by hand.
_OWN_LINES, _OWN_LINE_SECONDS = 30, 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SlackUser:
    """Somebody, by Slack's ids. The name is only for showing."""

    team: str
    user: str
    name: str = ""

    @property
    def id(self) -> str:
        """As the ledger writes it."""
        return f"{self.team}/{self.user}"


@dataclass(frozen=True, slots=True)
class HandlerDeps:
    """What a desk works with.

    Attributes:
        status: how the bot is, for the person who asks.
        base_url: of the Web API; says whose response URLs count.
        seconds: the longest an answer may take.
        ticks: seconds after which progress is said.
        changes: what it takes to change something; None where this bot only asks.
        reviews: what answers /audit; None where nobody asks that.
    """

    client: AsyncWebClient
    outbox: Outbox
    people: RoleResolver
    pipeline: Pipeline
    registry: Registry
    ledger: Ledger
    status: Callable[[Person], Awaitable[Status]]
    base_url: str
    seconds: int = 60
    ticks: tuple[float, ...] = (5.0, 15.0)
    changes: Changes | None = None
    reviews: AuditCommand | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A window whose fields made a line.

    Attributes:
        view: its id.
        typed: what its fields held, by parameter.
    """

    view: str
    command: Command
    typed: Mapping[str, str]


class RequestHandler:
    """Answers people. Every method may be called at once for many."""

    def __init__(self, parts: HandlerDeps) -> None:
        """Take the parts."""
        self.parts = parts
        self._running: set[asyncio.Task[None]] = set()
        self._homes: dict[str, bool] = {}  # whose is being drawn, and whether they opened it again meanwhile
        self._threads = ThreadPoolExecutor(_AT_ONCE, "acknowledge")
        # Slack opens a hundred windows a minute, and changes as many, for all people together: a trigger is worth nothing later
        self.windows = PersonRate(_WINDOWS, _WINDOW_SECONDS)
        self.mentions = PersonRate(_MENTIONS, _MENTION_SECONDS)
        self.told_too_many = PersonRate(1, _TOLD_SECONDS)
        self.own_lines = PersonRate(_OWN_LINES, _OWN_LINE_SECONDS)
        self._noting, self._noting_stops = Slots(_NOTED_AT_ONCE), Slots(_NOTED_AT_ONCE)
        self._stop_threads = ThreadPoolExecutor(_AT_ONCE, "stops")  # no press and no answer keeps these busy
        self._menus = ThreadPoolExecutor(1, "menus")  # whoever holds down a key holds up menus alone

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something after the acknowledgement, and keep it from being collected."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Abandon what is being asked. The ledger shows it as asked and not answered."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.entries.close()
        self._threads.shutdown(wait=False)
        self._stop_threads.shutdown(wait=False)
        self._menus.shutdown(wait=False, cancel_futures=True)

    @property
    def entries(self) -> LineEntries:
        """What writes entries about people's lines, of each person few at a time."""
        return self.parts.pipeline.entries

    @asynccontextmanager
    async def turn_to_note(self, who: str, builtin: Builtin | None = None) -> AsyncIterator[None]:
        """Few presses of one person at a time: whoever presses on and on waits for themselves, and not with a stop."""
        slots = self._noting_stops if builtin is STOP else self._noting
        with asking_as(who):
            key = await slots.acquire(inf)
        stopping = _stopping.set(builtin is STOP)
        try:
            yield
        finally:
            _stopping.reset(stopping)
            slots.release(key)

    async def cannot_stop(self, who: SlackUser) -> bool:
        """Whether somebody is known, within a second, to be nobody who may stop changes: what they say of it does nothing."""
        with contextlib.suppress(HvopsError, TimeoutError):
            async with asyncio.timeout(_MENU_SECONDS):
                return self._may_not_stop(await self.parts.people.person(who.team, who.user, who.name))
        return False

    def _may_not_stop(self, person: Person) -> bool:
        """The same of somebody who was looked up. What is not known keeps nobody from stopping."""
        if self.parts.changes is None:
            return person.highest_role is Role.NOBODY and not person.unknown
        try:
            require_switch(person, self.parts.changes.decisions.stopping_role, Stopped.kind)
        except RolesUnknown:
            return False
        except PermissionDenied:
            return True
        return False

    def reply(self, where: ReplyTarget) -> Reply:
        """How this person is answered."""
        return Reply(self.parts.outbox, where, self.parts.base_url)

    async def write(self, actor: str, data: EntryData, ticket: str | None = None) -> Entry:
        """Append to the ledger without holding up the loop. Raises LedgerError, TicketError."""
        return await self.soon(partial(self.parts.ledger.append, actor, data, ticket))

    async def soon(self, work: Callable[[], T]) -> T:
        """Read or write a little on a thread of our own: an acknowledgement waits for it, and must for nothing longer."""
        threads = self._stop_threads if _stopping.get() else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    def answer_seal(self, user: str, does: str, token: str) -> str:
        """What a button of an answer carries that starts something: for one person, one answer, and one thing ("run:0")."""
        return self.parts.ledger.sign_text("answer", token, does, user)

    def sealed(self, user: str, blocks: Iterable[Block]) -> tuple[Block, ...]:
        """The blocks of an answer for one person: their buttons start something for nobody else."""
        return seal_answer(blocks, partial(self.answer_seal, user))

    def sealed_message(self, user: str, message: Message) -> Message:
        """The same of a message, and of what represents it where Slack refuses its blocks."""
        instead = self.sealed_message(user, message.instead) if message.instead else None
        return replace(message, blocks=self.sealed(user, message.blocks), instead=instead)

    def ack_message(self, line: TypedLine) -> Message | None:
        """What to say at once about a typed line: nothing where the answer itself comes at once."""
        asks = line.builtin is None and self.parts.pipeline.can_parse(line)
        return progress.started_message(line.text, self.parts.seconds) if asks else None

    async def form(self, who: SlackUser, command: Command, filled: Form) -> View:
        """The window of a command, for this person: what can be chosen is what the inventory names, where they may use it."""
        names: dict[str, tuple[str, ...]] = {}
        with contextlib.suppress(HvopsError):  # then it is chosen from a menu that asks again, or typed
            person = await self.parts.people.person(who.team, who.user, who.name)
            names = {
                one.name: self.names_for(person, command, one) for one in command.parameters if has_closed_list(one)
            }
        opened = await self.slack_seconds()
        return form_view(replace(filled, names=names, seal=self.form_seal(who, command.name, opened)))

    def form_seal(self, who: SlackUser, command: str, opened: int) -> str:
        """What the window of a command carries: opened for one person and one command, and when, by Slack's clock."""
        return f"{self.parts.ledger.sign_text('form', command, who.id, str(opened))}.{opened}"

    async def may_look(self, who: SlackUser) -> bool:
        """Whether somebody is known, within a second, to have any role: nobody else is told what a command takes."""
        with contextlib.suppress(HvopsError, TimeoutError):
            async with asyncio.timeout(_MENU_SECONDS):
                person = await self.parts.people.person(who.team, who.user, who.name)
                return person.highest_role is not Role.NOBODY
        return False

    def names_for(self, person: Person, command: Command, parameter: Parameter) -> tuple[str, ...]:
        """The names that may be offered for a parameter: those known by now, of places where this person may use it."""
        known = self.parts.pipeline.inventory.suggestions(parameter.targets, parameter.names)
        may_use = person.highest_role >= command.role
        may: dict[tuple[str, ...], bool] = {}  # of few places, each of which has many names
        for places in set(known.values()):
            may[places] = may_use and all(person.role_on(place) >= command.role for place in places)
        names = [name for name, places in known.items() if may[places]]
        offers = parameter.offers if may_use else ()
        return tuple(dict.fromkeys((*names, *offers)))

    async def options(self, who: SlackUser, command: str, parameter: str, typed: str) -> list[Block]:
        """What a menu shows while somebody types into it: within a second, or nothing. No host is asked.

        A name that a line would not keep as it is, or that holds a secret, is not offered: it can be typed.
        """
        found = self.parts.registry.get(command)
        wanted = next((one for one in found.parameters if one.name == parameter), None) if found else None
        if found is None or wanted is None:
            return []
        return await self._menu(
            who,
            typed,
            lambda person: self.names_for(person, found, wanted),
            partial(is_read_as_itself, wanted),
        )

    async def places(self, who: SlackUser, typed: str) -> list[Block]:
        """Clusters and hosts for the filters of `/audit`, as in a menu of a command."""

        def names_for(person: Person) -> Iterable[str]:
            known = self.parts.pipeline.inventory.suggestions(("cluster", "host"))
            return [name for name, places in known.items() if all(person.role_on(one) > Role.NOBODY for one in places)]

        return await self._menu(who, typed, names_for)

    async def _menu(
        self,
        who: SlackUser,
        typed: str,
        names_for: Callable[[Person], Iterable[str]],
        may: Callable[[str], bool] = lambda _: True,
    ) -> list[Block]:
        """The options for somebody, made on a thread of their own: there may be a hundred thousand names to go through."""
        mask = self.parts.pipeline.mask.redact_text

        def options(person: Person) -> list[Block]:
            return options_of(names_for(person), typed, lambda name: may(name) and mask(name) == name)

        with contextlib.suppress(HvopsError, TimeoutError):
            async with asyncio.timeout(_MENU_SECONDS):
                person = await self.parts.people.person(who.team, who.user, who.name)
                if person.highest_role is not Role.NOBODY:
                    return await asyncio.get_running_loop().run_in_executor(self._menus, options, person)
        return options_of((), typed)

    async def reply_to_press(self, where: ReplyTarget, answered: AnsweredRequest) -> Reply:
        """How somebody is answered who pressed a button of an answer that only they see: in it stands how far it is."""
        made = await beside(report_message, answered.report, answered.token, answered.at)
        # Its files were sent; it is held until all is answered.
        shown = replace(self.sealed_message(where.user, made), files=())
        return PressedReply(self.parts.outbox, where, self.parts.base_url, partial(asking_message, shown))

    def reply_in(self, who: SlackUser, window: Window) -> Reply:
        """How somebody is answered in the window that they sent off."""
        draw: Mapping[str, Callable[[Message], View]] = {
            "progress": partial(progress_view, window.command),
            "result": lambda message: result_view(window.command, self.sealed_message(who.user, message)),
        }
        update = partial(self._shown_in, who, window.view)
        return WindowReply(self.parts.outbox, ReplyTarget(who.user), self.parts.base_url, update, draw)

    async def _shown_in(self, who: SlackUser, window: str, view: View) -> bool:
        """Whether a window shows a view now. One that was closed does not, and is no trouble.

        Nor does one of somebody who has had many changed: they are answered another way, and others have theirs.
        """
        wanted: View | None = view
        while wanted is not None and self.windows.take(who.id):
            try:
                await self.parts.client.views_update(view_id=window, view=wanted)
            except Exception as error:  # noqa: BLE001 - foreign errors; whoever asked is answered another way
                fate = classify_error(error, idempotent=True)
                log.info("a window was not updated", why=clip(str(error), 200))
                wanted = weaker_view(wanted) if isinstance(fate, NotSent) and fate.code == "invalid_blocks" else None
            else:
                return True
        return False

    async def handle_line(
        self,
        who: SlackUser,
        where: ReplyTarget,
        line: TypedLine,
        via: str,
        answers: int | None = None,
        *,
        trigger: str = "",
        fresh: Freshness | None = None,
        window: Window | None = None,
        reply: Reply | None = None,
        given: asyncio.Task[InForce] | None = None,
    ) -> None:
        """Answer a line that somebody typed or pressed.

        Args:
            who: who did.
            where: where they are answered.
            line: what.
            via: the entry point, for the ledger.
            answers: the number of the `clicked` entry.
            trigger: opens a window for them, for three seconds.
            fresh: how old it is; None of a slash command, which Slack does not date. An old one proposes nothing, stops
                nothing and lets nothing start; what only asks is answered.
            window: the one whose fields made the line; the answer is shown there, or what is wrong with them.
            reply: how they are answered, where that is neither there nor as anybody is.
            given: of a go, what was in force when it came in (`note_go`); None where it comes in here.
        """
        given = given or self.note_go(who, line)
        reply = reply or (self.reply(where) if window is None else self.reply_in(who, window))
        self._acknowledge(line, reply, fresh)

        async def work() -> None:
            person = await self.person(who, where, line.text, answers)
            late, dated = "", None
            if fresh is not None and self._changes_something(line):
                dated = await self.dated(fresh, exactly=line.builtin is GO)
                late = dated.why_late()
            if late:
                refused = Refused(
                    line=clip(line.text, 200),
                    reason=late,
                    category="too late",
                    via=via,
                    place=where.channel,
                    click=answers,
                )
                await self.entries.refuse(who.id, refused)
                await reply.result(errors.not_executed(TicketError(late)))
                return
            if self.parts.reviews is not None and line.builtin is AUDIT:
                asked = Request.of(person, line, via, where.channel or "home", answers)
                await reply.result(await self.parts.reviews.answer(asked))
                return
            if line.builtin is not None and line.by_front_door:
                counts_for = self._as_written(await given, dated) if given is not None else None
                origin = Origin(via, where.channel or "home", answers, counts_for)
                await self._front_door(line, person, reply, origin, trigger)
                return
            request = Request.of(person, line, via, where.channel or "home", answers)
            answered = await self._answer(request, reply)
            if isinstance(answered, Message):
                await reply.result(answered)
            else:
                # What hosts said stands in the ledger: it is not held while the answer waits for its turn in a channel.
                answered = replace(answered, evidence=())
                with for_a_question_of(who.id):
                    await self.deliver(answered, reply)

        async def filled_in() -> None:
            try:
                await work()
            except UsageError as error:
                if window is None or not await self._asked_again(who, window, error):
                    raise

        await self.report_errors(reply, filled_in, line.text)

    def note_go(self, who: SlackUser, line: TypedLine) -> asyncio.Task[InForce] | None:
        """What is in force of stop and go, looked up while the line comes in: a go ends no stop that comes later.

        Asked of Slack is nothing before that: it may take minutes to say who somebody is. None for any other line.
        """
        if line.builtin is not GO or self.parts.changes is None:
            return None
        decisions = self.parts.changes.decisions
        came = decisions.now()

        async def in_force() -> InForce:
            async with self.turn_to_note(who.id):
                return await self.soon(lambda: decisions.in_force().as_given(came, decisions.now()))

        return asyncio.create_task(in_force())

    def _as_written(self, given: InForce, dated: Freshness | None) -> InForce:
        """The same, where Slack says when it was written: before that, it may have held it back."""
        if dated is None or dated.at_most_old is None or self.parts.changes is None:
            return given
        now = self.parts.changes.decisions.now()
        return given.as_given(now - timedelta(seconds=dated.at_most_old), now)

    def _acknowledge(self, line: TypedLine, reply: Reply, fresh: Freshness | None) -> None:
        """Say at once that a press or a mention was understood; a slash command is told in its acknowledgement."""
        if fresh is not None and (said := self.ack_message(line)):
            self.start(_begins(reply, said))

    async def _asked_again(self, who: SlackUser, window: Window, error: UsageError) -> bool:
        """Whether the form stands in its window again, with all that was written there and what is wrong with it."""
        near = f" Perhaps you mean {', '.join(error.suggestions)}." if error.suggestions else ""
        trouble = self.parts.pipeline.mask.redact_text(f"{error}{near}")
        filled = Form(window.command, typed=window.typed, trouble=trouble)
        return await self._shown_in(who, window.view, await self.form(who, window.command, filled))

    async def dated(self, fresh: Freshness, *, exactly: bool = False) -> Freshness:
        """The same, where it would not count, or not as of when, by a time that is in doubt: Slack is asked what time it is.

        A machine that was saved for hours finds its clocks where they were, and what is pressed then dated in the future; one
        whose clock was put right by minutes takes what is pressed this second for as old as that.

        Args:
            fresh: how old it seems to be.
            exactly: its age matters though it counts.
        """
        if not fresh.is_doubtful or (fresh.left > 0 and not exactly):
            return fresh
        await self._hear_slacks_time()
        return Freshness.of(fresh.made, slack_time(self.parts.base_url), fresh.way)

    async def slack_seconds(self) -> int:
        """What time it is at Slack, to be written into a window; asked where this host's clocks disagree. 0 where it is unknown."""
        if slack_time(self.parts.base_url).apart() > INEXACT_SECONDS:
            await self._hear_slacks_time()
        return int(slack_time(self.parts.base_url).now() or 0)

    async def _hear_slacks_time(self) -> None:
        """Any answer of Slack's tells it. Without one within a second it stays what it was: a window opens within three."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_MENU_SECONDS):
                await self.parts.client.auth_test()

    def _changes_something(self, line: TypedLine) -> bool:
        """Whether it proposes a change, stops changes, or lets them start."""
        command = self.parts.registry.get(line.name)
        return line.builtin in (STOP, GO) if line.builtin is not None else command is not None and command.changes

    async def person(self, who: SlackUser, where: ReplyTarget, line: str, click: int | None = None) -> Person:
        """Who this is. A person who cannot be looked up is refused, and the ledger says so.

        Raises:
            PermissionDenied: user groups cannot be read.
        """
        try:
            return await self.parts.people.person(who.team, who.user, who.name)
        except HvopsError as error:
            refused = Refused(
                name=who.name,
                line=clip(line, 200),
                reason=str(error),
                category=error.refused_as,
                via="slack",
                place=where.channel,
                click=click,
            )
            await self.entries.refuse(who.id, refused)
            raise

    async def report_errors(self, reply: Reply, work: Callable[[], Awaitable[None]], what: str) -> None:
        """Do it, and whatever goes wrong say so: nothing that somebody typed or pressed stays without an answer."""
        try:
            await work()
        except StopNotWritten as error:
            await self._say(reply, errors.stopped_here_only(error))
        except LedgerError as error:
            await self._say(reply, errors.no_ledger(error))
        except (NotSent, DeliveryUnknown) as error:
            log.warning("answer not delivered", what=clip(what, 80), user=reply.where.user, why=str(error))
            await self._say(reply, errors.refusal(error))
        except HvopsError as error:
            await self._say(reply, errors.refusal(error))
        except Exception:
            bug = InternalError(secrets.token_hex(4))
            log.exception("our bug", bug=bug.bug, what=clip(what, 80))
            await self._say(reply, errors.refusal(bug))

    async def deliver(self, answered: AnsweredRequest, reply: Reply) -> None:
        """Bring an answer to the person, and write down how it went. Raises NotSent where no way was open."""
        way = "not sent"
        try:
            # On a thread, like all that is made of an answer: a host can make it say fifty thousand things.
            message = await beside(report_message, answered.report, answered.token, answered.at)
            way = await reply.result(self.sealed_message(reply.where.user, message))
        except DeliveryUnknown:
            way = "unknown"
            where = reply.where
            notice = errors.delivery_unknown(answered.token)
            notice = self.sealed_message(where.user, notice)
            await self.reply(ReplyTarget(where.user, where.channel, where.thread_ts)).result(notice)
        finally:
            where = reply.where
            shown = AnswerShown(answer=answered.token, delivery=way, place=where.channel, to=where.user)
            await self.write(BOT, shown)

    async def home(self, who: SlackUser) -> None:
        """Show somebody their Home tab, once at a time: whoever opens it again meanwhile has it drawn once more, not as often."""
        if who.id in self._homes:
            self._homes[who.id] = True
            return
        self._homes[who.id] = True
        try:
            while self._homes[who.id]:
                self._homes[who.id] = False
                await self._draw_home(who)
        finally:
            del self._homes[who.id]

    async def _draw_home(self, who: SlackUser) -> None:
        person = await self.parts.people.person(who.team, who.user, who.name)
        if person.highest_role is Role.NOBODY:
            await self.parts.outbox.publish_home(who.user, no_role_view(no_role(person)))
            return
        entries = await self._last_answers(person)
        told = [(one, one.read_if(Answered)) for one in sorted(entries, key=lambda one: -int(one.seq))]
        last = [
            LastAnswer(answered.answer, datetime.fromisoformat(one.at), answered.line, answered.verdict)
            for one, answered in told
            if answered is not None and answered.report and _may_still_see(person, answered)
        ]
        changes = self.parts.changes
        open_now = await open_tickets(changes, person) if changes else ()
        stop = await stop_for(changes, person)
        lately = await self._lately(person, stopped=stop is not None)
        help_shown = help_for(person, self.parts.registry)
        view = home_view(await self.parts.status(person), help_shown, last, open_now, lately, stop=stop)
        view = {**view, "blocks": list(self.sealed(who.user, view["blocks"]))}
        await self.parts.outbox.publish_home(who.user, view)

    async def _last_answers(self, person: Person) -> Iterable[Entry]:
        """The newest answers that they got; by a reader that decides nothing, for that takes a look at all answers."""
        if self.parts.reviews is None:
            return await asyncio.to_thread(self.parts.ledger.entries, kind="answered", actor=person.id, limit=_LAST)
        return await self.parts.reviews.last_answers(person, _LAST)

    async def _lately(self, person: Person, *, stopped: bool) -> RecentChanges | None:
        """Recently finished changes, as far as this person may see them, and how the chain is."""
        if self.parts.reviews is None:
            return None
        ended, chain = await self.parts.reviews.recent(person, _LAST)
        bot = "read-only" if self.parts.changes is None else "stopped until /hvops go" if stopped else "read-write"
        return RecentChanges(ended, chain, bot)

    async def _answer(self, request: Request, reply: Reply) -> AnsweredRequest | Message:
        """Ask, or propose, and say how far it is when it takes long. A message where a plan is shown elsewhere."""
        command, changes = self.parts.registry.get(request.reading.name), self.parts.changes
        latest: list[Progress] = []
        ticker = asyncio.create_task(self._tick(reply, latest))
        try:
            if command is not None and command.changes and changes is not None:
                return await changes.propose(request, latest.append)
            return await self.parts.pipeline.answer(request, latest.append)
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)

    async def _tick(self, reply: Reply, latest: list[Progress]) -> None:
        began, said = 0.0, None
        for at in self.parts.ticks:
            await asyncio.sleep(at - began)
            began = at
            now = progress.progress_message(latest[-1]) if latest else None
            if now and now != said:
                # shielded: a post that is half sent must count against the budget, and be told before the result
                await asyncio.shield(reply.progress(now))
                said = now
            del latest[:-1]

    async def _front_door(self, line: TypedLine, person: Person, reply: Reply, origin: Origin, trigger: str) -> None:
        """Answer /hvops itself. Questions about the bot are questions: they stand in the ledger too, up to some a minute."""
        await self._write_own_line(line, person, reply, origin)
        changes = self.parts.changes
        stopping: Beside = partial(self._in_turn_of_stops, person.id)
        if line.builtin in SWITCHES and changes is not None:
            if line.builtin is STOP and not line.rest and trigger:
                try:
                    await stopping(partial(changes.decisions.check_stop, person, via=origin.via, place=origin.place))
                except SwitchUnchanged as same:
                    await reply.result(await unchanged(changes, same))
                    return
                if await self._has_opened(stop_view(reply.where.channel), trigger, person.id):
                    return  # the window asks why, and is the answer
            message = await switch(changes, line, person, origin, stopping)
        elif person.highest_role is Role.NOBODY:
            message = help_renderer.no_role_message(no_role(person))
        elif line.builtin is STATUS:
            message = help_renderer.status_message(await self.parts.status(person), await stop_for(changes, person))
        else:
            message = help_renderer.help_message(help_for(person, self.parts.registry))
        await reply.result(message)

    async def _write_own_line(self, line: TypedLine, person: Person, reply: Reply, origin: Origin) -> None:
        """Write down what was said to hvops itself. Raises TooManyLines, LedgerError; of a stop neither, where it may count."""
        is_stop = line.builtin is STOP
        if not self.own_lines.take(person.id) and (not is_stop or self._may_not_stop(person)):
            raise await self._one_too_many(line, person, reply, origin)
        asked = Asked(
            name=person.name,
            line=clip(line.text, 200),
            command=FRONT_DOOR,
            target="",
            via=origin.via,
            place=reply.where.channel,
        )
        if not is_stop:
            await self.entries.write(person.id, asked)
            return
        try:
            await self._in_turn_of_stops(person.id, partial(self.parts.ledger.append, person.id, asked))
        except LedgerError as error:
            # A stop is in force in this process even where nothing can be written.
            log.warning(
                "could not write a request to stop changes to the ledger; the stop still proceeds", why=str(error)
            )

    async def _one_too_many(self, line: TypedLine, person: Person, reply: Reply, origin: Origin) -> TooManyLines:
        """What is said of a line to hvops itself that is not answered, once it is written down or counted."""
        error = TooManyLines(
            "You have sent hvops too many commands in the last minute, so this one was not answered. Try again in a moment. "
            "A stop from someone allowed to stop changes always counts."
        )
        refused = Refused(
            name=person.name,
            line=clip(line.text, 200),
            reason=str(error),
            category=error.refused_as,
            via=origin.via,
            place=reply.where.channel,
            click=origin.click,
        )
        await self.entries.refuse(person.id, refused)
        return error

    async def _in_turn_of_stops(self, who: str, work: Callable[[], T]) -> T:
        """What a stop writes waits for no line and no press of anybody else, nor for threads that they may keep busy."""
        async with self.turn_to_note(who, STOP):
            return await self.soon(work)

    async def _has_opened(self, view: View, trigger: str, who: str) -> bool:
        """Whether a window is open. Slack may be too slow for one, or they had many: they are then asked in a sentence."""
        if not self.windows.take(who):
            return False
        try:
            await self.parts.client.views_open(trigger_id=trigger, view=view)
        except Exception as error:  # noqa: BLE001 - foreign errors; the sentence says what to type instead
            log.info("no window for a reason", why=clip(str(error), 200))
            return False
        return True

    async def _say(self, reply: Reply, message: Message) -> None:
        """The last thing that can be done for somebody."""
        try:
            await reply.result(message)
        except (NotSent, DeliveryUnknown) as error:
            log.warning("nobody could be told", user=reply.where.user, text=clip(message.text, 200), why=str(error))


async def _begins(reply: Reply, said: Message) -> None:
    await reply.begins(said)


def _may_still_see(person: Person, answered: Answered) -> bool:
    """Whether they would get that answer today: roles are taken away, and Home shows the newest verdicts."""
    return all(person.role_on(place) is not Role.NOBODY for place in answered.places or (EVERYWHERE,))
