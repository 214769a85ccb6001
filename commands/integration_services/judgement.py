"""How each guest's integration services are. Pure.

The status of a component decides what is incompatible; a version alone only says what is older. Microsoft: the warnings about
guests that are not Windows are to be ignored (KB2956569) [doc]. Hosts from 2016 on expect no version: guests get theirs by
Windows Update [doc], all but Vista and 2008 [src Virtualization-Documentation#249]. Windows Update offers them where data
exchange is on [src]: that is necessary, and not sufficient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from bot.api.facts import Unknown
from commands.integration_services.facts import HostServices, IntegrationFacts
from commands.sources.guests import Guest
from commands.sources.integration import Component, Exchange, Expected, Family, read_version
from commands.sources.kvp import System

_BUILD_2016 = 14393
_TEN: Family = (10, 0)
VISTA: Family = (6, 0)
_FAMILIES: Mapping[Family, str] = {
    (5, 0): "2000",
    (5, 1): "XP",
    (5, 2): "2003",
    VISTA: "2008 / Vista",
    (6, 1): "2008 R2 / 7",
    (6, 2): "2012 / 8",
    (6, 3): "2012 R2 / 8.1",
    _TEN: "2016 or later / 10",
}
# Which Windows a host itself is, by build: its own guests of that family get the services with its own updates.
_HOST_FAMILIES = ((14393, _TEN), (9600, (6, 3)), (9200, (6, 2)), (7600, (6, 1)))


class State(IntEnum):
    """How a guest's version and data exchange are, worst first."""

    INCOMPATIBLE = 0
    NO_CONTACT = 1
    EXCHANGE_OFF = 2
    NO_DATA = 3
    OLDER = 4
    OLDER_OWN = 5
    NOT_JUDGED = 6
    BY_UPDATE = 7
    NEWER = 8
    UP_TO_DATE = 9
    IGNORED = 10
    NOT_RUNNING = 11

    @property
    def word(self) -> str:
        """As it stands in the table: "data exchange off"."""
        return _WORDS[self]


_WORDS = {
    State.INCOMPATIBLE: "incompatible",
    State.NO_CONTACT: "no contact",
    State.EXCHANGE_OFF: "data exchange off",
    State.NO_DATA: "no data",
    State.OLDER: "older",
    State.OLDER_OWN: "older, own Windows",
    State.NOT_JUDGED: "not checked",
    State.BY_UPDATE: "by Windows Update",
    State.NEWER: "newer than host",
    State.UP_TO_DATE: "up to date",
    State.IGNORED: "version ignored",
    State.NOT_RUNNING: "not running",
}


class Snapshot(IntEnum):
    """How a guest's VSS requestor is, worst first."""

    OFF = 0
    SILENT = 1
    NOT_KNOWN = 2
    WELL = 3
    NOT_JUDGED = 4


@dataclass(frozen=True, slots=True)
class GuestServices:
    """One guest, judged.

    Attributes:
        exchange: None where its host reported no data exchange of it.
        heartbeat: None where its host reported none of it.
        expected: the version that its host expects of its family; "" where it expects none.
        read_from: name of the registry value; "" where there is none.
        broken: names of the components without a compatible version.
        degraded: names of those that work with an older one.
        why: what keeps it from being judged; "" where nothing does.
        own_windows: whether it runs the Windows of its host, so that the services come with its own updates.
    """

    guest: Guest
    host: str
    state: State
    snapshot: Snapshot
    exchange: Exchange | None = None
    heartbeat: Component | None = None
    expected: str = ""
    read_from: str = ""
    broken: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    why: str = ""
    own_windows: bool = False

    @property
    def version(self) -> str:
        """Of its integration services; "" where it reported none."""
        return self.exchange.version if self.exchange else ""

    @property
    def system(self) -> System:
        """Windows, Linux, or not known."""
        return self.exchange.info.system if self.exchange else System.UNKNOWN

    @property
    def family(self) -> str:
        """Which systems it belongs to: "2008 R2 / 7", "Linux", "not known"."""
        return family_name(self.exchange)

    @property
    def offered_nothing(self) -> bool:
        """Whether Windows Update has no integration services for it."""
        return self.exchange is not None and self.system is System.WINDOWS and self.exchange.family == VISTA


def family_name(exchange: Exchange | None) -> str:
    """The family of a guest in words."""
    if exchange is None or exchange.info.system is System.UNKNOWN:
        return "not known"
    if exchange.info.system is not System.WINDOWS:
        return str(exchange.info.system)
    return _FAMILIES.get(exchange.family, "another Windows") if exchange.family else "Windows"


def judge_all(facts: IntegrationFacts) -> tuple[GuestServices, ...]:
    """Every guest, worst first. During a move one is seen twice: the running one counts."""
    found: dict[str, GuestServices] = {}
    for host in facts.hosts:
        for guest in host.guests:
            seen = found.get(guest.vm_id)
            if seen is None or (guest.power.runs and not seen.guest.power.runs):
                found[guest.vm_id] = _judge(guest, host)
    return tuple(sorted(found.values(), key=_worst_first))


def _worst_first(one: GuestServices) -> tuple[State, str, tuple[int, ...], str]:
    return one.state, one.family, read_version(one.version) or (), one.guest.name.casefold()


