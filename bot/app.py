"""The bot in Slack: the engine, and the parts that speak to Slack, made and wired in this one place."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import structlog

from bot.api.command import Role
from bot.api.windows import open_now
from bot.audit.query import Review
from bot.config.inventory_file import Cluster, InventoryFile, LoadBalancer, StandaloneHost
from bot.config.settings import Settings, Slack
from bot.dispatch.authorization import Accounts, Person
from bot.dispatch.help import Status, roles_of
from bot.errors import LedgerError
from bot.executor.scheduler import Scheduler
from bot.ledger import Entry, Ledger, Reader, places
from bot.ledger.shared_locks import Duty
from bot.memory import give_memory_back
from bot.other_bots import describe, differences, marks_of
from bot.redaction import Redactor, clip
from bot.services import Services, build_services, runner
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.newest_head import NewestHead
from bot.slack.audit_channel.publisher import AuditChannel
from bot.slack.inbound.audit_command import AuditCommand
from bot.slack.inbound.listeners import Listener, make_app
from bot.slack.inbound.request_handler import HandlerDeps, RequestHandler
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.outbox import Outbox
from bot.slack.roles import RoleResolver
from bot.slack.socket import SocketConnections
from bot.slack.tickets.change_service import Changes
from bot.slack.tickets.stop_notices import StopNotices
from bot.slack.tickets.ticket_messages import TicketMessages
from bot.transport.name_lookup import Loop

log = structlog.get_logger()

# Of the ledger, for people, at a time, one of them for a file: each has a reader that nobody else waits for.
_SEARCHES = 3
# Seconds between attempts to open a ledger whose database is away; the last one is repeated.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)


def run(settings: Settings) -> None:
    """Be the bot until SIGTERM or SIGINT. Raises as `serve` does."""
    give_memory_back()
    gc.freeze()  # what is loaded by now stays: a collection need not look at it, and holds every thread meanwhile
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


async def serve(settings: Settings, stop: asyncio.Event, ready: Callable[[Services], None] | None = None) -> None:
    """Be the bot until `stop` is set. A database of the ledger's that is away at the start is waited for.

    Args:
        settings: as read.
        stop: ends it, cleanly.
        ready: is told the engine once it stands, before Slack is connected.

    Raises:
        SettingsError: something is missing in the settings or the inventory.
        LedgerError: the ledger cannot be opened, and that is not because its database is away; nothing is answered without it.
    """
    pauses = iter(_PAUSES)
    pause = 0.0
    while not stop.is_set():
        try:
            await _serve(settings, stop, ready)
        except LedgerError as error:
            # set by its own end: then it stood already, and this is no start
            if stop.is_set() or not await asyncio.to_thread(places.is_away, settings.ledger.place, error):
                raise
            pause = next(pauses, pause)
            log.warning("the database of the ledger is waited for", why=str(error), next_attempt_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        else:
            return
    log.info("hvops stopped before the database of the ledger was there")


async def _serve(settings: Settings, stop: asyncio.Event, ready: Callable[[Services], None] | None) -> None:
    slack = settings.need_slack()
    with build_services(settings, makes_keys=True) as parts:
        if parts.ledger.shared is not None:
            parts.ledger.shared.marks = marks_of(settings, parts.inventory_file)
        client = make_client(slack.bot_token.get_secret_value(), slack.base_url)
        async with AsyncExitStack() as closing:
            accounts = Accounts(settings.people.same_person)
            people = RoleResolver(client, settings.roles.rules(), accounts=accounts, contact=settings.roles.contact)
            closing.push_async_callback(people.close)
            parts.target_client.group_members = people.group_members
            outbox = Outbox(
                client,
                on_unknown=lambda channel, message: _lost(channel, message.text),
                mask=Redactor(settings.secrets()),
                sign=partial(parts.ledger.sign_text, "message"),
            )
            closing.push_async_callback(outbox.close)
            board = TicketMessages(
                client,
                outbox,
                people,
                parts.ledger,
                channel=partial(ops_channel, parts.inventory_file),
                resuming=parts.decisions.resuming_role,
                covered=parts.inventory_file.role_places(),
                may=lambda: running.owns(Duty.DELIVERY),
                is_shown_elsewhere=lambda ticket: running.runs_elsewhere(ticket),  # noqa: PLW0108 - made further down
            )
            closing.push_async_callback(board.close)
            readers = [closing.enter_context(Reader(parts.ledger.place)) for _ in range(_SEARCHES)]
            reviews = AuditCommand(parts.pipeline, *(Review(one, parts.inventory.scopes) for one in readers))
            closing.callback(reviews.close)
            app = make_app(slack.bot_token.get_secret_value(), slack.base_url)
            sockets = SocketConnections(app, slack.app_token.get_secret_value(), slack.base_url)
            listeners: list[Listener] = []

            async def missed(click: Entry) -> None:
                await listeners[0].replay_missed(click)

            running = runner(parts, board.notify, people.lookup, missed, _newest_head(slack, parts.ledger))
            outside = running.parts.outside
            audit = AuditChannel(
                client,
                outbox,
                parts.ledger,
                slack.audit_channel,
                link=board.permalink,
                minutes=settings.ledger.anchor_minutes,
                may=lambda: running.owns(Duty.AUDIT_CHANNEL),
                keeps_back=outside.may_post if outside is not None else None,
            )
            notices = StopNotices(
                outbox,
                parts.ledger,
                board,
                ops_channels(parts.inventory_file),
                may=lambda: running.owns(Duty.NOTICES),
            )
            changes = Changes(parts.proposals, parts.decisions, board, outbox, running.parts, running.wake)
            desk = RequestHandler(
                HandlerDeps(
                    client=client,
                    outbox=outbox,
                    people=people,
                    pipeline=parts.pipeline,
                    registry=parts.registry,
                    ledger=parts.ledger,
                    status=_status(parts, sockets.sentence, audit, running, notices),
                    base_url=slack.base_url,
                    seconds=settings.limits.overall_seconds,
                    changes=changes,
                    reviews=reviews,
                )
            )
            closing.push_async_callback(desk.close)
            listeners.append(Listener(app, desk))
            if ready is not None:
                ready(parts)
            for warming in (
                people.prefetch(),
                parts.target_client.warm(),
                precheck_ledger(parts.ledger),
                _warn_of_differences(parts.ledger),
            ):  # the first person should wait for neither
                closing.push_async_callback(_gone, asyncio.create_task(warming))
            await running.take_what_is_free()  # whoever tells the audit channel is there from the first entry on
            for work in (
                board.run(stop),
                running.run(stop),
                audit.run(stop),
                notices.run(stop),
            ):  # whoever leaves stops by `stop`, and is waited for
                closing.push_async_callback(_ended, asyncio.create_task(work))
            closing.callback(stop.set)
            log.info("hvops runs", clusters=list(parts.inventory_file.clusters), commands=list(parts.registry.commands))
            await sockets.run(stop)
    log.info("hvops stopped")


async def _warn_of_differences(ledger: Ledger) -> None:
    """Say once in the log what is not the same on the bots that share a database."""
    if ledger.shared is None:
        return
    with contextlib.suppress(LedgerError):
        await asyncio.to_thread(ledger.shared.look)
        for says in differences(await asyncio.to_thread(ledger.shared.present)):
            log.warning("the bots on this ledger are not alike", why=says)


async def precheck_ledger(ledger: Ledger) -> None:
    """Look over the whole chain once, part by part: later looks, such as that of Home, then only see what is new."""
    with contextlib.suppress(LedgerError):  # whoever asks for the chain is told what is wrong with it
        seen = await asyncio.to_thread(ledger.check_recent)
        while seen.holds and seen.to < seen.of:
            seen = await asyncio.to_thread(ledger.check_recent)


def ops_channel(inventory_file: InventoryFile, places: Iterable[str]) -> str:
    """The channel where changes to these clusters, hosts and load balancers are decided: the first that is set, or ""."""
    tables: dict[str, Cluster | StandaloneHost | LoadBalancer] = {
        **inventory_file.load_balancers(),
        **inventory_file.clusters,
        **inventory_file.hosts,
    }
    known = [tables.get(place.lower()) for place in places]
    told = (one.ops_channel for one in known if one is not None)
    return next((channel for channel in told if channel), "")


def ops_channels(inventory_file: InventoryFile) -> tuple[str, ...]:
    """Every channel where changes are decided, each once."""
    clusters = (one.ops_channel for one in inventory_file.clusters.values())
    hosts = (one.ops_channel for one in inventory_file.hosts.values())
    balancers = (one.ops_channel for one in inventory_file.load_balancer)
    return tuple(dict.fromkeys(channel for channel in (*clusters, *hosts, *balancers) if channel))


def _status(
    parts: Services,
    connections: Callable[[], Awaitable[str]],
    audit: AuditChannel,
    running: Scheduler,
    notices: StopNotices,
) -> Callable[[Person], Awaitable[Status]]:
    """How the bot is, for whoever asks."""

    async def status(person: Person) -> Status:
        may = tuple(command.usage for command in parts.registry if person.highest_role >= command.role)
        clusters = tuple((name, _entry(parts, name)) for name in parts.inventory_file.clusters)
        return Status(
            name=person.name,
            roles=roles_of(person),
            may=may,
            connections=(
                *_troubles(running),
                *await asyncio.to_thread(_other_bots, parts.ledger),
                ("Slack", await connections()),
                ("Audit channel", await asyncio.to_thread(audit.sentence)),
                *(("Ops channels", says) for says in notices.troubles()),
                *_open_windows(parts, person),
                *clusters,
            ),
            ledger=await asyncio.to_thread(ledger_status_text, parts),
            version=version("hvops"),
        )

    return status


def _other_bots(ledger: Ledger) -> list[tuple[str, str]]:
    """Which bots share the ledger's database and what each does for all, and what is not the same on them."""
    if ledger.shared is None:
        return []
    says = ledger.shared.clock_trouble()
    clock = [("Clock", f"{says[0].upper()}{says[1:]}.")] if says else []
    try:
        found = ledger.shared.present()
    except LedgerError as error:
        return [*clock, ("Bots", str(error))]
    return [*clock, ("Bots", describe(found)), *(("Bots differ", says) for says in differences(found))]


