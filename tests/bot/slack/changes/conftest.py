"""The whole way of a change through the practice Slack: real listeners, ledger, runner and board; a made-up world."""

import asyncio
import re
import time
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from bot.api.actions import ManualStep, RunProgram
from bot.api.arguments import HostTarget, Target
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import value_of
from bot.api.plan import Expect, Gate, GateOutcome, Group, OpenQuestion, Plan, Step, exists
from bot.api.queries import Predicate, RunReader, make_params
from bot.api.sources import Source
from bot.audit.query import Review
from bot.config.settings import Policy
from bot.dispatch.argument_parser import parameters
from bot.dispatch.help import Status, roles_of
from bot.dispatch.pipeline import Pipeline
from bot.dispatch.query_session import QuerySession
from bot.dispatch.registry import Command, Registry
from bot.errors import TargetTimeout, UsageError
from bot.executor import context as run
from bot.executor.scheduler import Scheduler
from bot.ledger import Ledger, Reader
from bot.slack.inbound.audit_command import AuditCommand
from bot.slack.inbound.listeners import Listener, make_app
from bot.slack.inbound.request_handler import HandlerDeps, RequestHandler
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.outbox import Outbox, RateLimit
from bot.slack.outbound.slack_time import slack_time
from bot.slack.render.reason_modal import CALLBACK as WINDOW
from bot.slack.render.ticket_buttons import SEALED, sealed_value
from bot.slack.roles import RoleResolver
from bot.slack.socket import SocketConnections
from bot.slack.tickets.change_service import Changes
from bot.slack.tickets.message_table import button_seal, window_seal
from bot.slack.tickets.stop_notices import RetrySchedule, StopNotices
from bot.slack.tickets.ticket_messages import ReminderSchedule, TicketMessages
from bot.tickets.create import ProposalService
from bot.tickets.decisions import ApprovalService
from bot.tickets.planner import Planner
from bot.transport.client import QueryResult
from lab.slack.model import Member
from lab.slack.server import FakeSlack


@dataclass(frozen=True)
class Args:
    host: HostTarget


@dataclass
class World:
    """One host's named values. `gate` holds changes back, so that a test can look at a run in the middle."""

    values: dict = field(default_factory=lambda: {"paused": "no", "fixed": "no", "locked": "no", "wizard": "no"})
    acts: list = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self):
        self.gate.set()

    async def answer(self, question, seconds=20.0):
        return QueryResult((dict(self.values),), "", question.on)

    async def change(self, action, seconds):
        if action.what == "set":
            self.acts.append(dict(action.params))
            if self.values.get("silent") == "yes":
                raise TargetTimeout(action.on, "no answer.")
            await self.gate.wait()
            self.values.update(dict(action.params))
        return QueryResult((), "ok", action.on)


def is_now(on, within=30, **values):
    terms = tuple(Predicate(name, "=", value) for name, value in sorted(values.items()))
    return exists(
        RunReader(on, "state"), *terms, within=within, every=1, give_up=Expect((Predicate("broken", "=", "yes"),))
    )


def repair_plan(on, facts):
    pause = Step(
        "pause",
        f"Pause {on}",
        RunProgram(on, "set", make_params(paused="yes")),
        (is_now(on, paused="yes"),),
        before=RunReader(on, "state"),
        undo=RunProgram(on, "set", make_params(paused="no")),
        undone=(is_now(on, paused="no"),),
    )
    repair = Step("fix", f"Fix {on}", RunProgram(on, "set", make_params(fixed="yes")), (is_now(on, fixed="yes"),))
    more = Step("more", f"More on {on}", RunProgram(on, "set", make_params(more="yes")), (is_now(on, more="yes"),))
    repairs = (repair, more) if facts.get("changed") == "yes" else (repair,)
    gate = Gate("No guest is locked", GateOutcome.of(facts.get("locked") == "no"), f"locked: {facts.get('locked')}")
    room = Gate("Every guest has room", GateOutcome.PASSED)
    if names := facts.get("unasked"):  # whose free space nobody told
        silent = (OpenQuestion(f"free space of {name}", "timed out after 20 s.", "Look.") for name in names.split(","))
        room = Gate("Every guest has room", GateOutcome.NOT_KNOWN, "not known", unknowns=tuple(silent))
    return Plan(
        reason="It is broken.",
        impact="11 guests move",
        rollback=f"Resume {on}",
        locks=(f"node:{on}",),
        gates=(gate, room) if "unasked" in facts else (gate,),
        groups=(Group("pause", (pause,), on_failure=facts.get("on_failure", "stop")), Group("fix", repairs)),
    )