def _judge(guest: Guest, host: HostServices) -> GuestServices:
    name = host.node.name
    if not guest.power.runs:
        return GuestServices(guest, name, State.NOT_RUNNING, Snapshot.NOT_JUDGED)
    exchange = None if isinstance(host.exchanges, Unknown) else host.exchanges.get(guest.vm_id)
    snapshot = None if isinstance(host.snapshots, Unknown) else host.snapshots.get(guest.vm_id)
    beat = None if isinstance(host.heartbeats, Unknown) else host.heartbeats.get(guest.vm_id)
    parts = {"data exchange": exchange.component if exchange else None, "VSS requestor": snapshot, "heartbeat": beat}
    broken = tuple(word for word, part in parts.items() if part and part.is_incompatible)
    degraded = tuple(word for word, part in parts.items() if part and part.is_older)
    state, expected, read_from, why = _state(exchange, beat, host, broken, degraded)
    contact = state is not State.NO_CONTACT
    return GuestServices(
        guest,
        name,
        state,
        _snapshot(exchange, snapshot, contact=contact),
        exchange,
        beat,
        expected,
        read_from,
        broken,
        degraded,
        why,
        own_windows=exchange is not None and exchange.family is not None and exchange.family == _host_family(host),
    )


def _state(  # noqa: PLR0911 - each return is a state
    exchange: Exchange | None,
    beat: Component | None,
    host: HostServices,
    broken: tuple[str, ...],
    degraded: tuple[str, ...],
) -> tuple[State, str, str, str]:
    """The state; the expected version and the value's name; what keeps it from being judged."""
    if broken:
        expected, read_from = _expected(exchange, host)
        return State.INCOMPATIBLE, expected, read_from, ""
    if exchange is None:
        why = host.exchanges.why if isinstance(host.exchanges, Unknown) else "its host reports no data exchange of it."
        return State.NOT_JUDGED, "", "", why
    if exchange.component.is_off:
        return State.EXCHANGE_OFF, "", "", ""
    if exchange.info.unread:
        return State.NOT_JUDGED, "", "", exchange.info.unread
    if not exchange.reported or exchange.component.is_silent:
        no_contact = beat is not None and beat.is_silent and exchange.component.is_silent
        return (State.NO_CONTACT if no_contact else State.NO_DATA), "", "", ""
    if exchange.info.system in (System.LINUX, System.OTHER):
        return State.IGNORED, "", "", ""
    return _by_version(exchange, host, degraded)


def _by_version(  # noqa: PLR0911 - each return is a state
    exchange: Exchange, host: HostServices, degraded: tuple[str, ...]
) -> tuple[State, str, str, str]:
    """A Windows guest that reports. Where no version is expected, the components alone say whether it is older."""
    if exchange.family is None:
        return State.NOT_JUDGED, "", "", "it does not report which system it runs."
    by_update = exchange.family >= _TEN or _is_2016(host)
    if by_update and not exchange.component.statuses:
        return State.NOT_JUDGED, "", "", "its host reports no status of its data exchange."
    if by_update:
        return (State.OLDER if degraded else State.BY_UPDATE), "", "", ""
    if isinstance(host.expected, Unknown):
        return State.NOT_JUDGED, "", "", f"what {host.node.name} expects could not be read: {host.expected.why}"
    expected, read_from = _expected(exchange, host)
    own, wanted = read_version(exchange.version), read_version(expected)
    if wanted is None:
        return State.NOT_JUDGED, "", "", f"{host.node.name} has no expected version for its Windows."
    if own is None:
        return State.NOT_JUDGED, expected, read_from, "it reports no version of its integration services."
    if own < wanted:
        is_own = exchange.family == _host_family(host) and not degraded
        return (State.OLDER_OWN if is_own else State.OLDER), expected, read_from, ""
    if degraded:
        return State.OLDER, expected, read_from, ""
    return (State.NEWER if own > wanted else State.UP_TO_DATE), expected, read_from, ""


def _expected(exchange: Exchange | None, host: HostServices) -> tuple[str, str]:
    if exchange is None or exchange.family is None or not isinstance(host.expected, Expected):
        return "", ""
    if exchange.family >= _TEN or _is_2016(host):
        return "", ""
    found = host.expected.version_for(exchange.family)
    return (found[1], found[0]) if found else ("", "")


def _is_2016(host: HostServices) -> bool:
    return host.node.build is not None and host.node.build >= _BUILD_2016


def _host_family(host: HostServices) -> Family | None:
    build = host.node.build or 0
    return next((family for least, family in _HOST_FAMILIES if build >= least), None)


def _snapshot(exchange: Exchange | None, part: Component | None, *, contact: bool) -> Snapshot:
    """The VSS requestor. Without any contact it is no finding of its own; one that is incompatible is named as that."""
    if part is None or (part.enabled is None and not part.statuses):
        return Snapshot.NOT_KNOWN
    is_foreign = exchange is not None and exchange.info.system in (System.LINUX, System.OTHER)
    if part.is_off:
        return Snapshot.NOT_JUDGED if is_foreign else Snapshot.OFF
    if part.is_silent:
        return Snapshot.SILENT if contact else Snapshot.NOT_JUDGED
    return Snapshot.NOT_JUDGED if part.is_incompatible else Snapshot.WELL


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Hosts of one Windows that expect different versions under the same name: version -> hosts."""

    build: int
    name: str
    by_version: Mapping[str, tuple[str, ...]]


def disagreements(hosts: Iterable[HostServices]) -> tuple[Disagreement, ...]:
    """Where a guest that moves is judged otherwise. Places and names that differ are no difference of versions."""
    told: dict[tuple[int, str], dict[str, list[str]]] = {}
    for host in hosts:
        if host.node.build is None or _is_2016(host) or not isinstance(host.expected, Expected):
            continue
        for name, version in host.expected.versions.items():
            told.setdefault((host.node.build, name), {}).setdefault(version, []).append(host.node.name)
    return tuple(
        Disagreement(build, name, {version: tuple(names) for version, names in by_version.items()})
        for (build, name), by_version in sorted(told.items())
        if len(by_version) > 1
    )
