"""Win32_PingStatus: an instance for every query, made of what the query says [doc].

Without `Address = '…'` there is none. StatusCode is 0 for a reply and 11010 for none in time; it is NULL where the name has
no address, and PrimaryAddressResolutionStatus says why, 11001 for a host that is not found [doc]. ResponseTime is in whole
milliseconds [doc].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lab.windows.machine_protocol import Instance, Wmi
from lab.world.class_availability import instance
from lab.world.model import Guest, Node, Windows

if TYPE_CHECKING:
    from lab.world.world import World

CLASS = "Win32_PingStatus"
TIMED_OUT, HOST_NOT_FOUND = 11010, 11001
_BYTES = 32  # BufferSize where nothing is said [doc]


def pings(world: World, asked: Windows, terms: Mapping[str, str]) -> Iterable[Instance]:
    """The one instance of a ping; none without an address."""
    address = terms.get("address", "")
    if not address:
        return
    size = int(terms.get("buffersize", _BYTES))
    target = world.addressed(address)
    told: dict[str, Wmi] = {"PrimaryAddressResolutionStatus": 0 if target else HOST_NOT_FOUND}
    if target is not None:
        reached = _reached(world, target) and not _is_lost(world, asked, target, size)
        told |= {"ProtocolAddress": target.address, "StatusCode": 0 if reached else TIMED_OUT}
        told |= {"ResponseTime": world.delay(asked, target), "ReplySize": size} if reached else {}
    yield instance(
        CLASS,
        asked.release,
        Address=address,
        BufferSize=size,
        Timeout=int(terms.get("timeout", 1000)),
        TimeToLive=80,
        ResolveAddressNames=False,
        NoFragmentation=False,
        **told,
    )


def _reached(world: World, target: Windows) -> bool:
    if isinstance(target, Guest):
        return target.state == "running"
    trouble = world.machine(target.name).trouble
    return not (trouble.hang or trouble.dark) and not (isinstance(target, Node) and target.state == 1)


def _is_lost(world: World, asked: Windows, target: Windows, size: int) -> bool:
    """Whether this one of several, which differ in their size, gets lost between two clusters."""
    return world.delay(asked, target) > 0 and size % 100 < world.link_loss
