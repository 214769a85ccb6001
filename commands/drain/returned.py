"""Which guests came back to a node that was resumed, which did not, and why.

The cluster tells of no role whether it was moved by a drain [doc: no property of MSCluster_ResourceGroup does]. The ledger
does, where hvops drained the node: the guests that it noted before. They count only if neither `/resume-node` nor
`/reset-writer` resumed it since; of a drain by others it is said that nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.api.command import CHECK_RESULT
from bot.api.facts import Known, Unknown
from bot.api.plan import UNDO, Check, Expect
from bot.api.queries import DoneChanges, Predicate, Wql
from bot.api.rows import Row, Rows, get_datetime, get_int, get_str, get_strs
from commands.drain.steps import DRAIN, RESUME
from commands.formatting import join_names, pluralize
from commands.sources.cluster import GUEST_GROUP, LOCKED, NAMESPACE

_DRAIN_NODE, _RESET_WRITER, _RESUME_NODE = "drain-node", "reset-writer", "resume-node"
_ENDINGS = ("done", "failed", "cancelled", "closed")
# As Microsoft documents the values [doc].
_STATES = {
    1: "it is off",
    2: "its role has failed",
    3: "its role is partly online",
    4: "its role is still pending",
}


@dataclass(frozen=True, slots=True)
class NotedDrain:
    """A drain of hvops, the last thing that it did to the node.

    Attributes:
        ticket: "T-1".
        guests: the names of the roles that the node had before.
    """

    ticket: str
    guests: tuple[str, ...]


def return_checks(cluster: str, node: str) -> tuple[Check, ...]:
    """What is asked at the end: every guest's role, and what the ledger says of the node. They decide nothing."""
    guests = Wql(
        cluster,
        NAMESPACE,
        "MSCluster_ResourceGroup",
        ("Name", "OwnerNode", "State", "StatusInformation"),
        (Predicate("GroupType", "=", GUEST_GROUP),),
    )
    found = (Expect(at_least=0),)
    return (
        Check(guests, found).described_as(f"guests came back to {node}"),
        *(
            Check(DoneChanges(node, command, endings=_ENDINGS, images=(DRAIN,)), found).described_as(
                f"{command} of {node} is in the ledger"
            )
            for command in (_DRAIN_NODE, _RESET_WRITER, _RESUME_NODE)
        ),
    )


def describe_return(node: str, before: Rows | None, answers: Sequence[Known[Rows] | Unknown]) -> tuple[str, ...]:
    """How the guests are spread once none moves any more, a sentence each.

    Args:
        node: the node that was resumed.
        before: its guests' roles just before; None where they could not be noted.
        answers: to `return_checks`.

    Raises:
        CellError: an answer cannot be read.
        ValueError: the same.
    """
    roles, *ledger = answers
    if not isinstance(roles, Known):
        return (f"{CHECK_RESULT}whether guests came back to {node} is not known: {roles.why}",)
    here = [get_str(row, "Name") for row in roles.value if _owner(row) == node.casefold()]
    drained = _last_drain(ledger)
    if isinstance(drained, NotedDrain):
        return tuple(_compared(node, here, roles.value, drained))
    return tuple(_counted(node, here, before, drained))


def _compared(node: str, here: Sequence[str], roles: Rows, drained: NotedDrain) -> Iterator[str]:
    """Against the guests of the drain that hvops noted."""
    there = {name.casefold() for name in here}
    back = [name for name in drained.guests if name.casefold() in there]
    away = [name for name in drained.guests if name.casefold() not in there]
    if not drained.guests:
        yield f"{node} had no guest before {drained.ticket} drained it"
        return
    of = f"{pluralize(len(drained.guests), 'guest')} that {node} had before {drained.ticket} drained it"
    yield f"{CHECK_RESULT if away else ''}{len(back)} of {of} {'is' if len(back) == 1 else 'are'} on {node}"
    if not away:
        return
    rows = {get_str(row, "Name").casefold(): row for row in roles}
    yield f"Not back: {join_names(_whereabouts(name, rows.get(name.casefold())) for name in away)}"


def _whereabouts(name: str, row: Row | None) -> str:
    """Where a guest is, and what is known of why: "crm-01 (on hv02, locked)"."""
    if row is None:
        return f"{name} (no role of that name in the cluster)"
    owner = get_str(row, "OwnerNode")
    at = f"on {owner}" if owner else "its node is not told"
    return f"{name} ({at}, {_why(row)})"


def _why(row: Row) -> str:
    """What keeps a role from moving, as far as its own row tells."""
    flags, state = get_int(row, "StatusInformation"), get_int(row, "State")
    if flags is not None and flags & LOCKED:
        return "locked: a locked guest does not move"
    return _STATES.get(-1 if state is None else state, "the cluster does not say why")


def _counted(node: str, here: Sequence[str], before: Rows | None, unknown: str) -> Iterator[str]:
    """Only by what was on the node just before: what else its drain moved away is not known."""
    if not here:
        yield f"{CHECK_RESULT}no guest is on {node}. If its drain moved guests away, they stayed where they are: move them back"
        return
    if before is None:
        yield f"{pluralize(len(here), 'guest')} on {node}"
    else:
        noted = {get_str(row, "Name").casefold() for row in before}
        came = sum(name.casefold() not in noted for name in here)
        yield f"{pluralize(came, 'guest')} came back to {node}, {len(here)} there now"
    yield f"Whether others stayed away is not known: {unknown}"


def _last_drain(ledger: Sequence[Known[Rows] | Unknown]) -> NotedDrain | str:
    """The drain that is the last thing hvops did to the node, with its guests; or why none is known."""
    found: list[tuple[datetime, str, Row]] = []
    for command, answer in zip((_DRAIN_NODE, _RESET_WRITER, _RESUME_NODE), ledger, strict=True):
        if isinstance(answer, Unknown):
            return f"the ledger was not read ({answer.why.rstrip('.')})"
        found += [(_ended(row), command, row) for row in answer.value]
    if not found:
        return "hvops did not drain the node"
    _, command, row = max(found, key=lambda one: one[0])
    if _has_resumed(command, row):
        return "hvops did not drain the node since it was last resumed"
    images = row.get("before")
    noted: Any = images.get(DRAIN) if isinstance(images, Mapping) else None
    ticket = get_str(row, "ticket")
    if noted is None:
        return f"{ticket} did not note the guests that it drained"
    return NotedDrain(ticket, tuple(get_str(one, "Name") for one in noted))


def _has_resumed(command: str, row: Row) -> bool:
    """Whether the node was resumed by it, or may have been."""
    back = {RESUME, f"{UNDO}{DRAIN}"}
    return command == _RESUME_NODE or bool(get_str(row, "undone_by")) or not back.isdisjoint(get_strs(row, "begun"))


def _ended(row: Row) -> datetime:
    ended = get_datetime(row, "ended")
    if ended is None:
        raise ValueError(f"{get_str(row, 'ticket')} does not tell when it ended")
    return ended


def _owner(row: Row) -> str:
    return get_str(row, "OwnerNode").casefold()
