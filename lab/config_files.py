"""The files that describe the practice environment to a bot: settings.toml and inventory.toml.

Text in TOML's basic strings is escaped as in JSON [doc: toml.io/en/v1.0.0#string].
"""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from lab.world.accounts import Account
from lab.world.model import Cluster, Windows

OPS_CHANNEL, AUDIT_CHANNEL = "C0OPS", "C0AUDIT"
ROLES = {"viewer": "S0VIEWERS", "operator": "S0OPERATORS", "approver": "S0APPROVERS"}
OWN_ROLES = ("viewer", "operator")  # of whoever runs the practice estate; approving for oneself is for nobody
ENTRY_HOSTS = 2
VMM = "vmm"  # what people type
PATIENCE = 8  # seconds per host: on loopback whoever is slower is silent, and nobody should wait for the practice


class SlackAccess(NamedTuple):
    """How the bot reaches the practice Slack."""

    base_url: str
    bot_token: str
    app_token: str


_BARE = re.compile(r"[A-Za-z0-9_-]+")
Value = str | int | Sequence[str]


def settings(
    accounts: Mapping[str, Account],
    slack: SlackAccess | None,
    ca_file: str,
    *,
    database: Account,
    backup: Account,
    balancers: Mapping[str, Account],
) -> str:
    """The bot's settings.

    Args:
        accounts: the practice accounts by credential profile.
        slack: the practice Slack; None for a terminal alone.
        ca_file: the authority that signed the guests' certificates.
        database: the login at VMM's SQL Server.
        backup: the login at the backup product.
        balancers: the login at each load balancer, by its name.
    """
    tables: list[tuple[str, Mapping[str, Value]]] = [("", {"inventory": "inventory.toml"})]
    if slack:
        tables.append(("slack", {**slack._asdict(), "audit_channel": AUDIT_CHANNEL}))
    tables.append(("ledger", {"path": "ledger.db", "key_file": "ledger.key", "anchor_file": "anchors.txt"}))
    tables.append(("limits", {"per_host_seconds": PATIENCE}))
    tables.append(("policy", {"low": "confirm", "high": "approval"}))
    tables += [(f"roles.{role}", _rule(role, group)) for role, group in ROLES.items()]
    tables += [(f"credentials.{name}", _login(account, ca_file)) for name, account in accounts.items()]
    tables.append(("credentials.vmm", {"login": "sql", "username": database.user, "password": database.password}))
    tables.append(("credentials.commvault", {"username": backup.user, "password": backup.password}))
    tables += [
        (
            f"credentials.load_balancer.{name}",
            {"username": one.user, "password": one.password, "ca_file": ca_file},
        )
        for name, one in balancers.items()
    ]
    return "\n".join(_table(name, values) for name, values in tables)


def estate(
    clusters: Mapping[str, Cluster],
    endpoints: Mapping[str, str],
    vmm_host: Windows,
    database: tuple[str, int],
    backup_url: str,
    *,
    web: Mapping[str, str],
    balancers: Mapping[str, tuple[str, str]],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The estate: the clusters with their entry hosts, and where every machine is, since no DNS knows them.

    Args:
        clusters: by name.
        endpoints: name -> address of every machine.
        vmm_host: where VMM's service runs.
        database: where VMM's SQL Server listens. FreeTDS, which every system has, verifies no certificate.
        backup_url: the backup product's web service, in clear as it never leaves this machine.
        web: name and port -> address of every web server.
        balancers: name -> address of each load balancer, and the version of its interface to ask.
        more: tables of this scenario alone, by name; a list of them for a name in brackets.
    """
    domains = sorted({cluster.domain for cluster in clusters.values()})
    tables: list[tuple[str, Mapping[str, Value]]] = [("", {"guest_domains": domains})]
    for name, cluster in clusters.items():
        entries = [node.name for node in cluster.nodes[:ENTRY_HOSTS]]
        table: Mapping[str, Value] = {
            "domain": cluster.domain,
            "entry_hosts": entries,
            "ops_channel": OPS_CHANNEL,
            "backup": ["commvault"],
        }
        if cluster.evicted:
            table = {**table, "nodes": [node.name for node in cluster.evicted]}
        tables.append((f"clusters.{name}", table))
    server, port = database
    tables.append(
        (f"hosts.{vmm_host.name}", {"domain": vmm_host.domain, "ops_channel": OPS_CHANNEL, "backup": ["commvault"]})
    )
    vmm: Mapping[str, Value] = {
        "server": server,
        "port": port,
        "driver": "FreeTDS",
        "trust_certificate": True,
        "host": vmm_host.name,
    }
    tables.append((f"vmm.{VMM}", vmm))
    tables.append(("commvault", {"url": backup_url}))
    if web:
        tables.append(("web.hosts", web))
    tables += [
        ("[load_balancer]", {"name": name, "url": url, "api": api, "ops_channel": OPS_CHANNEL})
        for name, (url, api) in balancers.items()
    ]
    for name, told in more.items():
        tables += [(name, one) for one in (told if isinstance(told, list) else [told])]
    tables.append(("endpoints", endpoints))
    return "\n".join(_table(name, values) for name, values in tables)


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, not even for the moment before its mode is set."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _rule(role: str, group: str) -> dict[str, Value]:
    # by real user id, as the bot itself looks: $LOGNAME may still name somebody else after `su`
    own = [pwd.getpwuid(os.getuid()).pw_name] if role in OWN_ROLES else []
    return {"groups": [group], "system_users": own, "clusters": ["*"]}


def _login(account: Account, ca_file: str) -> dict[str, Value]:
    login: dict[str, Value] = {"transport": "ntlm", "username": account.user, "password": account.password}
    return login | ({"ca_file": ca_file} if account.profile == "guest" else {})


def _table(name: str, values: Mapping[str, Value]) -> str:
    return "\n".join(_lines(name, values)) + "\n"


def _lines(name: str, values: Mapping[str, Value]) -> Iterator[str]:
    if name:
        yield f"[{name}]"
    for key, value in values.items():
        shown = value if isinstance(value, (str, int)) else list(value)
        plain = key if _BARE.fullmatch(key) else json.dumps(key)  # a dot would make a table of it
        yield f"{plain} = {json.dumps(shown, ensure_ascii=False)}"
