"""What the buttons of `/audit` do: pages, filters, the file; and a ticket's story, wherever its button is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from bot.api.command import Role
from bot.dispatch.authorization import require_role
from bot.dispatch.command_line import EntryPoint, TypedLine, read_typed
from bot.dispatch.pipeline import Request
from bot.errors import HvopsError
from bot.slack.inbound.audit_command import AuditCommand
from bot.slack.inbound.request_handler import RequestHandler
from bot.slack.inbound.ticket_buttons import Click
from bot.slack.outbound.message import File, Message, View
from bot.slack.outbound.outbox import Turn
from bot.slack.render import audit_results as render
from bot.slack.render import ticket_history as story_render
from bot.slack.render.ticket_buttons import STORY, STORY_ALL, STORY_FILE, STORY_PAGE

_LINE = "/audit"


class ReviewClicks:
    """Does what they say."""

    def __init__(
        self,
        desk: RequestHandler,
        reviews: AuditCommand,
        window: Callable[[Click, View], Awaitable[str]],
        fill: Callable[[Click, View], Awaitable[None]],
    ) -> None:
        """Take the desk that answers, what reads the ledger, and what opens and fills a window."""
        self._desk = desk
        self._reviews = reviews
        self._window = window
        self._fill = fill
        self.verbs: Mapping[str, Callable[[Click], Awaitable[None]]] = {
            render.OPEN: self._ask,
            render.PAGE: self._turn,
            render.FILTER: self._ask_for_filters,
            render.CSV: self._csv,
            STORY: self._story,
            STORY_PAGE: self._turn_story,
            STORY_FILE: self._story_file,
            STORY_ALL: self._turn_whole_story,
        }

    async def filtered(self, click: Click, line: TypedLine) -> None:
        """The window of the filters was sent off: answer where the first answer was asked for."""
        try:
            channel = (await self._reviews.kept(click.token)).place
        except HvopsError:
            channel = ""
        where = replace(click.where, channel="" if channel == "home" else channel)
        await self._desk.handle_line(click.who, where, line, "button", click.seq)

    async def _ask(self, click: Click) -> None:
        await self._desk.handle_line(click.who, click.where, read_typed(_LINE, EntryPoint.BUTTON), "button", click.seq)

    async def _turn(self, click: Click) -> None:
        request = await self._request(click, f"{_LINE} page")
        message = await self._reviews.page(request, click.token, click.index)
        await self._desk.reply(click.where).result(message, replaces=True)

    async def _ask_for_filters(self, click: Click) -> None:
        """One read by its token, which takes no time: the window must be there within three seconds. It names all commands."""
        request = await self._request(click, f"{_LINE} filter")
        async with self._desk.parts.pipeline.recording_refusals_beside(request):
            require_role(request.person, Role.VIEWER)
        kept = await self._reviews.kept(click.token)
        await self._window(click, render.filter_view(kept.token, kept.wanted, self._desk.parts.registry.commands))

    async def _csv(self, click: Click) -> None:
        async def send(found: tuple[File, int]) -> None:
            file, more = found
            says = f"{file.name} was sent to you as a direct message."
            if more:
                says += (
                    f" It holds the newest {render.MOST_IN_CSV:,} rows; narrow the filters, or run hvops audit export."
                )
            await self._send(click, file, says)

        await self._reviews.csv(await self._request(click, f"{_LINE} csv"), click.token, send)

    async def _story(self, click: Click) -> None:
        view = await self._window(click, story_render.loading_view())
        await self._show(replace(click, view=view), 0)

    async def _turn_story(self, click: Click) -> None:
        await self._show(click, click.index)

    async def _turn_whole_story(self, click: Click) -> None:
        await self._show(click, click.index, whole=True)

    async def _show(self, click: Click, page: int, *, whole: bool = False) -> None:
        try:
            request = await self._request(click, f"story {click.token}")
            view = await self._reviews.story(
                request, click.token, lambda entries: story_render.story_view(click.token, entries, page, whole=whole)
            )
        except HvopsError as error:
            view = story_render.error_view(str(error))
        await self._fill(click, view)

    async def _story_file(self, click: Click) -> None:
        async def send(file: File) -> None:
            await self._send(click, file, f"{file.name} was sent to you as a direct message.")

        request = await self._request(click, f"story {click.token}")
        await self._reviews.story_file(request, click.token, partial(story_render.story_file, click.token), send)

    async def _send(self, click: Click, file: File, says: str) -> None:
        outbox = self._desk.parts.outbox
        await outbox.files(await outbox.conversation(click.where.user), [file], turn=Turn(click.where.user))
        await self._desk.reply(click.where).result(Message(says))

    async def _request(self, click: Click, line: str) -> Request:
        person = await self._desk.person(click.who, click.where, line)
        return Request(person, line, "button", click.where.channel or "home", click.seq)