def wizard_plan(on, facts):
    ask = Step(
        "wizard",
        "Reopen the wizard",
        ManualStep("Open the wizard.", "operator"),
        (is_now(on, 0, wizard="yes"),),
        deadline=600,
    )
    return Plan("why", "none", "none", (f"node:{on}",), (), (Group("all", (ask,)),))


def brief_plan(on, facts):
    """One step that is waited for a second."""
    done = (is_now(on, 1, fixed="yes"),)
    hasty = Step("fix", f"Fix {on}", RunProgram(on, "set", make_params(fixed="yes")), done, deadline=1)
    return Plan("why", "none", "none", (f"node:{on}",), (), (Group("all", (hasty,)),))


def long_plan(on, facts):
    """A plan that no message takes: its whole text is a file."""
    gates = tuple(
        Gate(f"Guest {number:02} of {on} has room", GateOutcome.PASSED, f"{number + 40} GB free on each of its volumes")
        for number in range(90)
    )
    return replace(repair_plan(on, facts), gates=gates)


def genuine(ledger, body):
    """A payload made by hand, with what the button or the window would carry if hvops had made it for that place.

    It was pressed, or opened, just now, if it does not say otherwise.
    """
    body = deepcopy(body)
    view, action = body.get("view") or {}, (body.get("actions") or [{}])[0]
    is_window = body["type"] == "view_submission" and view.get("callback_id", "").startswith(f"{WINDOW}:")
    if body.get("actions"):
        action.setdefault("action_ts", f"{time.time():.6f}")
    ticket = view.get("private_metadata", "") if is_window else action.get("value", "")
    story = ledger.story(ticket)
    if not story or (not is_window and action["action_id"].split(":")[1] not in SEALED):
        return body
    digest, user = story[0].data.digest, body["user"]
    if is_window:
        verb = view["callback_id"].removeprefix(f"{WINDOW}:").replace(":", " ")
        who = f"{user['team_id']}/{user['id']}"
        view["private_metadata"] = sealed_value(
            ticket, window_seal(ledger, ticket, digest, verb, who, opened=int(time.time()))
        )
    else:
        channel = body.get("channel", {}).get("id", "")
        action["value"] = sealed_value(ticket, button_seal(ledger, ticket, digest, channel))
    return body


def command(name, plan, risk):
    async def collect(args, ask):
        return value_of(await ask.query(Source(RunReader(args.host.name, "state"), lambda rows: dict(rows[0]))))

    spec = Remediation(Role.OPERATOR, risk, Args, collect, lambda args, facts: plan(args.host.name, facts))
    return Command(name, f"{name}.", spec, parameters(Args))


class Names:
    def suggestions(self, targets, named=""):
        return {"prod": ("prod",)} if "cluster" in targets else {}

    async def find(self, name):
        if name == "hv03" or name.startswith("node"):
            return Target(name, "host", "prod")
        raise UsageError(f"There is no {name}.")

    async def find_planned(self, name):
        return await self.find(name)

    async def find_now(self, names):
        return {name: await self.find(name) for name in names}


@dataclass(frozen=True)
class Rule:
    groups: tuple = ()
    users: tuple = ()
    clusters: tuple = ("prod",)


class Deadlines:
    per_host_seconds = 5
    overall_seconds = 10


RULES = [
    (Role.VIEWER, Rule(("S0VIEWERS",))),
    (Role.OPERATOR, Rule(("S0OPERATORS",))),
    (Role.APPROVER, Rule(("S0APPROVERS",))),
]


