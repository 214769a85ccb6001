"""Everything that arrives from Slack arrives here: acknowledged at once, then handed over. Nothing is ignored.

The listeners are catch-alls, because bolt leaves unacknowledged what no listener matches, and the person then sees
an error. Before the acknowledgement only ids are read and one ledger entry is written, for no longer than Slack waits; all
else comes after.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

from bot.dispatch.argument_parser import field_error, line_of
from bot.dispatch.authorization import require_switch
from bot.dispatch.builtins import FRONT_DOOR, STOP
from bot.dispatch.command_line import EntryPoint, TypedLine, read_typed
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.registry import Command
from bot.errors import (
    HvopsError,
    LedgerError,
    PermissionDenied,
    RolesUnknown,
    TicketError,
    TooManyLines,
    TooManyMentions,
    UsageError,
)
from bot.ledger import Entry
from bot.ledger.entries import STOP_REQUEST, Clicked, Refused, Stopped
from bot.redaction import clip
from bot.slack.inbound.buttons import SUBMIT, Clicks
from bot.slack.inbound.freshness import Freshness, Way, seconds_in
from bot.slack.inbound.payload import deliveries_of, get_str, parse_click, parse_field, parse_fields, parse_person
from bot.slack.inbound.request_handler import RequestHandler, SlackUser, Window
from bot.slack.inbound.ticket_buttons import Click
from bot.slack.outbound import limits
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.message import Message, View
from bot.slack.outbound.responder import ReplyTarget
from bot.slack.outbound.slack_time import slack_time
from bot.slack.render import errors
from bot.slack.render.answer_modal import ANSWERED
from bot.slack.render.audit_results import CALLBACK as AUDIT_CALLBACK
from bot.slack.render.audit_results import FIELDS
from bot.slack.render.audit_results import line_of as audit_line
from bot.slack.render.command_modal import CALLBACK, checking_view
from bot.slack.render.reason_modal import CALLBACK as TICKET_CALLBACK
from bot.slack.render.reason_modal import REASON
from bot.slack.render.stop import CALLBACK as STOP_CALLBACK
from bot.slack.render.ticket_buttons import ANSWER, READ_BACK, REASONED, TICKET_VERBS
from bot.slack.socket import ACKNOWLEDGED, Rarely, kind_of
from bot.slack.tickets.message_table import opened_at
from bot.tickets.answers import ONE_BY_ONE
from bot.tickets.decisions import reason_of

log = structlog.get_logger()

ACK_SECONDS = 1.5  # for what is written down before the acknowledgement, for which Slack waits three
# Stops of one person that are written down before anybody looks who it is; then only those of who may, or may perhaps, stop.
_STOPS, _STOP_SECONDS = 10, 6.0
ANYTHING = re.compile(r".*", re.DOTALL)
_REMEMBERED = 4_096
_NOTED = "hvops.noted"  # of bolt's context: the entry of a mentioned stop, None where there is none to act on
# How Slack shows what a person wrote: `text` holds their own words [doc: docs.slack.dev/reference/events/message/thread_broadcast,
# file_share and me_message; the first with `app_mention`, as others saw it: SlackNet#69]. It comes in place of the plain message.
_WRITTEN = frozenset({"", "thread_broadcast", "file_share", "me_message"})
# What Slack itself writes about what somebody did, and what apps write [doc: docs.slack.dev/reference/events/message]. Of a
# mention in a canvas `text` is a sentence of Slack's [doc: document_mention].
_WRITTEN_BY_SLACK = frozenset(
    {"bot_message", "message_changed", "message_deleted", "message_replied", "document_mention", "ekm_access_denied"}
    | {"pinned_item", "unpinned_item", "file_comment", "file_mention", "reminder_add", "slackbot_response", "tombstone"}
    | {"bot_add", "bot_remove", "assistant_app_thread", "huddle_thread", "sh_room_created"}
)
_ABOUT_THE_CHANNEL = ("channel_", "group_")  # somebody came, went, gave it a topic
_FOR_SECONDS = 3_600.0  # Slack redelivers within minutes; how late is documented for HTTP only


class DeliveryDeduplicator:
    """Which deliveries came before. Slack sends again what it did not hear an acknowledgement of."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock, in seconds."""
        self._clock = clock
        self._ids: OrderedDict[str, float] = OrderedDict()

    def check_and_add(self, ids: Iterable[str]) -> bool:
        """Whether any of these ids came before. Remembers all of them."""
        now = self._clock()
        while self._ids and (len(self._ids) > _REMEMBERED or next(iter(self._ids.values())) < now - _FOR_SECONDS):
            self._ids.popitem(last=False)
        known = [one for one in ids if one]
        found = any(one in self._ids for one in known)
        for one in known:
            self._ids.setdefault(one, now)
        return found

    def knows(self, ids: Iterable[str]) -> bool:
        """Whether any of these ids came to this process. Remembers nothing."""
        return any(one in self._ids for one in ids)


