"""A world of hosts with named values, a remediation that works on them, and the parts of a bot around both.

Questions read a host's values, actions set one of them; a test can make any action be refused, get lost on the way
there ("lost") or back ("unanswered"), come late with or without an answer ("slow", "late"), or "never" come. Every action that reaches the world is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.api.actions import ManualStep, RunProgram
from bot.api.arguments import HostTarget, Target
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import value_of
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, Group, Plan, Step, exists
from bot.api.queries import Predicate, RunReader, make_params
from bot.api.sources import Source
from bot.config.settings import Policy
from bot.dispatch.argument_parser import parameters
from bot.dispatch.authorization import Accounts, Person
from bot.dispatch.pipeline import Pipeline, Request
from bot.dispatch.query_session import QuerySession
from bot.dispatch.registry import Command, Registry
from bot.errors import ConnectionFailed, TargetFault, TargetTimeout, UsageError
from bot.executor.context import RunContext
from bot.executor.external_records import ExternalRecords
from bot.executor.scheduler import Scheduler
from bot.ledger import Ledger
from bot.ledger.clock_watch import ClockWatch
from bot.ledger_place import Database
from bot.tickets.create import ProposalService
from bot.tickets.decisions import ApprovalService, UserAction
from bot.tickets.planner import Planner
from bot.transport.client import QueryResult
from bot.transport.turns import last_look

LEDGER_FILES = ("ledger.db", "ledger.key", "anchors.txt")
VERSION = "test"
NOBODY = object()  # no audit channel


@dataclass(frozen=True)
class Args:
    host: HostTarget


def state(on):
    return RunReader(on, "state")


def set_to(on, **values):
    return RunProgram(on, "set", make_params(**values))


def is_now(on, within=0, give_up=None, **values):
    terms = tuple(Predicate(name, "=", value) for name, value in sorted(values.items()))
    return exists(state(on), *terms, within=within, give_up=give_up)


def step(key, on, deadline=60, within=60, **values):
    """Set values, and see that they are set."""
    return Step(key, f"{key} {on}", set_to(on, **values), (is_now(on, within, **values),), deadline=deadline)


def moves(bench, to="branch"):
    """The node is evicted and joins another cluster."""
    names = bench.planner._inventory
    find = names.find

    async def there(name):
        return replace(await find(name), cluster=to)

    names.find = there


def reset_plan(on, facts):
    """Pause, restart, resume: the shape of resetting a writer."""
    pause = Step(
        "pause",
        f"Pause {on}",
        set_to(on, paused="yes"),
        done=(is_now(on, 600, Expect((Predicate("drain", "=", "failed"),)), paused="yes"),),
        guard=(is_now(on, locked="no"),),
        before=state(on),
        undo=set_to(on, paused="no"),
        undone=(is_now(on, 60, paused="no"),),
        repeatable=True,
    )
    new = Check(state(on), (CompareToBefore("restart", ("instance",), same=False),), within=120)
    restart = Step("restart", f"Restart vmms on {on}", RunProgram(on, "restart"), (new,), before=state(on), deadline=30)
    resume = step("resume", on, paused="no")
    groups = (Group("drain", (pause,)), Group("restart", (restart,)), Group("resume", (resume,)))
    return Plan(
        reason=f"broken since {facts.get('since', '22:58')}",
        impact="11 guests move",
        rollback=f"Resume {on}",
        locks=(f"node:{on}",),
        gates=(Gate("No guest is locked", GateOutcome.of(facts.get("locked") == "no"), facts.get("count", "")),),
        groups=groups if facts.get("broken") == "yes" else (),
    )


@dataclass
class World:
    """The hosts. `faults` are taken one by one, by the actions in the order in which they come."""

    clock: object
    hosts: dict = field(default_factory=dict)
    acts: Counter = field(default_factory=Counter)
    order: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    silent: set = field(default_factory=set)
    later: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    hooks: dict = field(default_factory=dict)
    logins: dict = field(default_factory=dict)  # acts before -> what happens while a host lets somebody in
    log_begins: str = "2026-02-01T00:00:00Z"

    def add(self, *names):
        for name in names:
            self.hosts[name] = {
                "name": name, "paused": "no", "locked": "no", "broken": "yes", "instance": "1", "drain": ""
            }  # fmt: skip

    def rows(self, on):
        due = [one for one in self.later if one[0] <= self.clock()]
        self.later = [one for one in self.later if one not in due]
        for _, host, values in due:
            self.hosts[host].update(values)
        return (dict(self.hosts[on]),)

    async def answer(self, question, seconds=20.0):
        await asyncio.sleep(0)
        if question.on in self.silent:
            raise TargetTimeout(question.on, "no answer in 20 s.")
        if getattr(question, "what", "") == "wevtutil query events":
            return QueryResult(self._events(question), "", question.on)
        if getattr(question, "what", "") == "wevtutil oldest event":
            return QueryResult(tuple({"at": at} for at in [self.log_begins] if at), "", question.on)
        return QueryResult(self.rows(question.on), "", question.on)

    async def change(self, action, seconds):
        await asyncio.sleep(0)
        if action.what == "eventcreate":
            return self._note(action)
        if hook := self.logins.pop(len(self.order), None):
            hook()
            last_look(action.on)()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault == "refused":
            raise TargetFault(action.on, "5960", code=5960, is_refusal=True)
        if fault == "lost":
            raise ConnectionFailed(action.on, "connection refused.")
        self.acts[action.on, action.what, action.params] += 1
        self.order.append((action.on, action.what, *(value for _, value in action.params)))
        if fault != "never":
            delay = fault[1] if isinstance(fault, tuple) else 0
            self.later.append((self.clock() + timedelta(seconds=delay), action.on, self._effect(action)))
        if fault in ("unanswered", "never") or (isinstance(fault, tuple) and fault[0] == "late"):
            raise TargetTimeout(action.on, "no answer in time.")
        if hook := self.hooks.pop(len(self.order), None):
            hook()
        return QueryResult((), "ok", action.on)

    async def invoke(self, action, seconds):
        raise AssertionError("nothing here is invoked")

    async def update(self, action, seconds):
        """A row is a host, its columns are the host's values."""
        return await self.change(RunProgram(action.on, "set", action.rows[0].becomes), seconds)

    def _effect(self, action):
        if action.what == "restart":
            return {"instance": str(int(self.hosts[action.on]["instance"]) + 1)}
        return dict(action.params)

    def _events(self, question):
        """The notes in a host's log, as `wevtutil` tells of them: newest first."""
        if "no-logs" in self.silent:
            raise TargetTimeout(question.on, "no answer in 20 s.")
        asked = dict(question.params)
        assert (asked["channel"], asked["provider"], asked["ids"]) == ("Application", "hvops", "1")
        told = [(says, *at) for on, says, *at in reversed(self.notes) if on == question.on]
        return tuple(
            {
                "event_id": "1",
                "at": at[0] if at else "2026-03-02T14:00:00Z",
                "provider": "hvops",
                "data": {"Data0": text},
            }
            for text, *at in told[: int(asked["most"])]
        )

    def _note(self, action):
        if "no-notes" in self.silent:
            raise TargetFault(action.on, "access denied", code=5)
        self.notes.append((action.on, dict(action.params)["says"]))
        return QueryResult((), "", action.on)


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
        self.is_held = False

    def __call__(self):
        return self.now

    def forward(self, **how):
        self.now += timedelta(**how)

    async def sleep(self, seconds):
        while self.is_held:  # noqa: ASYNC110 - a test moves it
            await asyncio.sleep(0.001)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class OtherClock:
    """That of another machine, or one that was set: the same time, some seconds ahead or behind."""

    def __init__(self, clock, ahead):
        self._clock, self._ahead = clock, timedelta(seconds=ahead)

    def set_by(self, seconds):
        self._ahead += timedelta(seconds=seconds)

    def __call__(self):
        return self._clock() + self._ahead

    async def sleep(self, seconds):
        await self._clock.sleep(seconds)


