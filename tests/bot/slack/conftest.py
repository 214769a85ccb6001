import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown, values_of
from bot.api.queries import Wql
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Remedy, Report, Severity, Table
from bot.api.sources import Source
from bot.dispatch.argument_parser import parameters
from bot.dispatch.help import Status, roles_of
from bot.dispatch.pipeline import Pipeline
from bot.dispatch.query_session import QuerySession
from bot.dispatch.registry import Command, Registry
from bot.errors import UsageError
from bot.ledger import Ledger
from bot.slack.inbound.listeners import Listener, make_app
from bot.slack.inbound.request_handler import HandlerDeps, RequestHandler
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.outbox import Outbox, RateLimit
from bot.slack.roles import RoleResolver
from bot.slack.socket import SocketConnections
from bot.transport.client import QueryResult
from lab.slack.server import FakeSlack

AT = datetime(2026, 3, 2, 22, 41, tzinfo=UTC)


@pytest.fixture
def at():
    return AT


@pytest.fixture
def stuck_writer():
    return Report(
        title="prod: Hyper-V writer STUCK on hv03",
        summary="prod: Hyper-V writer STUCK on hv03, 9 of 11 guests locked; suspect test-tfs-01; hv05 UNKNOWN",
        of="nodes",
        asked=6,
        answered=5,
        findings=(
            Finding(
                Severity.FAULT,
                "STUCK",
                "hv03",
                "Microsoft Hyper-V VSS Writer",
                (
                    ("", "[5] Waiting for completion · Retryable error. No backup is running."),
                    ("Means", "the next backup of hv03 is expected to fail for all 11 guests."),
                    ("Suspect", "test-tfs-01 (event 10102, 22:14)"),
                    ("Next", "free space in the guest first."),
                ),
            ),
        ),
        unanswered=(Unknown("hv05", "timed out", "No answer in 20 s.", "Not counted as healthy."),),
        fine=(Healthy("STABLE", ("hv01", "hv02", "hv04", "hv06"), "11 writers each"),),
        remedies=(Remedy("Find Full Guests", "/find-full-guests prod", primary=True),),
    )


@pytest.fixture
def full_guests():
    return Report(
        title="prod: test-tfs-01 has 0 MB free on C:",
        summary="prod: test-tfs-01 C: 0 MB free; 2 under 1 GB; 3 UNKNOWN of 64",
        of="guests",
        asked=64,
        answered=52,
        findings=(
            Finding(
                Severity.FAULT,
                "FULL",
                "test-tfs-01",
                "on hv03, C: 0 MB of 80 GB",
                (("Because", "Event 10102 names it."), ("By hand", "free 1 GB or more on C:, then Check Again.")),
            ),
            Finding(Severity.WARNING, "LOW", "sql-stage-02", "L: 412 MB"),
        ),
        unanswered=(
            Unknown("crm-03", "login refused", "The guest refuses the login of the profile guest."),
            Unknown("sap-old-01", "timed out", "No answer in 20 s."),
            Unknown("sap-old-02", "timed out", "No answer in 20 s."),
        ),
        notes=("Not asked: lin-01 Linux; vdi-07 off",),
        chart=Chart(
            "Free GB, worst 10 volumes",
            "GB",
            (Bar("test-tfs-01 C:", 0), Bar("sql-stage-02 L:", 4), Bar("file-01 D:", 210)),
            (("Full below", 10),),
        ),
        table=Table(
            "Volumes of prod, least free space first",
            (Column("Guest"), Column("Volume"), Column("Free", "number", "GB"), Column("Node")),
            (
                ("test-tfs-01", "C:", "0", "hv03"),
                ("sql-stage-02", "L:", "0.4", "hv01"),
                ("crm-03", "", "", "hv02"),
            ),
        ),
        remedies=(Remedy("Check Writers", "/check-writers prod"),),
    )


@dataclass(frozen=True)
class Args:
    target: Target


