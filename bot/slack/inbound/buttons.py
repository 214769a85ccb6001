"""What each button does. Every one is found by its verb; a verb that nobody knows is answered as well."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog

from bot.api.beside import beside, for_a_question_of
from bot.api.command import Role
from bot.dispatch.authorization import require_role
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.dispatch.turns import Turns
from bot.errors import HvopsError, PermissionDenied, Refusal, TicketError, TooManyQuestions, TooManyWindows, UsageError
from bot.ledger import Entry
from bot.ledger.entries import AnswerShown, Refused
from bot.slack.inbound.audit_buttons import ReviewClicks
from bot.slack.inbound.request_handler import RequestHandler, Window
from bot.slack.inbound.ticket_buttons import Click, TicketClicks
from bot.slack.outbound.api_errors import NotSent, classify_error
from bot.slack.outbound.message import File, Message, View
from bot.slack.outbound.outbox import Turn
from bot.slack.outbound.responder import Reply
from bot.slack.render import blocks, errors
from bot.slack.render.command_modal import Form, checking_view
from bot.slack.render.evidence import error_view, evidence_file, evidence_view, loading_view
from bot.slack.render.report import csv_file, shared_message, thread_messages
from bot.slack.render.ticket_buttons import OPEN, REASONED, STORY_ALL, STORY_PAGE, TICKET_VERBS
from bot.slack.tickets.message_table import opened_at

log = structlog.get_logger()

SUBMIT = "submit"  # the verb of a window that was sent off
_DIRECT = "D"  # how the ids of direct conversations begin [doc]
# Those that hold a whole answer, with megabytes of evidence, until Slack has taken it: a few of one person at a time.
_HEAVY = frozenset({blocks.SHOW, blocks.EVIDENCE_FILE, blocks.SHARE, blocks.CSV})
_TURNS_A_PAGE = frozenset({blocks.EVIDENCE_PAGE, STORY_PAGE, STORY_ALL})  # of a window that is open
_OPENED = 2  # answers of one person that are read at a time to ask what a button of theirs asks


class Clicks:
    """Does what buttons say."""

    def __init__(self, desk: RequestHandler) -> None:
        """Take the desk that answers."""
        self._desk = desk
        self._busy: set[tuple[str, ...]] = set()
        self._opening = Turns(_OPENED, desk.parts.seconds)  # not those of questions, which may all wait for a host
        self._verbs: dict[str, Callable[[Click], Awaitable[None]]] = {
            blocks.ASK_AGAIN: self._ask_again,
            blocks.RUN: self._run,
            blocks.SHOW: self._show,
            blocks.EVIDENCE: self._evidence,
            blocks.EVIDENCE_PAGE: self._evidence_page,
            blocks.EVIDENCE_FILE: self._evidence_file,
            blocks.SHARE: self._share,
            blocks.CSV: self._csv,
            blocks.TYPED: self._typed,
        }
        changes = desk.parts.changes
        reviews = desk.parts.reviews
        self.reviews = ReviewClicks(desk, reviews, self._open, self._update) if reviews else None
        if self.reviews:
            self._verbs |= self.reviews.verbs
        self.tickets = TicketClicks(desk, changes, self._open) if changes else None
        if self.tickets:
            self._verbs |= self.tickets.verbs

    async def replay_missed(self, entry: Entry) -> None:
        """A click about a ticket that an earlier life of the bot wrote down and never answered."""
        if self.tickets:
            await self.tickets.replay_missed(entry)

    async def is_forged(self, click: Click) -> bool:
        """Whether it starts or decides something, and nothing of ours carried it. Raises LedgerError."""
        if click.verb in blocks.STARTS:
            return self._is_not_theirs(click)
        if click.verb == SUBMIT and self._desk.parts.registry.get(click.argument) is not None:
            right = self._desk.form_seal(click.who, click.argument, opened_at(click.seal))
            return not hmac.compare_digest(click.seal.encode(), right.encode())
        return self.tickets is not None and await self.tickets.is_forged(click)

    def _is_not_theirs(self, click: Click) -> bool:
        """Whether a press that starts something is in no answer that hvops gave to this very person.

        Answers stand where one person sees them. Whoever holds the bot's token can post any button under any label, and
        what it starts would be asked for in the name of who presses.
        """
        if click.message and not click.where.channel.startswith(_DIRECT):
            return True
        does = f"{click.verb}:{click.argument}" if click.argument else click.verb
        right = self._desk.answer_seal(click.who.user, does, click.token)
        return not hmac.compare_digest(click.seal.encode(), right.encode())

    async def dispatch(self, click: Click) -> None:
        """Do it, once at a time per person and button, and say so when it cannot be done."""
        reply = self._desk.reply(click.where)
        if click.verb == OPEN:
            return  # a link, which Slack has opened by itself
        if click.forged and click.verb in blocks.STARTS:
            await self._desk.report_errors(reply, lambda: self._refuse_forged(click), f"button {click.verb}")
            return
        if click.key in self._busy:
            await self._desk.report_errors(reply, lambda: self._pressed_twice(click), "double click")
            return
        self._busy.add(click.key)
        try:
            await self._desk.report_errors(reply, lambda: self._do(click), f"button {click.verb}")
        finally:
            self._busy.discard(click.key)

    async def _do(self, click: Click) -> None:
        verb = self._verbs.get(click.verb)
        if verb is None:
            await self._say(click, errors.expired_button())
            return
        async with contextlib.AsyncExitStack() as turn:
            if click.verb in _HEAVY:
                await self._take_turn(click, turn)
            if click.verb in _TURNS_A_PAGE and not self._desk.windows.take(click.who.id):
                raise await self._too_many(click, "turned many pages")
            turn.enter_context(for_a_question_of(click.who.id))
            await verb(click)

    async def _take_turn(self, click: Click, turn: contextlib.AsyncExitStack, turns: Turns | None = None) -> None:
        """Hold no more answers of one person than a few at a time. Raises TooManyQuestions, which stands in the ledger."""
        try:
            await turn.enter_async_context((turns or self._desk.parts.pipeline.turns).take(click.who.id))
        except TooManyQuestions as error:
            await self._refuse(click, str(error), error.refused_as)
            raise

    async def _refuse_forged(self, click: Click) -> None:
        why = "The button was not in an answer that hvops gave this person: it was in someone else's message, or in a copy."
        log.warning("a press in an answer that is not theirs", user=click.who.id, place=click.where.channel)
        await self._refuse(click, why, "not allowed")
        await self._say(click, errors.not_your_answer())

    async def refuse_forged_window(self, click: Click, reply: Reply) -> None:
        """Say of a command's window that it was not opened for who sent it off: whoever posts as the bot could open any."""
        why = "The window was not one that hvops opened for this person and this command."
        log.warning("a window that is not theirs", user=click.who.id, command=click.argument)
        await self._refuse(click, why, "not allowed")
        await reply.result(errors.not_your_window())

    async def _refuse(self, click: Click, why: str, category: Refusal) -> None:
        refused = Refused(
            name=click.who.name, line=f"button {click.verb}", reason=why, category=category, via="button",
            place=click.where.channel, click=click.seq,
        )  # fmt: skip
        await self._desk.entries.refuse(click.who.id, refused, always=True)

    async def _pressed_twice(self, click: Click) -> None:
        """Answered by an entry of its own, so that no later life of the bot takes it for one that nobody answered."""
        why = "Pressed again while the first press was being answered."
        refused = Refused(
            name=click.who.name, line=f"button {click.verb}", reason=why, category="redelivered", click=click.seq
        )
        ticket = click.token if click.verb.removesuffix(REASONED) in TICKET_VERBS else None
        with contextlib.suppress(TicketError):  # there is no such ticket
            await self._desk.entries.refuse(click.who.id, refused, ticket, always=True)
        await self._say(click, errors.already_done("This button"))

    async def _say(self, click: Click, message: Message) -> None:
        await self._desk.reply(click.where).result(message)

    async def _reopen(self, click: Click) -> AnsweredRequest:
        """The answer behind the button. Raises PermissionDenied, or UsageError where it is gone."""
        person = await self._desk.person(click.who, click.where, f"button {click.verb}")
        request = Request(person, f"button {click.verb}", "button", click.where.channel or "home", click.seq)
        return await self._desk.parts.pipeline.load_answer(request, click.token)

    async def _ask_again(self, click: Click) -> None:
        await self._starts(click, lambda answered: answered.line)

    async def _starts(self, click: Click, asked_by: Callable[[AnsweredRequest], str | None]) -> None:
        """Ask what a button of an answer asks. In a message how far it is stands there; on Home a window has that, and the answer.

        The answer itself is let go of before anything is asked: that takes as long as a host likes, and it may be large.
        """
        async with contextlib.AsyncExitStack() as turn:
            await self._take_turn(click, turn, self._opening)
            answered = await self._reopen(click)
            typed, gone = asked_by(answered), answered.line
            is_private = bool(click.where.response_url) and not click.message
            reply = await self._desk.reply_to_press(click.where, answered) if is_private and typed else None
            del answered
        if typed is None:
            await self._say(click, errors.expired_button(gone))
            return
        line, window = read_typed(typed, EntryPoint.BUTTON), None
        command = self._desk.parts.registry.get(line.name)
        wants_window = not click.where.channel and command is not None and line.builtin is None and click.trigger
        if wants_window and command is not None and self._desk.windows.take(click.who.id):
            with contextlib.suppress(HvopsError):  # Slack came too late for a window: the answer comes directly
                waiting = checking_view(command, line.text, self._desk.parts.seconds)
                window, reply = Window(await self._opened(click, waiting), command, {}), None
        await self._desk.handle_line(
            click.who, click.where, line, "button", click.seq, fresh=click.fresh, window=window, reply=reply
        )

    async def _run(self, click: Click) -> None:
        def line_of(answered: AnsweredRequest) -> str | None:
            remedies = answered.report.remedies
            return remedies[click.index].line if 0 <= click.index < len(remedies) else None

        await self._starts(click, line_of)

    async def _show(self, click: Click) -> None:
        await self._desk.deliver(await self._reopen(click), self._desk.reply(click.where))

    async def _csv(self, click: Click) -> None:
        answered = await self._reopen(click)
        if answered.report.table is None:
            await self._say(click, errors.expired_button(answered.line))
            return
        await self._send_file(click, await beside(csv_file, answered.report.table, answered.line))

    async def _send_file(self, click: Click, file: File) -> None:
        """Files go to the person directly: an ephemeral cannot carry one."""
        outbox = self._desk.parts.outbox
        await outbox.files(await outbox.conversation(click.where.user), [file], turn=Turn(click.where.user))
        await self._say(click, Message(f"{file.name} was sent to you as a direct message."))

    async def _share(self, click: Click) -> None:
        answered = await self._reopen(click)
        outbox, where, report = self._desk.parts.outbox, click.where, answered.report
        message = await beside(shared_message, report, answered.token, answered.at, where.user)
        try:
            ts = await outbox.post(where.channel, message, where.thread_ts, turn=Turn(where.user))
        except NotSent as refused:
            log.info("not shared", channel=where.channel, code=refused.code)
            await self._say(click, errors.cannot_share())
            return
        shown = AnswerShown(answer=answered.token, delivery="shared", place=where.channel, ts=ts, to=where.channel)
        await self._desk.write(click.who.id, shown)
        for message in await beside(thread_messages, report, answered.at):
            await outbox.post(where.channel, message, where.thread_ts or ts, turn=Turn(where.user))
        if report.table is not None:
            file = await beside(csv_file, report.table, answered.line)
            await outbox.files(where.channel, [file], where.thread_ts or ts, Turn(where.user))

    async def _evidence(self, click: Click) -> None:
        """Open at once, fill afterwards: a trigger lives three seconds, a look into the ledger may take longer."""
        view = await self._open(click, loading_view())
        await self._fill(replace(click, view=view), 0)

    async def _evidence_page(self, click: Click) -> None:
        await self._fill(click, click.index)

    async def _fill(self, click: Click, page: int) -> None:
        try:
            async with contextlib.AsyncExitStack() as turn:  # behind the window, which has to be open within seconds
                await self._take_turn(click, turn)
                answered = await self._reopen(click)
                title, evidence = answered.report.title, answered.evidence
                report, at = answered.report, answered.at
                draw = partial(evidence_view, background=report.background, at=at)
                shown = await beside(draw, title, evidence, answered.token, page)
                del answered, evidence, report, draw
        except HvopsError as error:
            shown = error_view(str(error))
        await self._update(click, shown)

    async def _evidence_file(self, click: Click) -> None:
        answered = await self._reopen(click)
        report = answered.report
        file = await beside(evidence_file, report.title, answered.evidence, report.background)
        await self._send_file(click, file)

    async def _typed(self, click: Click) -> None:
        command = self._desk.parts.registry.get(click.argument)
        if command is None:
            await self._say(click, errors.expired_button())
            return
        person = await self._desk.person(click.who, click.where, f"button {click.verb}", click.seq)
        try:
            require_role(person, Role.VIEWER)
        except PermissionDenied as error:
            await self._refuse(click, str(error), error.refused_as)
            raise
        await self._open(click, await self._desk.form(click.who, command, Form(command)))

    async def _update(self, click: Click, view: View) -> None:
        """Fill a window that is open. Raises NotSent."""
        try:
            await self._desk.parts.client.views_update(view_id=click.view, view=view)
        except Exception as error:
            raise _translated(error) from error

    async def _open(self, click: Click, view: View) -> str:
        """Open a modal. Returns its id.

        Raises:
            TooManyWindows: they have opened many: nobody else may go without one for that.
            UsageError: Slack came too late for it.
        """
        if not self._desk.windows.take(click.who.id):
            raise await self._too_many(click, "opened many windows")
        return await self._opened(click, view)

    async def _too_many(self, click: Click, did: str) -> TooManyWindows:
        """What is said of a press that is one too many; it stands in the ledger."""
        error = TooManyWindows(f"You have {did} in the last minute. Try again in a moment.")
        await self._refuse(click, str(error), error.refused_as)
        return error

    async def _opened(self, click: Click, view: View) -> str:
        try:
            answer = await self._desk.parts.client.views_open(trigger_id=click.trigger, view=view)
        except Exception as error:
            raise _translated(error) from error
        return str(answer["view"]["id"])


def _translated(error: Exception) -> HvopsError:
    fate = classify_error(error, idempotent=True)
    if isinstance(fate, NotSent) and fate.code in ("trigger_expired", "trigger_exchanged", "expired_trigger_id"):
        return UsageError("Slack was too slow to open a window here. Press the button again.")
    if isinstance(fate, HvopsError):
        return fate
    return NotSent(
        "later", f"The window could not be opened: Slack is busy or having trouble ({fate.why}). Press again."
    )
