"""Everything that `/check-integration-services` asks, all of it of hosts: no guest is logged in to.

Three rounds: the cluster; every host at once; then what some hosts make necessary: the other place of the expected versions,
and the log, where the host lists that channel. Six questions a host, whatever the number of its guests, and up to two more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from commands.sources.cluster import Node, cluster_nodes, look_at_host, target_nodes
from commands.sources.event_log import EventLog, event_channels
from commands.sources.guests import Guest, virtual_machines
from commands.sources.integration import (
    PLACES,
    Component,
    Exchange,
    Expected,
    exchanges,
    expected_versions,
    heartbeats,
    integration_channel,
    snapshot_requestors,
    version_warnings,
)

LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class HostServices:
    """What one host reports.

    Attributes:
        expected: without versions where the host has none in any of `PLACES`.
        log: its warnings of other versions; None where it has no such channel.
        channel: the name of that log there; "" where it has none, or did not tell.
    """

    node: Node
    guests: tuple[Guest, ...]
    exchanges: Mapping[str, Exchange] | Unknown
    snapshots: Mapping[str, Component] | Unknown
    heartbeats: Mapping[str, Component] | Unknown
    expected: Expected | Unknown
    log: EventLog | Unknown | None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class IntegrationFacts:
    """What was found out. `silent`: hosts whose guests are not known, or the cluster that named no nodes."""

    now: datetime
    hosts: tuple[HostServices, ...] = ()
    silent: tuple[Unknown, ...] = ()


async def find_integration_services(target: Target, ask: QueryClient) -> IntegrationFacts:
    """Ask everything."""
    nodes = await _find_nodes(target, ask)
    if isinstance(nodes, Unknown):
        return IntegrationFacts(ask.now, silent=(nodes,))
    asked = await asyncio.gather(*(_first_round(node, ask) for node in nodes))
    hosts = [one for one in asked if isinstance(one, HostServices)]
    seconds = await _second_place(hosts, ask)
    logs = await _logs(hosts, ask)
    return IntegrationFacts(
        ask.now,
        tuple(
            replace(
                one,
                expected=seconds.get(one.node.name, one.expected),
                log=logs.get(one.node.name, one.log),
            )
            for one in hosts
        ),
        tuple(one for one in asked if isinstance(one, Unknown)),
    )


async def _find_nodes(target: Target, ask: QueryClient) -> Sequence[Node] | Unknown:
    if not target.cluster:
        return (await look_at_host(target.name, ask),)
    nodes = value_of(await ask.query(cluster_nodes(target.cluster)))
    if isinstance(nodes, Unknown):
        return nodes if target.kind == "cluster" else target_nodes(target, ())
    return target_nodes(target, nodes)


async def _first_round(node: Node, ask: QueryClient) -> HostServices | Unknown:
    """One host. Its log is read later, where the channel is listed."""
    guests, exchange, snapshots, beats, expected, channels = await asyncio.gather(
        ask.query(virtual_machines(node)),
        ask.query(exchanges(node)),
        ask.query(snapshot_requestors(node)),
        ask.query(heartbeats(node)),
        ask.query(expected_versions(node.name, PLACES[0])),
        ask.query(event_channels(node.name)),
    )
    if isinstance(guests, Unknown):
        return Unknown(node.name, guests.kind, f"{guests.why} Not known: its guests.", guests.remedy)
    names = value_of(channels)
    channel = "" if isinstance(names, Unknown) else integration_channel(names)
    log = names if isinstance(names, Unknown) else EventLog() if channel else None
    told = value_of(exchange), value_of(snapshots), value_of(beats), value_of(expected)
    return HostServices(node, guests.value, *told, log, channel)


async def _second_place(hosts: Sequence[HostServices], ask: QueryClient) -> Mapping[str, Expected | Unknown]:
    """The other key, of those hosts that have no version in the usual one."""
    without = [one.node.name for one in hosts if isinstance(one.expected, Expected) and not one.expected.versions]
    if not without:
        return {}
    return values_of(await ask.query_many({name: expected_versions(name, PLACES[1]) for name in without}))


async def _logs(hosts: Sequence[HostServices], ask: QueryClient) -> Mapping[str, EventLog | Unknown]:
    since = ask.now - LOOK_BACK
    listed = {one.node.name: one.channel for one in hosts if one.channel}
    if not listed:
        return {}
    sources = {name: version_warnings(name, channel, since) for name, channel in listed.items()}
    return values_of(await ask.query_many(sources))