def make_app(bot_token: str, base_url: str) -> AsyncApp:
    """The app. It asks Slack nothing before an acknowledgement: whose token this is, is not looked up."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=bot_token)

    client = make_client(None, base_url)  # the token comes with each request, from `authorize`
    return AsyncApp(
        client=client,
        authorize=authorize,
        request_verification_enabled=False,
        ignoring_self_events_enabled=False,
        raise_error_for_unhandled_request=True,  # to `on_error`, which acknowledges it; bolt by itself does not
    )


class Listener:
    """Turns payloads into lines and clicks."""

    def __init__(self, app: AsyncApp, desk: RequestHandler, seen: DeliveryDeduplicator | None = None) -> None:
        """Register every listener at the app."""
        self._desk = desk
        self._clicks = Clicks(desk)
        self._seen = seen or DeliveryDeduplicator()
        self._unhandled, self._untaken = Rarely(), Rarely()
        self.stops = PersonRate(_STOPS, _STOP_SECONDS)
        self._time = slack_time(desk.parts.base_url)
        app.command(ANYTHING)(self.command)
        app.action(ANYTHING)(self.action)
        app.view(ANYTHING)(self.submission)
        app.view_closed(ANYTHING)(self.ack_only)
        app.options(ANYTHING)(self.options)
        app.shortcut(ANYTHING)(self.ack_only)
        app.event("app_home_opened")(self.home_opened)
        app.event("app_mention", middleware=[self.note_mentioned_stop])(self.mention)
        app.event(ANYTHING)(self.other_event)
        app.error(self.on_error)

    async def replay_missed(self, click: Entry) -> None:
        """A click that was written down and never answered. One that came to this very process is in hand here.

        A request to stop is heeded all the same: what was in hand may have failed behind the entry.
        """
        clicked = click.read(Clicked)
        is_stop = click.ticket is None and clicked.button == STOP_REQUEST
        if not is_stop and self._seen.knows(clicked.deliveries):
            return
        if is_stop:
            team, _, user = click.actor.partition("/")
            await self._must_know_who_stops(team, user)
            line = read_typed(f"/{FRONT_DOOR} {STOP.name} {clicked.reason}", EntryPoint.MODAL)
            where = ReplyTarget(user, clicked.place)
            await self._desk.handle_line(SlackUser(team, user), where, line, "modal", click.seq)
            return
        await self._clicks.replay_missed(click)

    async def _must_know_who_stops(self, team: str, user: str) -> None:
        """Whether somebody may stop changes is known, yes or no. Raises RolesUnknown: then it is asked again later."""
        person = await self._desk.parts.people.person(team, user)
        if self._desk.parts.changes is None:
            return
        try:
            require_switch(person, self._desk.parts.changes.decisions.stopping_role, Stopped.kind)
        except RolesUnknown:
            raise
        except PermissionDenied:
            return  # it is refused, and the ledger says so

    async def command(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """A slash command."""
        who = SlackUser(get_str(body, "team_id"), get_str(body, "user_id"), get_str(body, "user_name"))
        where = ReplyTarget(who.user, get_str(body, "channel_id"), response_url=get_str(body, "response_url"))
        line = read_typed(f"{get_str(body, 'command')} {get_str(body, 'text')}")
        trigger = get_str(body, "trigger_id")
        if (
            line.builtin is STOP and line.rest
        ):  # written down before Slack hears that we have it: a crash must not lose a stop
            asked = Click(who, where, SUBMIT, STOP.name, "", why=line.rest)
            noted = await self._taken(ack, body, context, asked, line.text)
            if noted is not None:
                self._start(context, lambda: self._desk.handle_line(who, where, line, "slack", noted.seq or None))
            return
        if self._came_before(body, context, who, line.text):
            await ack()
            return
        given = self._desk.note_go(who, line)
        said = self._desk.ack_message(line)
        await (ack(text=said.text, response_type="ephemeral") if said else ack())
        self._start(context, lambda: self._desk.handle_line(who, where, line, "slack", trigger=trigger, given=given))

    async def action(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """A button, in a message, a modal or Home."""
        click = parse_click(body, self._time)
        noted = await self._taken(ack, body, context, click, f"button {click.verb} {click.argument}".strip())
        if noted is not None:
            self._start(context, lambda: self._clicks.dispatch(noted))

    async def submission(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """A modal that was sent off: a command and its arguments."""
        who, view = parse_person(body), body.get("view") or {}
        callback = get_str(view, "callback_id")
        if callback.startswith(f"{TICKET_CALLBACK}:"):
            await self._reasoned(ack, body, context)
            return
        if callback == AUDIT_CALLBACK:
            await self._filtered(ack, body, context)
            return
        if callback == STOP_CALLBACK:
            await self._stopped(ack, body, context)
            return
        name = callback.removeprefix(f"{CALLBACK}:")
        command = self._desk.parts.registry.get(name) if callback.startswith(f"{CALLBACK}:") else None
        if command is not None:
            await self._filled_in(ack, body, context, command)
            return
        # Whatever it calls itself, it is no window of ours: not the one that asks why to stop, nor one of a command.
        click = Click(who, ReplyTarget(who.user), SUBMIT, f"unknown {name[:80]}", "")
        noted = await self._taken(ack, body, context, click, f"button {click.verb} {click.argument}")
        if noted is not None:  # no verb is called "submit": it is answered as an old one
            self._start(context, lambda: self._clicks.dispatch(noted))

    async def _filled_in(
        self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any, command: Command
    ) -> None:
        """The window of a command: what cannot be read is said beside its field; else it waits there for the answer."""
        who, view = parse_person(body), body.get("view") or {}
        typed = {one.name: parse_field(body, one.name)[: limits.COMMAND_USAGE] for one in command.parameters}
        wrong = {one.name: field_error(command.usage, one, typed[one.name]) for one in command.parameters}
        if any(wrong.values()) and await self._desk.may_look(who):
            await ack(response_action="errors", errors={name: says for name, says in wrong.items() if says})
            return
        line = read_typed(line_of(command.name, command.parameters, typed), EntryPoint.MODAL)
        seal = get_str(view, "private_metadata")[:160]
        fresh = self._window_opened(opened_at(seal) or None)
        click = Click(who, ReplyTarget(who.user), SUBMIT, command.name, "", seal=seal, fresh=fresh)
        waiting = checking_view(command, line.text, self._desk.parts.seconds)
        noted = await self._taken(ack, body, context, click, line.text, view=waiting)
        if noted is None:
            return
        window = Window(get_str(view, "id"), command, typed)
        if noted.forged:
            reply = self._desk.reply_in(who, window)
            refused = partial(self._clicks.refuse_forged_window, noted, reply)
            self._start(context, lambda: self._desk.report_errors(reply, refused, "forged window"))
            return
        self._start(
            context,
            lambda: self._desk.handle_line(
                who, click.where, line, "slack", noted.seq, fresh=click.fresh, window=window
            ),
        )

    async def options(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
        """Somebody opens a menu, or types into it. Nothing is decided by it, so nothing is written down."""
        callback = get_str(body.get("view"), "callback_id")
        found: list[dict[str, Any]] = []
        if callback.startswith(f"{CALLBACK}:"):
            typed = get_str(body, "value")[: limits.OPTION_TEXT]
            command, parameter = callback.removeprefix(f"{CALLBACK}:"), get_str(body, "action_id")
            found = await self._desk.options(parse_person(body), command, parameter, typed)
        if callback == AUDIT_CALLBACK:
            found = await self._desk.places(parse_person(body), get_str(body, "value")[: limits.OPTION_TEXT])
        await ack(options=found)

    async def _filtered(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """The window of the filters of `/audit`: its fields are read like any other line."""
        who = parse_person(body)
        told = {name: parse_field(body, name) for name in FIELDS}
        if told["since"] and told["until"] and told["since"] >= told["until"]:
            await ack(response_action="errors", errors={"until": "This is not after the beginning."})
            return
        if len(told["who"].split()) > 1:  # of a line, the second word would be the cluster that is asked about
            await ack(response_action="errors", errors={"who": "Type one word: a name without spaces, or an id."})
            return
        line = read_typed(audit_line(told.items()), EntryPoint.MODAL)
        token = get_str(body.get("view"), "private_metadata")[:80]
        click = Click(who, ReplyTarget(who.user), SUBMIT, "audit", token)
        noted = await self._taken(ack, body, context, click, line.text)
        reviews = self._clicks.reviews
        if noted is not None and reviews is not None:
            self._start(context, lambda: reviews.filtered(noted, line))

    async def _stopped(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """The window that `/hvops stop` opens: its reason is read like one that was typed behind the command."""
        who, view = parse_person(body), body.get("view") or {}
        why = parse_field(body, REASON)
        line = read_typed(f"/{FRONT_DOOR} {STOP.name} {why}", EntryPoint.MODAL)
        where = ReplyTarget(who.user, get_str(view, "private_metadata")[:80])
        noted = await self._taken(ack, body, context, Click(who, where, SUBMIT, STOP.name, "", why=why), line.text)
        if noted is not None:
            self._start(context, lambda: self._desk.handle_line(who, where, line, "modal", noted.seq or None))

    async def _reasoned(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any], context: Any) -> None:
        """The window that asked for a reason. The reason stands in the entry of the click, so a crash loses nothing."""
        who, view = parse_person(body), body.get("view") or {}
        verb, _, argument = get_str(view, "callback_id").removeprefix(f"{TICKET_CALLBACK}:").partition(":")
        ticket, _, seal = get_str(view, "private_metadata")[:160].partition(" ")
        fresh = self._window_opened(opened_at(seal) or None)
        click = Click(
            who, ReplyTarget(who.user), f"{verb}{REASONED}", argument[:8], ticket[:80], seal=seal, fresh=fresh
        )
        if verb in (ANSWER, READ_BACK):
            click = replace(click, said=parse_fields(body, ANSWERED, ONE_BY_ONE))
        else:
            click = replace(click, why=parse_field(body, REASON))
        noted = await self._taken(ack, body, context, click, f"button {click.verb} {ticket}")
        if noted is not None:
            self._start(context, lambda: self._clicks.dispatch(noted))

    def _window_opened(self, at: float | None) -> Freshness:
        """How old a window is: when it was sent off, Slack does not say."""
        return Freshness.of(at, self._time, Way.WINDOW)

    async def _taken(
        self,
        ack: Callable[..., Awaitable[Any]],
        body: dict[str, Any],
        context: Any,
        click: Click,
        line: str,
        *,
        view: View | None = None,
    ) -> Click | None:
        """Write a click down, then acknowledge it. None where it came before, or could not be written down.

        `view` is what stands in the window from then on; without one it closes. Where the ledger does not answer in time for
        Slack, that is said, and it counts once it is written down; whether it was is said as well.
        """
        if self._came_before(body, context, click.who, line):
            await ack()
            return None
        noting = asyncio.create_task(self._note(click, deliveries_of(body, context)))
        if await self._is_soon(noting, click.where):
            noted = noting.result()
            await (ack(response_action="update", view=view) if view is not None and noted is not None else ack())
            return noted
        await ack()  # a window closes; what comes of it is said in the channel, or directly
        return await noting

    async def home_opened(self, body: dict[str, Any]) -> None:
        """Somebody opened Home (or the messages tab, where nothing is to be drawn)."""
        event = body.get("event") or {}
        if event.get("tab", "home") == "home" and get_str(event, "user"):
            who = SlackUser(get_str(body, "team_id"), get_str(event, "user"))
            reply = self._desk.reply(ReplyTarget(who.user))
            self._desk.start(self._desk.report_errors(reply, lambda: self._desk.home(who), "home"))

    async def note_mentioned_stop(
        self, body: dict[str, Any], context: Any, next_: Callable[[], Awaitable[Any]]
    ) -> None:
        """`@hvops stop why`, written down before Slack hears that it came: bolt acknowledges an event before its listener.

        One that came too late is not: it is refused, and a later life must not take it for one that counts.
        """
        said = self._mentioned(body)
        is_stop = said is not None and said.line.builtin is STOP and said.line.rest
        if said is not None and is_stop and said.fresh.left <= 0:
            said = replace(said, fresh=await self._desk.dated(said.fresh))
        if said is not None and is_stop and said.fresh.left > 0:
            context[_NOTED] = None
            if not self._came_before(body, context, said.who, said.line.text, said.wording):
                asked = Click(said.who, said.where, SUBMIT, STOP.name, "", why=said.line.rest, fresh=said.fresh)
                context[_NOTED] = noting = asyncio.create_task(self._note(asked, deliveries_of(body, context)))
                await self._is_soon(noting, said.where)
        await next_()

    async def mention(self, body: dict[str, Any], context: Any) -> None:
        """`@hvops check-writers prod`: the only way to type a command in a thread.

        Slack sends another event, with an id of its own and `edited`, for each edit of such a message [doc: java-slack-sdk#755;
        seen by others: slack-go#1256]: one that corrects a typing error is answered, each wording once.
        """
        said = self._mentioned(body)
        if said is None:
            self._log_untaken(body)
            return
        if _NOTED in context:
            noting = context[_NOTED]
            noted = await noting if noting is not None else None
            if noted is None:  # it came before, or could not be written down: either was said
                return
            click = noted.seq or None
            self._desk.start(
                self._desk.handle_line(said.who, said.where, said.line, "mention", click, fresh=said.fresh)
            )
        elif not self._came_before(body, context, said.who, said.line.text, said.wording):
            if said.line.builtin is not STOP and not self._desk.mentions.take(said.who.id):
                self._refuse_too_many(said)
                return
            if said.line.builtin is not STOP and said.unknown_kind:
                self._refuse_unknown_kind(said)
                return
            self._desk.start(self._desk.handle_line(said.who, said.where, said.line, "mention", fresh=said.fresh))

    def _refuse_too_many(self, said: _Mention) -> None:
        """One too many of one person. The ledger says so, and they are told once in a while: that takes a message too."""
        error = TooManyMentions(
            "You have mentioned hvops many times in the last minute. It answers some of them only, and a stop always. Try "
            "again in a moment, or type it as a slash command."
        )
        self._refuse_mention(said, error)
        if self._desk.told_too_many.take(said.who.id):
            self._tell(said.where, errors.refusal(error), "too many mentions")

    def _refuse_unknown_kind(self, said: _Mention) -> None:
        """It may be what they wrote, and it may be what Slack wrote about them: it decides nothing, and is told."""
        kind = clip(said.unknown_kind, 40)
        error = UsageError(
            f"Slack gives this message the type {kind}, so hvops can't tell whether you typed it. Nothing was done. Send it "
            "again as a new message, or as a slash command."
        )
        self._refuse_mention(said, error)
        self._tell(said.where, errors.refusal(error), "mention of an unknown kind")

    def _refuse_mention(self, said: _Mention, error: HvopsError) -> None:
        refused = Refused(
            name=self._desk.parts.people.known_name(said.who.user),
            line=clip(said.line.text, 200),
            reason=str(error),
            category=error.refused_as,
            via="mention",
            place=said.where.channel,
        )
        self._desk.start(self._write_down(said.who, refused))

    def _log_untaken(self, body: dict[str, Any]) -> None:
        """A mention that no person wrote is answered by nothing: the log has it, so that one can wonder why."""
        event = body.get("event") or {}
        kind = get_str(event, "subtype") or (
            "from an app" if event.get("bot_id") else "edited by someone else, or without an author"
        )
        more = self._untaken.since(kind)
        if more is not None:
            log.info("ignored a mention that no user wrote", kind=clip(kind, 200), unsaid=more)

    def _mentioned(self, body: dict[str, Any]) -> _Mention | None:
        """What a person typed behind `@hvops`. None of bots and the like: only what people typed counts, and only their own words.

        Who wrote it does not follow from how Slack shows it: a reply that is sent to the channel as well has a subtype too.
        """
        event = body.get("event") or {}
        user, edited = get_str(event, "user"), event.get("edited")
        kind = str(event.get("subtype") or "")
        if kind in _WRITTEN_BY_SLACK or kind.startswith(_ABOUT_THE_CHANNEL):
            return None
        if event.get("bot_id") or not user or (edited and get_str(edited, "user") != user):
            return None
        is_ours = body.get("is_ext_shared_channel") is False  # else it may be anybody's, or Slack does not say
        home = get_str(body, "team_id") if is_ours else ""
        team = get_str(event, "user_team") or get_str(event, "team") or home
        who = SlackUser(team, user)
        where = ReplyTarget(user, get_str(event, "channel"), thread_ts=get_str(event, "thread_ts"))
        line = read_typed(get_str(event, "text"), EntryPoint.MENTION)
        written = get_str(event, "ts")  # of an edit too: a new word in an old message must not make that fresh
        fresh = Freshness.of(seconds_in(written), self._time, Way.MENTION)
        return _Mention(who, where, line, fresh, _wording(event, line), "" if kind in _WRITTEN else kind)

    async def other_event(self, body: dict[str, Any]) -> None:
        """Events the manifest does not ask for. Acknowledged by bolt; noted, so that one can wonder why."""
        log.debug("event not asked for", type=get_str(body.get("event") or {}, "type"))

    async def ack_only(self, ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
        """A closed modal, a menu or shortcut of an older manifest: acknowledged, so that nobody sees an error."""
        log.debug("nothing to do", type=get_str(body, "type"))
        await ack()

    async def on_error(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """What no listener takes, and a bug before the acknowledgement. Acknowledged all the same, and the person is told."""
        kind = kind_of(body)
        if isinstance(error, BoltUnhandledRequestError):
            more = self._unhandled.since(kind)
            if more is not None:
                log.warning("slack sent what hvops does not know; acknowledged", kind=clip(kind, 200), unsaid=more)
            return BoltResponse(status=200)
        more = self._unhandled.since(f"{type(error).__name__} {kind}")
        if more is not None:
            log.error("our bug in a listener", error=repr(error), type=clip(kind, 200), exc_info=error, unsaid=more)
        event = body.get("event")
        mention = event if isinstance(event, dict) and event.get("type") == "app_mention" else {}
        typed = SlackUser(get_str(body, "team_id"), get_str(body, "user_id") or get_str(mention, "user"))
        who = parse_person(body) if "user" in body else typed
        where = ReplyTarget(who.user, get_str(mention, "channel"), response_url=get_str(body, "response_url"))

        async def again() -> None:
            raise error

        if who.user:
            self._desk.start(self._desk.report_errors(self._desk.reply(where), again, "listener"))
        return BoltResponse(status=200)

    def _start(self, context: Any, work: Callable[[], Awaitable[None]]) -> None:
        """Begin once the acknowledgement has left: a quick answer must not overtake "Asking …"."""

        async def after() -> None:
            acknowledged = context.get(ACKNOWLEDGED)
            if acknowledged is not None:  # over HTTP nobody tells us
                await acknowledged.wait()
            await work()

        self._desk.start(after())

    async def _is_soon(self, noting: asyncio.Task[Click | None], where: ReplyTarget) -> bool:
        """Whether it is written down, or could not be, in time for Slack, which takes a silent bot for one that failed."""
        done, _ = await asyncio.wait({noting}, timeout=ACK_SECONDS)
        if not done:
            self._tell(where, errors.ledger_is_silent(), "silent ledger")
        return bool(done)

    def _tell(self, where: ReplyTarget, message: Message, what: str) -> None:
        reply = self._desk.reply(where)

        async def tell() -> None:
            await reply.result(message)

        self._desk.start(self._desk.report_errors(reply, tell, what))

    def _came_before(self, body: dict[str, Any], context: Any, who: SlackUser, line: str, wording: str = "") -> bool:
        """Whether this very delivery, or wording of a message, came before. It is not asked again, and the ledger says so.

        An acknowledgement does not wait for that: Slack delivers again what was not acknowledged in time.
        """
        ids = deliveries_of(body, context)
        came, same = self._seen.check_and_add(ids), self._seen.check_and_add((wording,))
        if not came and not same:
            return False
        why = "Slack delivered this twice; the first one is being answered."
        if not came and (body.get("event") or {}).get("edited"):
            why = "This message was edited, but hvops has already answered it with the same wording."
        elif not came:
            why = "Slack delivered this message more than once; hvops has already answered it."
        name = who.name or self._desk.parts.people.known_name(who.user)
        refused = Refused(name=name, line=clip(line, 200), reason=why, category="redelivered", deliveries=ids)
        self._desk.start(self._write_down(who, refused))
        return True

    async def _write_down(self, who: SlackUser, refused: Refused) -> None:
        try:
            await self._desk.entries.refuse(who.id, refused)
        except LedgerError as error:
            log.warning("a refusal is not written down", why=str(error))

    async def _note(self, click: Click, ids: tuple[str, ...]) -> Click | None:
        """Write the click down before Slack hears that we have it: a crash in between must not lose it.

        Returns None where it cannot be written; the person is told, and nothing is done. But for a stop, which comes back
        without a number: it needs nothing written before it, and is in force in this process whatever the ledger takes.
        """
        is_stop = _is_stop(click)
        if is_stop and not self.stops.take(click.who.id) and await self._desk.cannot_stop(click.who):
            self._refuse_stop(click)
            return None
        try:
            async with self._desk.turn_to_note(click.who.id, STOP if is_stop else None):
                click = replace(click, forged=await self._clicks.is_forged(click))
                entry = await self._write_click(click, ids)
        except LedgerError as error:
            if is_stop:
                log.warning(
                    "could not write a request to stop changes to the ledger; the stop still proceeds", why=str(error)
                )
                return click
            self._tell(click.where, errors.no_ledger(error), "no ledger")
            return None
        return replace(click, seq=int(entry.seq))

    def _refuse_stop(self, click: Click) -> None:
        """One too many of somebody whose stop does nothing. A mention is answered once in a while: that takes a message too."""
        error = TooManyLines(
            "You have asked many times in the last minute to stop changes, which your role does not allow. This request "
            "was ignored. If changes must stop, ask someone who is allowed to stop them."
        )
        refused = Refused(
            name=click.who.name or self._desk.parts.people.known_name(click.who.user),
            line=clip(f"/{FRONT_DOOR} {STOP.name} {click.why}", 200),
            reason=str(error),
            category=error.refused_as,
            place=click.where.channel,
        )
        self._desk.start(self._write_down(click.who, refused))
        if click.where.response_url or self._desk.told_too_many.take(click.who.id):
            self._tell(click.where, errors.refusal(error), "too many stops")

    async def _write_click(self, click: Click, ids: tuple[str, ...]) -> Entry:
        """About its ticket, where it is one of a ticket's buttons and there is such a ticket.

        Its reason is cut first, wherever it was written: it is there before anybody looks at who wrote it, and for good.
        """
        name = click.who.name or self._desk.parts.people.known_name(click.who.user)
        rare: dict[str, Any] = {"name": name, "answers": click.said, "forged": click.forged}
        told = {field: said for field, said in rare.items() if said}
        if (age := click.fresh.recorded_age) != 0:
            told["age"] = age
        clicked = Clicked(
            button=f"{click.verb} {click.argument}".strip(),
            answer=click.token,
            place=click.where.channel,
            reason=reason_of(click.why),
            deliveries=ids,
            **told,
        )
        if click.verb.removesuffix(REASONED) in TICKET_VERBS:
            with contextlib.suppress(TicketError):
                return await self._desk.write(click.who.id, clicked, click.token)
        return await self._desk.write(click.who.id, clicked)


@dataclass(frozen=True)
class _Mention:
    """A message to the bot.

    Attributes:
        wording: names the message together with what it says now.
        unknown_kind: Slack's word for what kind of message it is, where hvops does not know that as one that people write. A
            stop counts all the same.
    """

    who: SlackUser
    where: ReplyTarget
    line: TypedLine
    fresh: Freshness
    wording: str
    unknown_kind: str = ""


def _is_stop(click: Click) -> bool:
    """Whether somebody wants changes stopped, and says why: typed, in a window, or in a mention."""
    return (click.verb, click.argument) == (SUBMIT, STOP.name)


def _wording(event: dict[str, Any], line: TypedLine) -> str:
    """What names a message together with what it says now: decoration, previews and reactions make no other one of it."""
    place, ts = get_str(event, "channel"), get_str(event, "ts")
    return f"wording {place} {ts} {hashlib.sha256(line.text.encode()).hexdigest()}" if ts else ""
