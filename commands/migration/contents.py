"""What a guest holds, before it is moved some hundred times: services that a pause of a second can hurt.

Short names of services [doc: each product's own pages]; a guest that has one of them may be moved all the same, and somebody
should know first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from bot.api.queries import GuestWql, Predicate
from bot.api.rows import Rows, get_str, readable
from bot.api.sources import Source
from commands.formatting import join_names
from commands.sources.guests import HostedGuest

SERVICES: Mapping[str, str] = {
    "clussvc": "a node of a guest cluster, which may fail over",
    "ntds": "a domain controller",
    "msexchangeis": "an Exchange mailbox server",
    "mssqlserver": "SQL Server",
    "oracleservice": "an Oracle database",
    "mysql": "MySQL",
    "vmms": "Hyper-V of its own",
    "certsvc": "a certification authority",
    "dhcpserver": "a DHCP server",
    "termservlicensing": "a Remote Desktop licence server",
    "adfssrv": "Active Directory Federation Services",
    "vmmservice": "SCVMM",
}
_PREFIXES: Mapping[str, str] = {"mssql$": "SQL Server", "oracleservice": "an Oracle database"}


def running_services(hosted: HostedGuest) -> Source[tuple[str, ...]]:
    """The question: which services run in a guest?"""
    guest = hosted.guest
    where = (Predicate("State", "=", "Running"),)
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_Service", ("Name",), where),
        _read_services,
    )


def _read_services(rows: Rows) -> tuple[str, ...]:
    """Short names. Raises ValueError where there is none: no Windows runs without services."""
    found = tuple(name for row in rows if (name := readable(get_str, row, "Name")))
    if not found:
        raise ValueError("Win32_Service tells no service that runs")
    return found


def held_by(services: Sequence[str]) -> tuple[str, ...]:
    """What a guest is, by its services: "SQL Server", "a domain controller"; each once."""
    found = []
    for name in (one.casefold() for one in services):
        words = SERVICES.get(name) or next((says for start, says in _PREFIXES.items() if name.startswith(start)), "")
        found += [words] if words else []
    return tuple(dict.fromkeys(found))


def contents_gates(name: str, services: tuple[str, ...] | Unknown) -> tuple[Gate, Gate]:
    """That somebody knows what the guest holds, and a warning for what a pause hurts."""
    silent = f"It is not known which services are running in {name}"
    known = GateText(f"hvops knows which services are running in {name}", silent, silent)
    harmless = GateText(
        f"{name} runs no service that a short pause can hurt",
        f"{name} runs services that a short pause can hurt",
        f"It is not known whether {name} runs services that a short pause can hurt",
    )
    if isinstance(services, Unknown):
        open_ = (OpenQuestion(f"which services are running in {name}", services.why, services.remedy),)
        told = f"not known: {services.why.rstrip('.')}"
        return (
            Gate.of(known, GateOutcome.NOT_KNOWN, told, unknowns=open_),
            Gate.of(harmless, GateOutcome.NOT_KNOWN, told, blocks=False, unknowns=open_),
        )
    held = held_by(services)
    return (
        Gate.of(known, GateOutcome.PASSED, f"{len(services)} services"),
        Gate.of(harmless, GateOutcome.of(not held), f"it is {join_names(held, 6)}" if held else "", blocks=False),
    )
