"""The practice estate as the bot's files describe it: TOML text for estate.toml and for settings.toml's credentials.

Ports are the servers' own: one for HTTP, where hosts take NTLM with encrypted messages, one for HTTPS, where guests
take NTLM behind a certificate of the practice authority.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from lab.windows import CertificateAuthority
from lab.world.model import Guest
from lab.world.world import World

ENTRY_HOSTS = 2  # per cluster


def tls_contexts(world: World, authority: CertificateAuthority) -> dict[str, ssl.SSLContext]:
    """Address -> TLS context of every guest that answers, each with a certificate of its own name and address."""
    return {
        address: authority.server_context(machine.fqdn, address)
        for address, machine in world.machines.items()
        if isinstance(machine.windows, Guest) and machine.answers
    }


def estate_toml(world: World, *, port: int, tls_port: int, ops_channels: Mapping[str, str] | None = None) -> str:
    """The text of estate.toml.

    Args:
        world: the estate.
        port: where the nodes answer over HTTP.
        tls_port: where the guests answer over HTTPS.
        ops_channels: cluster name -> id of its channel in the practice Slack.
    """
    domains = sorted({cluster.domain for cluster in world.clusters.values()})
    lines = [f"guest_domains = {_list(domains)}", ""]
    for name, cluster in world.clusters.items():
        lines += [
            f"[clusters.{name}]",
            f'domain = "{cluster.domain}"',
            f"entry_hosts = {_list([node.name for node in cluster.nodes[:ENTRY_HOSTS]])}",
            f'ops_channel = "{(ops_channels or {}).get(name, "")}"',
            "",
        ]
    lines.append("[endpoints]")
    for address, machine in world.machines.items():
        if isinstance(machine.windows, Guest):
            if machine.answers and machine.windows.reports_address:
                lines.append(f'{machine.windows.name} = "https://{address}:{tls_port}/wsman"')
        else:
            lines.append(f'{machine.windows.name} = "http://{address}:{port}/wsman"')
    return "\n".join([*lines, ""])


def credentials_toml(world: World, *, ca_file: str) -> str:
    """The [credentials.*] tables of settings.toml: the account of each profile; guests are trusted through `ca_file`."""
    lines = []
    for profile, account in world.accounts.items():
        lines += [
            f"[credentials.{profile}]",
            'transport = "ntlm"',
            f"username = '{account.user}'",
            f"password = '{account.password}'",
            *([f"ca_file = '{ca_file}'"] if profile == "guest" else []),
            "",
        ]
    return "\n".join(lines)


def _list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