class Names:
    async def find(self, name):
        cluster = {"hv": "prod", "br": "branch"}.get(name[:2].casefold())
        if cluster is None:
            raise UsageError(f"There is no {name}.")
        return Target(name.casefold(), "host", cluster)

    async def find_planned(self, name):
        return await self.find(name)

    async def find_now(self, names):
        return {name: await self.find(name) for name in names}


class Limits:
    per_host_seconds = 20
    overall_seconds = 60


def person(number, *roles, on=("prod",)):
    return Person(f"T1/U{number}", f"person {number}", {role: frozenset(on) for role in roles})


OPERATOR = person(1, Role.OPERATOR)
APPROVER = person(2, Role.APPROVER)
OTHER = person(3, Role.APPROVER)
VIEWER = person(4, Role.VIEWER)
STRANGER = person(5)
ELSEWHERE = person(6, Role.APPROVER, on=("branch",))
BOTH = Person("T1/U7", "both", {Role.OPERATOR: frozenset(["*"]), Role.APPROVER: frozenset(["prod"])})
POLICY = Policy(low="confirm", high="approval", open_minutes=30, start_minutes=15)


def command(name, plan, risk=Risk.HIGH, halfway=None):
    """A command; `halfway` makes its plan anew before a later group, from host, facts and the key of the group."""

    async def collect(args, ask):
        return value_of(await ask.query(Source(state(args.host.name), lambda rows: dict(rows[0]))))

    def make(args, facts):
        return plan(args.host.name, facts if isinstance(facts, dict) else {})

    def make_on(args, facts, group):
        return halfway(args.host.name, facts if isinstance(facts, dict) else {}, group)

    spec = Remediation(Role.OPERATOR, risk, Args, collect, make, plan_on=make_on if halfway else None)
    return Command(name, f"{name}.", spec, parameters(Args))


