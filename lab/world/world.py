"""The practice world: its clusters, its clock, and what happens in it over time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal, Protocol

from lab.loadmaster.model import Appliance
from lab.websites.model import Front, WebServer
from lab.windows.machine_protocol import Machine
from lab.world.accounts import Account
from lab.world.model import BackupJob, Cluster, Event, Guest, Node, Windows
from lab.world.overrides import Overrides
from lab.world.vmm import VirtualMachineManager

Clock = Callable[[], datetime]
Callback = Callable[[], None]
TroubleName = Literal["hang", "refuse", "dark", "reset", "html", "cut", "deny"]
KEPT_EVENTS = 2_000  # per machine


class MachineLike(Machine, Protocol):
    """A machine of the world, as the world itself knows it."""

    windows: Windows
    overrides: Overrides

    @property
    def answers(self) -> bool:
        """Whether WinRM listens there."""
        ...


def cluster_name(windows: Windows) -> str:
    """The cluster that a node or guest is of; "" for another machine."""
    if isinstance(windows, Guest):
        return windows.node.cluster.name
    return windows.cluster.name if isinstance(windows, Node) else ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person of the practice world can do, beside what the bot does. `offered` says whether it makes sense now."""

    id: str
    label: str
    act: Callback
    offered: Callable[[], bool] = lambda: True


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


@dataclass(slots=True)
class World:
    """All of it. `machines`: address -> machine, guests included. Everything happens in one thread, the event loop's."""

    clusters: dict[str, Cluster]
    accounts: dict[str, Account]
    clock: Clock = utc_now
    machines: dict[str, MachineLike] = field(default_factory=dict)
    jobs: dict[int, BackupJob] = field(default_factory=dict)
    vmm: VirtualMachineManager | None = None
    web_servers: list[WebServer] = field(default_factory=list)
    fronts: list[Front] = field(default_factory=list)
    load_balancers: dict[str, Appliance] = field(default_factory=dict)
    inventory: Mapping[str, object] = field(default_factory=dict)  # tables of the inventory that only this scenario has
    link_delay: int = 0  # milliseconds between two clusters
    link_loss: int = 0  # of a hundred packets between two clusters
    story: str = ""
    sentence: str = ""
    prefilled: str = "/check-writers prod"
    changes: int = 0  # grows whenever something happened: the demo page redraws on it
    asked: list[str] = field(default_factory=list)  # every change that somebody asked a machine for, as it came
    when_asked: Callback | None = None  # called once, when the next one has come and before it is done
    _alert: str = ""
    _offers: list[Action] = field(default_factory=list)
    _facts: Callable[[], list[tuple[str, str]]] = list
    _agenda: list[tuple[datetime, int, Callback]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _skipped: timedelta = timedelta()
    _moment: datetime | None = None  # the time of what is happening just now
    _names: dict[str, MachineLike] = field(default_factory=dict)

    # time ---------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The world's time, UTC: the clock's, and ahead of it by what was skipped."""
        return self._moment or self.clock() + self._skipped

    def after(self, seconds: float, happening: Callback) -> None:
        """Let something happen in that many seconds of the world's time."""
        heapq.heappush(self._agenda, (self.now + timedelta(seconds=seconds), next(self._order), happening))

    def settle(self) -> None:
        """Let everything happen that is due, each at its own time."""
        now = self.clock() + self._skipped
        while self._moment is None and self._agenda and self._agenda[0][0] <= now:
            self._moment, _, happening = heapq.heappop(self._agenda)
            try:
                happening()
            finally:
                self._moment = None
            self.changes += 1

    def tick(self) -> bool:
        """Settle, and say whether something happened. For an event loop's timer; answers settle by themselves."""
        before = self.changes
        self.settle()
        return self.changes != before

    def skip(self, seconds: float) -> None:
        """Jump ahead."""
        self._skipped += timedelta(seconds=seconds)
        self.settle()

    # names --------------------------------------------------------------------------------------------------------

    def add(self, machine: MachineLike) -> None:
        """Take a machine in. One where WinRM does not listen refuses connections."""
        self.machines[machine.windows.address] = machine
        self._names[machine.windows.name.casefold()] = machine
        machine.trouble.refuse = not machine.answers

    def machine(self, name: str) -> MachineLike:
        """The machine of that name; KeyError where there is none."""
        return self._names[name.casefold()]

    def node(self, name: str) -> Node:
        """The node of that name."""
        windows = self.machine(name).windows
        assert isinstance(windows, Node)
        return windows

    def guest(self, name: str) -> Guest:
        """The guest of that name."""
        windows = self.machine(name).windows
        assert isinstance(windows, Guest)
        return windows

    def addressed(self, name: str) -> Windows | None:
        """The machine that a name, a full name or an address means to the practice environment's DNS."""
        wanted = name.casefold().rstrip(".")
        for machine in self.machines.values():
            if wanted in (machine.windows.name.casefold(), machine.windows.fqdn.casefold(), machine.windows.address):
                return machine.windows
        return None

    def delay(self, one: Windows, other: Windows) -> int:
        """Milliseconds from one machine to another: those between their clusters, or less than one."""
        homes = {cluster_name(machine) for machine in (one, other)}
        return self.link_delay if len(homes) > 1 else 0

    # what people see and do ---------------------------------------------------------------------------------------

    def set_alert(self, alert: str, facts: Callable[[], list[tuple[str, str]]], offers: list[Action]) -> None:
        """What the story has to say: the alert in the channel, the facts worth showing, what a person can do."""
        self._alert, self._facts, self._offers = alert, facts, offers

    def alert(self) -> str:
        """The text that monitoring already wrote into the channel; empty where nothing is wrong."""
        return self._alert

    def facts(self) -> list[tuple[str, str]]:
        """A few names and what is true of them now, for people who watch the world from above."""
        self.settle()
        return self._facts()

    def actions(self) -> list[tuple[str, str]]:
        """(id, label) of what a person could do now."""
        self.settle()
        return [(action.id, action.label) for action in self._offers if action.offered()]

    def act(self, action_id: str) -> None:
        """Do one of the actions.

        Raises:
            KeyError: there is no such action, or not now.
        """
        self.settle()
        action = {action.id: action for action in self._offers if action.offered()}[action_id]
        action.act()
        self.changes += 1

    def trouble(self, name: str, kind: TroubleName, *, on: bool) -> None:
        """Make trouble on the way to a machine, or end it.

        Raises:
            KeyError: there is no such machine.
        """
        setattr(self.machine(name).trouble, kind, on)
        self.changes += 1

    def is_asked(self, on: str, what: str) -> None:
        """A machine was asked for a change by somebody who may. Whoever waited for that is called first."""
        self.asked.append(f"{on}: {what}")
        callback, self.when_asked = self.when_asked, None
        if callback is not None:
            callback()

    # logs ---------------------------------------------------------------------------------------------------------

    def log(self, windows: Windows, event: Event) -> None:
        """Write an event; its record number is the log's next."""
        record = windows.records.get(event.log, 40_000) + 1
        windows.records[event.log] = record
        windows.events.append(replace(event, record=record))
        del windows.events[:-KEPT_EVENTS]