def _open_windows(parts: Services, person: Person) -> Iterator[tuple[str, str]]:
    """The windows that are open now where this person may look."""
    for one in open_now(parts.inventory_file.windows(), parts.inventory_file.window_places(), datetime.now(UTC)):
        places = one.window.scope
        if not places or any(person.role_on(place) > Role.NOBODY for place in places):
            yield "Open now", str(one)


def _newest_head(slack: Slack, ledger: Ledger) -> NewestHead | None:
    if not slack.audit_channel:
        return None
    reader = ChannelReader(slack.bot_token.get_secret_value(), slack.base_url, slack.audit_channel)
    return NewestHead(reader, ledger, slack.audit_channel)


def _troubles(running: Scheduler) -> Iterator[tuple[str, str]]:
    """Why nothing acts, or might without anybody noticing; first, where there is something."""
    outside = running.parts.outside
    for label, says in (("Runs", running.trouble), ("External records", outside.sentence() if outside else "")):
        if says:
            yield label, says


def ledger_status_text(parts: Services) -> str:
    """Where the ledger stands, and whether its newest head is anchored elsewhere."""
    head = parts.ledger.head()
    if head is None:
        return "empty"
    at = datetime.fromisoformat(head.at)
    trouble = parts.ledger.trouble
    anchored = f"NOT anchored: {trouble}" if trouble else f"anchored in {parts.ledger.anchor_file.name}"
    return f"entry {head.seq:,}, {at:%Y-%m-%d %H:%M} UTC, {anchored}"


def _entry(parts: Services, cluster: str) -> str:
    return f"queried through {', '.join(parts.inventory_file.clusters[cluster].entry_hosts)}"


def _lost(channel: str, text: str) -> None:
    log.warning("nobody can know whether this message arrived", channel=channel, text=clip(text, 200))


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for something that was told to stop. Whatever went wrong in it must not keep the rest from closing."""
    try:
        await task
    except Exception:
        log.exception("our bug in the background")


async def _gone(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