class FakeHosts:
    """Answers every question with its report's name; `gate` holds answers back, `fault` breaks the command."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = []
        self.fault = None

    async def answer(self, question, seconds=20.0):
        self.asked.append(question.on)
        await self.gate.wait()
        if self.fault:
            raise self.fault
        rows = ({"Name": question.on, "Caption": f"<{question.on}> & more"},)
        return QueryResult(rows, f"<raw of {question.on}> & more", question.on)


class FakeDirectory:
    def suggestions(self, targets, named=""):
        known = {"cluster": ("prod", "branch"), "host": ("hv03",)}
        places = {"prod": ("prod",), "branch": ("branch",), "hv03": ("prod",)}
        return {name: places[name] for kind in targets for name in known.get(kind, ())}

    async def find(self, name):
        if name in ("prod", "branch"):
            return Target(name, "cluster", name)
        if name == "hv03":
            return Target(name, "host", "prod")
        raise UsageError(f"There is no {name}.", "", ("prod",))


@dataclass(frozen=True)
class Rule:
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()


class Deadlines:
    per_host_seconds = 5
    overall_seconds = 10


class Bench:
    """The bot's Slack side on the practice Slack: real listeners, pipeline and ledger; made-up hosts."""

    def __init__(self, slack, ledger, report):
        self.slack, self.ledger, self.report = slack, ledger, report
        self.hosts = FakeHosts()
        self.unknown = []
        self.operator, self.viewer, self.nobody = (slack.person(one) for one in ("operator", "viewer", "nobody"))
        spec = Diagnostic(Role.VIEWER, Args, self._collect, lambda _, __: self.report)
        command = Command("check-writers", "Say which VSS writers are stuck.", spec, parameters(Args))
        self.registry = Registry({"check-writers": command})
        slack.install(manifest(self.registry))
        client = make_client(slack.bot_token, slack.base_url)
        tempo = RateLimit(interval=0.001)
        self.outbox = Outbox(client, tempo, lambda channel, message: self.unknown.append((channel, message)))
        rules = [
            (Role.VIEWER, Rule(groups=("S0VIEWERS",), clusters=("prod",))),
            (Role.OPERATOR, Rule(groups=("S0OPERATORS",), clusters=("*",))),
        ]
        self.people = RoleResolver(client, rules)
        pipeline = Pipeline(self.registry, FakeDirectory(), ledger, self._look)
        parts = HandlerDeps(
            client,
            self.outbox,
            self.people,
            pipeline,
            self.registry,
            ledger,
            self._status,
            slack.base_url,
            60,
            (0.05, 0.1),
        )
        self.desk = RequestHandler(parts)
        self.app = make_app(slack.bot_token, slack.base_url)
        self.listener = Listener(self.app, self.desk)
        self.sockets = SocketConnections(self.app, slack.app_token, slack.base_url, look_every=0.02)

    async def _collect(self, args, ask):
        names = ("hv01", "hv02", "hv03") if args.target.kind == "cluster" else (args.target.name,)
        questions = {name: Wql(name, "root/cimv2", "Win32_OperatingSystem") for name in names}
        sources = {key: Source(question, lambda rows: rows[0]["Name"]) for key, question in questions.items()}
        return values_of(await ask.query_many(sources))

    def _look(self, now, progress):
        return QuerySession(self.hosts, lambda _: (), now, Deadlines(), progress)

    async def _status(self, person):
        head = self.ledger.head()
        may = tuple(command.usage for command in self.registry if person.highest_role >= command.role)
        slack = await self.sockets.sentence()
        return Status(person.id, roles_of(person), may, (("Slack", slack),), f"entry {head.seq if head else 0}", "0.1")

    async def idle(self):
        """Wait until everything that was started has been done, the last ledger entry too."""
        while self.desk._running:
            await asyncio.gather(*self.desk._running)

    def entries(self, kind):
        return self.ledger.entries(kind=kind, newest_first=False)


@pytest.fixture
async def bench(tmp_path, stuck_writer):
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors") as ledger:
        async with FakeSlack() as slack:
            made = Bench(slack, ledger, stuck_writer)
            stop = asyncio.Event()
            running = asyncio.create_task(made.sockets.run(stop))
            await slack.connected(2)
            yield made
            stop.set()
            await running
            await made.desk.close()
            await made.people.close()
            await made.outbox.close()