PLACES = {"prod": ("prod",), "hv03": ("prod",)}


def _now():
    return datetime.now(UTC)


class Bot:
    """One life of the bot on a ledger."""

    def __init__(
        self, slack, ledger, world, *, channel="C0OPS", ahead=timedelta(), progress=0.01, ops=(), tempo=None,
        pace=None, timeout=15, clock=_now, seconds=time.monotonic, mask=None,
    ):  # fmt: skip
        self.ledger, self.world = ledger, world
        commands = {
            "repair": command("repair", repair_plan, Risk.HIGH),
            "tweak": command("tweak", repair_plan, Risk.LOW),
            "reopen": command("reopen", wizard_plan, Risk.HIGH),
            "hurry": command("hurry", brief_plan, Risk.HIGH),
            "overhaul": command("overhaul", long_plan, Risk.HIGH),
        }
        self.registry = Registry(commands)
        slack.install(manifest(self.registry))
        client = make_client(slack.bot_token, slack.base_url, timeout)
        slack_time(slack.base_url).note(formatdate(time.time(), usegmt=True))  # as by the call that opens a connection
        policy = Policy(low="confirm", high="approval")
        self.outbox = Outbox(client, tempo or RateLimit(interval=0.001, give_up_after=0.2), mask=mask)
        self.people = RoleResolver(client, RULES, seconds, contact="#it-oncall or @jane")
        pace = pace or ReminderSchedule(progress=progress, again=0.05, glance=0.02, now=lambda: _now() + ahead)
        self.board = TicketMessages(
            client, self.outbox, self.people, ledger, channel=lambda _: channel, pace=pace, covered=("prod",)
        )
        pipeline = Pipeline(self.registry, Names(), ledger, self._look)
        planner = Planner(self.registry, Names(), ledger, look=self._look, version="test", clock=clock)
        self.decisions = ApprovalService(ledger, policy, clock, covered=lambda: ("prod",))
        work = run.RunContext(
            ledger, planner, policy, world, self._look, self.people.lookup, tell=self.board.notify, every=0.02,
            clock=clock,
        )  # fmt: skip
        self.runner = Scheduler(work, self._missed)
        proposals = ProposalService(pipeline, planner, policy, clock)
        self.changes = changes = Changes(proposals, self.decisions, self.board, self.outbox, work, self.runner.wake)
        schedule = RetrySchedule(glance=0.02, first=0.02, longest=0.05, now=lambda: _now() + ahead)
        self.notices = StopNotices(
            self.outbox, ledger, self.board, ops, may=lambda: self.runner.is_leader, schedule=schedule
        )
        self.readers = [Reader(ledger.path) for _ in range(3)]
        told = HandlerDeps(
            client,
            self.outbox,
            self.people,
            pipeline,
            self.registry,
            ledger,
            self._status,
            slack.base_url,
            changes=changes,
            reviews=AuditCommand(pipeline, *(Review(one, lambda: PLACES) for one in self.readers)),
        )
        self.desk = RequestHandler(told)
        self.app = app = make_app(slack.bot_token, slack.base_url)
        self.listener = Listener(app, self.desk)
        self.sockets = SocketConnections(app, slack.app_token, slack.base_url, look_every=0.02)
        self.stop = asyncio.Event()

    def hold_answers(self, method, until):
        """Slack takes the next call of the outbox, and its answer comes only once `until` begins to close."""
        released, call, close = asyncio.Event(), getattr(self.outbox, method), until.close

        async def late(*args, **more):
            answer = await call(*args, **more)
            await released.wait()
            return answer

        async def closing():
            released.set()
            await close()

        setattr(self.outbox, method, late)
        until.close = closing

    async def _missed(self, entry):
        await self.listener.replay_missed(entry)

    def _look(self, now, progress):
        return QuerySession(self.world, lambda _: (), now, Deadlines(), progress)

    async def _status(self, person):
        return Status(person.id, roles_of(person), (), (), "entry 1", "0.1")

    def genuine(self, body):
        """A payload made by hand, as hvops' own message or window would send it."""
        return genuine(self.ledger, body)

    async def lives(self):
        works = (self.sockets, self.runner, self.board, self.notices)
        await asyncio.gather(*(work.run(self.stop) for work in works))
        await self.close()

    async def close(self):
        await self.desk.close()
        await self.board.close()
        await self.people.close()
        await self.outbox.close()
        for one in self.readers:
            one.close()


