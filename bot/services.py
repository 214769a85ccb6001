"""The engine: everything between a typed line and its report, or its ticket, made from the settings. Slack and terminal share it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.api.queries import DoneChanges, LedgerQuery
from bot.api.rows import Rows
from bot.config.inventory_file import InventoryFile
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Credential, Settings, Sites
from bot.config.web_addresses import read_network
from bot.dispatch.authorization import Accounts, Person
from bot.dispatch.inventory import Inventory
from bot.dispatch.pipeline import Pipeline
from bot.dispatch.query_session import Progress, QuerySession
from bot.dispatch.registry import Registry
from bot.dispatch.turns import Turns
from bot.errors import SettingsError
from bot.executor.context import RunContext, TicketChange
from bot.executor.external_records import Channel, ExternalRecords
from bot.executor.scheduler import Scheduler
from bot.ledger import Entry, Ledger
from bot.redaction import Redactor
from bot.tickets.create import ProposalService
from bot.tickets.decisions import ApprovalService
from bot.tickets.freezes import why_not_begun, why_repeated_moves_wait
from bot.tickets.planner import Planner
from bot.tickets.proposal import has_acted_on
from bot.transport.capture import Capture
from bot.transport.client import TargetClient
from bot.transport.http.commvault import BackupProduct, WebService
from bot.transport.http.loadmaster import ApplianceLogin, LoadBalancers
from bot.transport.http.probe import Prober
from bot.transport.permitted import why_not_sent
from bot.transport.replay import Replay
from bot.transport.routing import Credentials, Router
from bot.transport.sites.keys import made_key, read_site_key
from bot.transport.sites.membership import homes_of, only
from bot.transport.sites.signing import SiteKey
from bot.transport.sql.connection_string import DatabaseLogin
from bot.transport.sql.databases import Databases
from bot.transport.windows.winrm import WireObserver
from bot.version import code_version


@dataclass(frozen=True, slots=True)
class Connections:
    """The way to the outside: all that is needed to ask Windows, and nothing that writes."""

    settings: Settings
    inventory_file: InventoryFile
    router: Router
    target_client: TargetClient
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Services:
    """The parts, wired."""

    settings: Settings
    inventory_file: InventoryFile
    registry: Registry
    ledger: Ledger
    router: Router
    target_client: TargetClient
    inventory: Inventory
    pipeline: Pipeline
    planner: Planner
    proposals: ProposalService
    decisions: ApprovalService


@contextmanager
def open_connections(
    settings: Settings, tap: WireObserver | None = None, *, makes_keys: bool = False
) -> Iterator[Connections]:
    """Make the way to the outside, and close it afterwards. Raises SettingsError for a wrong inventory.

    `makes_keys`: makes the key of a site that has none yet, as a bot does. Whoever only looks makes none: another bot has it.
    """
    inventory_file = load_inventory(settings.inventory)
    if settings.sites is not None and settings.sites.is_workers:  # on its machine, its site is asked directly
        inventory_file = only(inventory_file, next(iter(settings.sites.worker)))
        settings = settings.model_copy(update={"sites": None})
    with connections_to(settings, inventory_file, tap, makes_keys=makes_keys) as out:
        yield out


@contextmanager
def connections_to(
    settings: Settings, inventory_file: InventoryFile, tap: WireObserver | None = None, *, makes_keys: bool = False
) -> Iterator[Connections]:
    """The same for an inventory at hand: that of one site, with settings without [sites]. Raises SettingsError."""
    router = build_router(settings, inventory_file)
    databases = Databases(inventory_file.vmm, database_login(settings))
    backups = BackupProduct(backup_service(settings, inventory_file))
    balancers = LoadBalancers(inventory_file.load_balancers(), appliance_logins(settings))
    make: Callable[..., TargetClient] = TargetClient
    if settings.sites is not None:
        make = sited(settings.sites, inventory_file, tap, makes_keys=makes_keys)
    target_client = make(
        router,
        at_once=settings.limits.at_once,
        tap=tap,
        databases=databases,
        backups=backups,
        balancers=balancers,
        prober=Prober(inventory_file.web_servers()),
    )
    inventory = Inventory(inventory_file, target_client, router, settings.limits.per_host_seconds)
    target_client.prove = inventory.prove  # before the operator's login is used anywhere
    try:
        yield Connections(settings, inventory_file, router, target_client, inventory)
    finally:
        target_client.close()


def sited(
    sites: Sites, inventory_file: InventoryFile, tap: WireObserver | None = None, *, makes_keys: bool = False
) -> Callable[..., TargetClient]:
    """What makes a client that reaches sites through their workers, of what a `TargetClient` is made of.

    `makes_keys` as of `open_connections`.

    Raises:
        SettingsError: a site is not in the inventory, its key is missing, or the packages are.
    """
    if tap is not None:
        raise SettingsError(
            "hvops record asks hosts itself, so it runs on the machine of a site's worker, not of the bot."
        )
    try:
        from bot.transport.sites.client import SitedClient  # noqa: PLC0415 - only where there are sites
        from bot.transport.sites.queue import Queue, Site  # noqa: PLC0415
    except ImportError as missing:
        raise SettingsError("[sites] needs more packages. Run: pip install hvops[postgresql]") from missing
    homes = homes_of(inventory_file, sites.worker)
    known: dict[str, Site] = {}
    key_of = made_key if makes_keys else read_site_key
    for name, worker in sites.worker.items():
        told = inventory_file.site[name.lower()].name
        if not worker.login:
            raise SettingsError(
                f"[sites.worker.{name}] login is missing: write the login of its worker at the database."
            )
        known[name.lower()] = Site(told, worker.login, SiteKey.of(told, key_of(worker.key_file)))
    balancers = inventory_file.load_balancers()
    networks = {
        name: tuple(
            read_network(one)
            for key, balancer in balancers.items()
            if homes.get(key, "").lower() == name
            for one in balancer.networks
        )
        for name in ("", *known)
    }
    return partial(
        SitedClient,
        queue=Queue(sites.place, known, sites.stale_seconds),
        homes=homes,
        networks=networks,
        reaches_itself=bool({*inventory_file.clusters, *inventory_file.hosts} - homes.keys()),
    )


def as_operator(out: Connections, nodes: Mapping[str, Iterable[str]]) -> TargetClient:
    """A way on which the operator's login asks what the reader's would, to see what it may. To be closed.

    Args:
        out: the way to the outside.
        nodes: of each cluster, proved to be its own.

    Raises:
        SettingsError: there is no such login.
    """
    told = out.settings.credentials.operator
    if told is None:
        raise SettingsError("There is no [credentials.operator].")
    router = Router(out.inventory_file, {"reader": _login(told)})
    for cluster, names in nodes.items():
        router.add_nodes(cluster, names)
    return TargetClient(router, at_once=out.settings.limits.at_once)


@contextmanager
def build_services(
    settings: Settings,
    tap: WireObserver | None = None,
    clock: Callable[[], datetime] | None = None,
    *,
    makes_keys: bool = False,
) -> Iterator[Services]:
    """Make the engine, and close it afterwards.

    Args:
        settings: as read.
        tap: is told every request and reply; for `hvops record`.
        clock: the time, UTC, where it is not that of this machine: for an incident that is played again.
        makes_keys: as of `open_connections`.

    Raises:
        SettingsError: the inventory or a command is wrong.
        LedgerError: the ledger cannot be opened.
    """
    with open_connections(settings, tap, makes_keys=makes_keys) as out, build_on(out, clock or _now) as made:
        yield made


@contextmanager
def replay_services(settings: Settings, capture: Capture) -> Iterator[Services]:
    """Make an engine that asks a capture instead of hosts, at the time of the capture. Raises as `build_services` does."""
    client = Replay(capture)
    try:
        inventory = Inventory(client.inventory_file, client, client.router)
        out = Connections(settings, client.inventory_file, client.router, client, inventory)
        with build_on(out, lambda: client.now, acts=False) as made:
            yield made
    finally:
        client.close()


@contextmanager
def build_on(out: Connections, clock: Callable[[], datetime], *, acts: bool = True) -> Iterator[Services]:
    """Make the engine on a way to the outside; `acts` where anything can be done there. Raises SettingsError and LedgerError."""
    settings, registry = out.settings, Registry.load()
    accounts = Accounts(settings.people.same_person)
    with open_ledger(settings, clock) as ledger:
        look = partial(_look, out, ledger)
        out.inventory.was_seen = partial(has_acted_on, ledger)
        turns = Turns(settings.limits.per_person, settings.limits.overall_seconds)
        pipeline = Pipeline(
            registry, out.inventory, ledger, look, Redactor(settings.secrets()), turns=turns, clock=clock
        )
        planner = Planner(
            registry,
            out.inventory,
            ledger,
            look=look,
            version=code_version(),
            clock=clock,
            unknown=settings.policy.unknown,
            doubt=out.inventory.doubt if acts else None,
            why_not_sent=why_not_sent,
            windows=out.inventory_file.windows(),
        )
        yield Services(
            settings=settings,
            inventory_file=out.inventory_file,
            registry=registry,
            ledger=ledger,
            router=out.router,
            target_client=out.target_client,
            inventory=out.inventory,
            pipeline=pipeline,
            planner=planner,
            proposals=ProposalService(pipeline, planner, settings.policy, ledger.now, accounts),
            decisions=ApprovalService(
                ledger,
                settings.policy,
                ledger.now,
                accounts,
                covered=out.inventory_file.role_places,
            ),
        )


def runner(
    parts: Services,
    tell: Callable[[TicketChange], None],
    people: Callable[[str, str], Awaitable[Person]],
    missed_click: Callable[[Entry], Awaitable[None]] | None = None,
    channel: Channel | None = None,
    *,
    clock: Callable[[], datetime] | None = None,
) -> Scheduler:
    """The runner of an engine: `await runner.run(stop)` beside whatever shows its tickets.

    Args:
        parts: the engine.
        tell: hears of everything that happens to tickets; must not raise and not take long.
        people: who an id of the ledger is now, by id and name, with the roles that they hold now.
        missed_click: answers a click about a ticket that was written down and never answered.
        channel: asks the audit channel for the newest head of the ledger; None where none is set.
        clock: the time, UTC, where it is not that of this machine; the engine's.

    Raises:
        LedgerError: the file of its lock cannot be made.
    """
    look, told = partial(_look, parts, parts.ledger), parts.settings.ledger
    windows = parts.inventory_file.windows()
    outside = ExternalRecords(parts.ledger, required=told.require_anchor, minutes=told.anchor_minutes, channel=channel)
    work = RunContext(
        parts.ledger,
        parts.planner,
        parts.settings.policy,
        parts.target_client,
        look,
        people,
        accounts=Accounts(parts.settings.people.same_person),
        mask=Redactor(parts.settings.secrets()),
        tell=tell,
        clock=clock or _now,
        outside=outside,
        may_start_now=lambda proposal, now: why_repeated_moves_wait(windows, proposal.places, now),
        may_begin_now=lambda proposal, answered, now, undoes_half_done: why_not_begun(
            proposal.plan, windows, proposal.places, now, answered, undoes_half_done=undoes_half_done
        ),
    )
    return Scheduler(work, missed_click)


def open_ledger(settings: Settings, clock: Callable[[], datetime] | None = None) -> Ledger:
    """The ledger that the settings name, with their secrets masked. Raises LedgerError."""
    files, mask = settings.ledger, Redactor(settings.secrets())
    if clock is None or clock is _now:
        return Ledger(files.place, files.key_file, files.anchor_file, mask, _now)
    # The time of what is played again is given, and goes from one moment to another: nobody has set this machine's clock.
    monotonic = lambda: clock().timestamp()  # noqa: E731 - as short as what it is for
    return Ledger(files.place, files.key_file, files.anchor_file, mask, clock, monotonic=monotonic)


def build_router(settings: Settings, inventory_file: InventoryFile) -> Router:
    """Which name is reached where, by which login."""
    return Router(
        inventory_file, {name: _login(credential) for name, credential in settings.credentials.profiles().items()}
    )


def database_login(settings: Settings) -> DatabaseLogin | None:
    """The login to the databases of VMM servers, where one is set."""
    told = settings.credentials.vmm
    return DatabaseLogin(told.login, told.username, told.password.get_secret_value()) if told else None


def backup_service(settings: Settings, inventory_file: InventoryFile) -> WebService | None:
    """Where the backup product is, and who we are there; None where the inventory names none."""
    if inventory_file.commvault is None:
        return None
    told = settings.credentials.commvault
    if told is None:
        return WebService(inventory_file.commvault.url)
    return WebService(inventory_file.commvault.url, told.username, told.password.get_secret_value(), told.ca_file)


def appliance_logins(settings: Settings) -> dict[str, ApplianceLogin]:
    """Who we are at each load balancer, by its name."""
    return {
        name.lower(): ApplianceLogin(
            one.username, one.password.get_secret_value(), one.api_key.get_secret_value(), one.ca_file
        )
        for name, one in settings.credentials.load_balancer.items()
    }


def _look(
    parts: Connections | Services,
    ledger: Ledger,
    now: datetime,
    progress: Callable[[Progress], None] | None,
) -> QuerySession:
    def recall(question: LedgerQuery) -> Rows:
        if isinstance(question, DoneChanges):
            return ledger.done_changes(question)
        return ledger.recall(question.on, question.what, now - timedelta(hours=question.hours))

    client, limits = parts.target_client, parts.settings.limits
    return QuerySession(
        client,
        recall,
        now,
        limits,
        progress,
        place=client.router.scope_of,
        find=parts.inventory.find_told,
        learn=parts.inventory.names.learn,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _login(credential: Credential) -> Credentials:
    return Credentials(
        transport=credential.transport,
        username=credential.username,
        password=credential.password.get_secret_value(),
        certificate=credential.certificate,
        key=credential.key,
        ca_file=credential.ca_file,
    )
