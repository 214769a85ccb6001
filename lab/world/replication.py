"""Hyper-V Replica between two clusters: a guest, and its copy on another node. Both bear one id."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lab.world.model import Guest, Node, Replication


def replicate(guest: Guest, node: Node, *, last: datetime | None) -> Guest:
    """Let Hyper-V Replica keep a copy of a guest on another node. Answers the copy, which is off."""
    guest.replication = Replication(1, guest.node.fqdn, node.fqdn, last=last)
    copy = replace(
        guest,
        node=node,
        shared_volume=node.cluster.shared_volumes[0],
        group=f"{guest.name} replica",
        state="off",
        replication=Replication(2, guest.node.fqdn, node.fqdn, last=last),
        move=None,
        drained_from=None,
        configuration=guest.configuration or "5.0",
    )
    node.cluster.guests.append(copy)
    return copy