class Bench:
    """The practice Slack, a ledger, and lives of the bot on it, one after the other."""

    def __init__(self, slack, ledger, world=None):
        self.slack, self.ledger, self.world = slack, ledger, world or World()
        self.operator, self.approver, self.viewer = (slack.person(one) for one in ("operator", "approver", "viewer"))
        self.bot = None

    @asynccontextmanager
    async def running(self, **options):
        """One life of the bot."""
        self.bot = Bot(self.slack, self.ledger, self.world, **options)
        living = asyncio.create_task(self.bot.lives())
        await self.slack.connected(2)
        try:
            yield self.bot
        finally:
            self.world.release()
            self.bot.stop.set()
            await living

    def crowd(self, count):
        """That many members of the approvers."""
        workspace = self.slack.workspace
        for number in range(count):
            member = Member(f"U0CROWD{number}", f"crowd{number}", f"Crowd {number}")
            workspace.members[member.id] = member
            workspace.groups["S0APPROVERS"].users.append(member.id)
            workspace.channels["C0OPS"].members.append(member.id)
        return [self.slack.person(f"crowd{number}") for number in range(count)]

    async def until_file(self, message, name):
        """The bytes of a file in the thread of a message, once it is there."""

        def found():
            return next((one for one in self.viewer.thread(message) if one.files), None)

        await self.until(found)
        return self.viewer.file(found(), name)

    def kinds(self, ticket="T-1"):
        return [entry.kind for entry in self.ledger.story(ticket)]

    async def until(self, condition):
        """Wait for something that the runner or the board brings about; they cannot tell."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)

    async def ended(self, kind, ticket="T-1"):
        await self.until(lambda: kind in self.kinds(ticket) and self._is_told(kind, ticket))

    def _is_told(self, kind, ticket):
        story = self.ledger.story(ticket)
        seq = next(one.seq for one in story if one.kind == kind)
        return any(one.kind == "shown" and one.fields.get("entry") == seq for one in story)


def pytest_terminal_summary(terminalreporter):
    """What `test_faults.py` played, and how many calls that were."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.getreports(outcome)]
    played = [value for each in reports for name, value in each.user_properties if name == "slack faults"]
    for says, _, _ in sorted(played, key=lambda one: int(one[0].split()[1].rstrip(":"))):
        terminalreporter.write_line(says)
    if played:
        calls, faults = (sum(one[at] for one in played) for at in (1, 2))
        terminalreporter.write_line(f"{len(played)} seeds, {calls:,} calls of Slack, {faults:,} with a fault")


@pytest.fixture
async def bench(tmp_path):
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors") as ledger:
        async with FakeSlack(rates="off") as slack:
            yield Bench(slack, ledger)


@pytest.fixture
async def interrupted(bench):
    """A ticket that is interrupted in its first step, and the bot that shows it."""
    bench.world.gate.set()
    bench.world.values["silent"] = "yes"
    async with bench.running():
        await bench.operator.types("/hurry hv03")
        plan = await bench.viewer.sees("Hurry on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        await bench.ended("interrupted")
        card = await bench.viewer.sees(re.compile("^Interrupted at step 1: someone must decide"), "hv-ops")
        assert card.ts == plan.ts
        yield card


@pytest.fixture
def make_bench():
    """Makes a bench of a practice Slack, a ledger and a world."""
    return Bench


@pytest.fixture
def rule():
    """Makes a rule of the settings."""
    return Rule


@pytest.fixture
def make_bot():
    """Makes a life of the bot that is not begun: its listeners can be fed directly."""
    return lambda bench: Bot(bench.slack, bench.ledger, bench.world)
