"""Serves the hosts of the fan-out: NTLM with message encryption over HTTP, and late on purpose.

python -m tests.bench.host_server HOSTS LATENCY        # prints the port; ends with its standard input
"""

# ruff: noqa: T201 - the port is printed for whoever started it

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.windows import WinRMServer
from lab.windows.machine_protocol import Access, Output, Quotas, Trouble
from tests.bench.hosts import CLASS, NAMESPACE, PASSWORD, USER, address


@dataclass
class Host:
    """A machine that knows one class and one command."""

    name: str
    fqdn: str
    language: str = "en-US"
    oem_code_page: int = 437
    access: Access = field(default_factory=lambda: Access(accounts={USER: PASSWORD}))
    quotas: Quotas = field(default_factory=Quotas)
    trouble: Trouble = field(default_factory=Trouble)

    def namespaces(self) -> Sequence[str]:
        return [NAMESPACE]

    def instances(self, namespace: str, cls: str) -> Sequence[Mapping[str, object]]:
        del namespace
        return [{"Name": self.name, "State": 0}] if cls.lower() == CLASS.lower() else []

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        return {}

    def run(self, command_line: Sequence[str]) -> Output:
        del command_line
        return Output(f"{self.name}\r\n")


async def serve(hosts: int, latency: float) -> None:
    """Serve until the standard input ends. Prints the port when all hosts listen."""
    async with WinRMServer() as server:
        for number in range(hosts):
            host = Host(f"H{number:04}", f"h{number:04}.corp.example")
            host.trouble.latency = latency
            await server.add(address(number), host)
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