def ledger_files(folder):
    """The ledger of a folder, its key and its anchors. Where it is a database, its address is written there instead."""
    address = folder / "database"
    place = Database(address.read_text()) if address.exists() else folder / LEDGER_FILES[0]
    return place, *(folder / name for name in LEDGER_FILES[1:])


class Bench:
    """A bot around a world, and persons who press its buttons."""

    def __init__(self, folder, world, clock, **options):
        self.world, self.clock = world, clock
        self.told = []
        self.plans = {"reset": reset_plan} | options.pop("plans", {})
        self.policy = options.pop("policy", POLICY)
        self.version = options.pop("version", VERSION)
        monotonic = options.pop("monotonic", lambda: clock().timestamp())
        self.ledger = Ledger(*ledger_files(folder), clock=clock, monotonic=monotonic)
        halfway = options.pop("halfway", {})
        registry = Registry(
            {name: command(name, partial(self._plan, name), Risk.HIGH, halfway.get(name)) for name in self.plans}
        )
        registry.commands["tweak"] = command("tweak", partial(self._plan, "tweak"), Risk.LOW)
        self.plans.setdefault("tweak", lambda on, _facts: simple(on, step("tweak", on, tweaked="yes")))
        self.pipeline = Pipeline(registry, Names(), self.ledger, self.look)
        self.planner = Planner(registry, Names(), self.ledger, look=self.look, version=self.version, clock=clock)
        outside = options.pop("outside", None)  # the audit channel; NOBODY for none, None where nobody is asked at all
        if outside is not None:
            channel = None if outside is NOBODY else outside
            outside = ExternalRecords(
                self.ledger, required=options.pop("required", True), minutes=options.pop("anchor_minutes", 60), channel=channel,
                monotonic=lambda: clock().timestamp(),
            )  # fmt: skip
        self.accounts = Accounts(options.pop("same_person", ()))
        # there is no Slack in this world: whoever presses has read the plan
        self.decisions = ApprovalService(
            self.ledger, self.policy, clock, self.accounts, can_be_read=lambda _: True, covered=lambda: ("prod",)
        )
        self.proposals = ProposalService(self.pipeline, self.planner, self.policy, clock, self.accounts)
        everybody = (OPERATOR, APPROVER, OTHER, VIEWER, STRANGER, ELSEWHERE, BOTH)
        self.known = {one.id: one for one in everybody}  # and who has asked or pressed, as they were then
        self.now_are = {}  # who is somebody else by now; an error is what asking for them ends in
        self.parts = RunContext(
            self.ledger, self.planner, self.policy, world, self.look, self.people, self.accounts,
            tell=self.told.append, clock=clock, sleep=options.pop("sleep", clock.sleep), every=5.0, outside=outside,
            monotonic=lambda: clock().timestamp(),
        )  # fmt: skip
        self.missed = []
        self.runner = self.new_runner()

    def _plan(self, name, on, facts):
        return self.plans[name](on, facts)

    def new_runner(self):
        return Scheduler(self.parts, self._missed)

    async def _missed(self, click):
        self.missed.append(click.seq)

    def look(self, now, progress):
        return QuerySession(self.world, lambda _recall: (), now, Limits(), progress)

    async def people(self, person_id, name):
        found = self.now_are.get(person_id, self.known.get(person_id, Person(person_id, name)))
        if isinstance(found, Exception):
            raise found
        return found

    async def propose(self, line="/reset hv03", by=OPERATOR):
        self.known[by.id] = by
        return await self.proposals.propose(Request(by, line, "slack", "C0OPS"))

    def press(self, who, ticket, click=None):
        self.known[who.id] = who
        return UserAction(who, ticket, "button", "C0OPS", click)

    async def approved(self, line="/reset hv03", by=OPERATOR, approver=APPROVER):
        self.clock.is_held = True  # what waits beside it would let half an hour go by on a busy machine
        ticket = (await self.propose(line, by)).ticket
        self.decisions.approve(self.press(approver, ticket))
        self.clock.is_held = False
        return ticket

    async def runs(self, sweeps=1):
        """Sweep, and wait until nothing is under way."""
        for _ in range(sweeps):
            await self.runner.tick()
            await self.runner.wait_idle()

    async def dies(self):
        """The process is killed: its tasks vanish where they stand, and its lock with them. Then it is begun anew."""
        for task in self.runner._tasks.values():
            task.cancel()
        await asyncio.gather(*self.runner._tasks.values(), return_exceptions=True)
        self.runner._only.close()
        self.runner = self.new_runner()

    def goes_by(self, clock):
        """From now on it goes by this clock, as if it had from its beginning."""
        self.ledger._clock = self.planner._clock = clock
        self.ledger._clocks = ClockWatch(clock, self.parts.monotonic)
        self.parts = replace(self.parts, clock=clock, sleep=clock.sleep)
        self.runner = self.new_runner()

    def kinds(self, ticket):
        return [entry.kind for entry in self.ledger.story(ticket)]

    def last(self, ticket):
        return self.ledger.story(ticket)[-1]

    async def close(self):
        await self.runner.close()
        self.ledger.close()


def simple(on, *steps, **more):
    """A plan of one group."""
    return Plan("why", "none", "none", (f"node:{on}",), (), (Group("all", steps),), **more)


def taken_at_once(on, _facts):
    """A shutdown, which the host takes at once and carries out within 15 minutes."""
    stop = Step(
        "stop",
        f"Shut down {on}",
        set_to(on, power="off"),
        done=(is_now(on, 900, power="off"),),
        before=state(on),
        undo=set_to(on, power="on"),
        undone=(is_now(on, 60, power="on"),),
    )
    return simple(on, stop)


def by_hand(on, deadline=3 * 86400):
    return Step("look", "A person looks", ManualStep("Look", "operator"), (is_now(on, seen="yes"),), deadline=deadline)
