"""What a list of tickets needs of their proposals: who asked what, where, and whose decision it needs. Not the plans.

Plans are long; a list of fifty that read them would keep whoever waits for it waiting.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bot.ledger.store import Store

_SQL = """SELECT ticket.id, ticket.state, ticket.requester, ticket.target, ticket.open_until, json_extract(entry.body,
        '$.data.name', '$.data.command', '$.data.undoes', '$.data.policy', '$.data.places')
    FROM (SELECT * FROM ticket WHERE state = ? ORDER BY number DESC LIMIT ?) AS ticket
    CROSS JOIN entry ON entry.seq = ticket.first_entry ORDER BY ticket.number DESC"""


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a proposal.

    Attributes:
        undoes: the ticket that it takes back, or "".
        policy: "approval" by somebody else of the approvers, or "confirm" by the requester.
        places: the clusters, or hosts that stand alone, where a role must hold.
    """

    ticket: str
    state: str
    requester: str
    target: str
    open_until: str
    requester_name: str
    command: str
    undoes: str
    policy: str
    places: tuple[str, ...]


def headings(store: Store, state: str, limit: int) -> list[Heading]:
    """The newest tickets of a state, the newest first, in one statement."""
    found = []
    for ticket, of_state, requester, target, open_until, told in store.rows(_SQL, (state, limit)):
        name, command, undoes, policy, places = json.loads(told)
        found.append(
            Heading(
                ticket=ticket,
                state=of_state,
                requester=requester,
                target=target,
                open_until=open_until,
                requester_name=name or requester,
                command=command or "",
                undoes=undoes or "",
                policy=policy or "",
                places=tuple(places or ()),
            )
        )
    return found
