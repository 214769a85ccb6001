"""Does one machine reach another, and how long does it take? Asked on the machine itself, and by hvops.

Win32_PingStatus sends one echo request per query, to `Address`, within `Timeout` milliseconds; StatusCode 0 is a reply,
NULL a name that has no address, and ResponseTime whole milliseconds [doc]. Requests of one series differ in their size, so
that each is a question of its own. A firewall may drop echo requests where everything else gets through: no reply is not
"down".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.api.facts import Known, Unknown
from bot.api.queries import Predicate, RunReader, Wql, make_params
from bot.api.rows import Rows, get_int
from bot.api.sources import Source
from bot.api.web import split_port

SERIES = 10  # echo requests of one series
_BYTES, _TIMEOUT = 32, 1_000  # of the first one; milliseconds


@dataclass(frozen=True, slots=True)
class Echo:
    """One echo request: how long until its reply, in milliseconds; None where there was none in time."""

    milliseconds: int | None
    resolved: bool = True


@dataclass(frozen=True, slots=True)
class Series:
    """A series of echo requests. `unasked`: how many could not even be asked for."""

    sent: int
    times: tuple[int, ...]
    resolved: bool
    unasked: int = 0

    @property
    def loss_percent(self) -> int:
        """How many of a hundred got no reply, rounded up: never less than is so."""
        return -(-(self.sent - len(self.times)) * 100 // self.sent) if self.sent else 100

    @property
    def slowest(self) -> int | None:
        """The longest time, in milliseconds; None where there was no reply."""
        return max(self.times, default=None)


def echoes(on: str, address: str) -> dict[int, Source[Echo]]:
    """The questions: does `address` reply to `on`? A series of them."""
    return {number: _echo(on, address, number) for number in range(SERIES)}


REFUSED = "connection refused"  # the kind of Unknown of a host that is there, and refuses the connection
_SILENT = ("timed out", "unreachable")


def is_silence(told: Unknown) -> bool:
    """Whether a host that was asked for a connection said nothing at all.

    One that refuses it is there; and where hvops could not even ask, for its own queue, worker, name server or login, nothing
    is known of the host. Only of an answer to `connect_time`: what is asked over WinRM can time out on a host that works.
    """
    return told.kind in _SILENT


def connect_time(on: str) -> Source[float]:
    """The question: how long does hvops itself take to connect to a host's WinRM, in milliseconds?"""
    return Source(RunReader(on, "tcp connect"), lambda rows: float(str(rows[0]["milliseconds"])))


def answers_at(place: str) -> RunReader:
    """The question of a check: does a name or address with a port take a connection from hvops? Nothing is sent there.

    Raises:
        ValueError: it is none.
    """
    host, port = split_port(place)
    return RunReader(host, "connect to service", make_params(port=port))


def series_of(answers: Iterable[Known[Echo] | Unknown]) -> Series | Unknown:
    """A series out of its answers; Unknown where none could be asked for."""
    told = list(answers)
    known = [one.value for one in told if isinstance(one, Known)]
    if not known:
        return next(one for one in told if isinstance(one, Unknown))
    times = tuple(one.milliseconds for one in known if one.milliseconds is not None)
    return Series(len(known), times, all(one.resolved for one in known), len(told) - len(known))


def _echo(on: str, address: str, number: int) -> Source[Echo]:
    terms = (
        Predicate("Address", "=", address),
        Predicate("BufferSize", "=", _BYTES + number),
        Predicate("Timeout", "=", _TIMEOUT),
    )
    columns = ("StatusCode", "ResponseTime", "PrimaryAddressResolutionStatus")
    return Source(Wql(on, "root/cimv2", "Win32_PingStatus", columns, terms), _read_echo)


def _read_echo(rows: Rows) -> Echo:
    """Raises ValueError where there is no row, or one that tells neither a reply nor why the name has no address."""
    if not rows:
        raise ValueError("Win32_PingStatus answered nothing")
    status = get_int(rows[0], "StatusCode")
    if status is None and get_int(rows[0], "PrimaryAddressResolutionStatus"):
        return Echo(None, resolved=False)
    if status is None:
        raise ValueError("Win32_PingStatus tells no StatusCode")
    took = get_int(rows[0], "ResponseTime") if status == 0 else None
    if took is not None and took < 0:
        raise ValueError(f"a reply after {took} ms is none")
    return Echo(took)
