"""A machine behind the practice WS-Management server, and a Reach aimed at it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from bot.config.inventory_file import InventoryFile
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from lab.windows import BackgroundServer
from lab.windows.machine_protocol import Access, Instance, Output, Quotas, Trouble, Wmi, WmiFailure

USER, PASSWORD = "CORP\\reader", "Correct-Horse-7"
READER = Credentials("ntlm", USER, PASSWORD)
CODE_PAGE = r"SYSTEM\CurrentControlSet\Control\Nls\CodePage"


@dataclass
class Box:
    """One Windows machine with as little on it as a test needs."""

    name: str = "HV01"
    fqdn: str = "hv01.corp.example"
    language: str = "en-US"
    oem_code_page: int = 850
    access: Access = field(default_factory=lambda: Access(accounts={USER: PASSWORD}))
    quotas: Quotas = field(default_factory=Quotas)
    trouble: Trouble = field(default_factory=Trouble)
    classes: dict[tuple[str, str], list[Instance]] = field(default_factory=dict)
    keys: dict[str, dict[str, object]] = field(default_factory=lambda: {CODE_PAGE: {"OEMCP": "850"}})
    output: Output = field(default_factory=lambda: Output(""))
    ran: list[list[str]] = field(default_factory=list)
    called: list[tuple[str, str, dict[str, Wmi]]] = field(default_factory=list)
    returns: int = 0

    def namespaces(self) -> list[str]:
        return ["root/cimv2", "root/MSCluster", "root/default", "root/virtualization/v2"]

    def instances(self, namespace: str, cls: str) -> list[Instance]:
        found = self.classes.get((namespace.lower(), cls.lower()), [])
        if not found and cls.lower() == "win32_computersystem":  # every machine has one
            return [{"Name": self.name, "DNSHostName": self.fqdn.partition(".")[0]}]
        return found

    def invoke(
        self, namespace: str, cls: str, keys: Mapping[str, str], method: str, params: Mapping[str, Wmi]
    ) -> Mapping[str, Wmi]:
        self.called.append((cls, method, dict(keys)))
        if cls.lower() != "win32_service":
            raise WmiFailure(0x80041002, "Not found")
        return {"ReturnValue": self.returns}

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        return self.keys

    def run(self, command_line: Sequence[str]) -> Output:
        self.ran.append(list(command_line))
        return self.output


class RawServer:
    """A TCP server that is no Windows host: one connection at a time, and `talk` does what it likes with it."""

    address = "127.0.92.1"
    patience = 0.5  # seconds without a byte from the client

    def __init__(self) -> None:
        self.leaving = threading.Event()
        self.listener = socket.create_server((self.address, 0))
        self.listener.settimeout(0.05)
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://{self.address}:{self.listener.getsockname()[1]}/wsman"

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        self.thread.join()
        self.listener.close()

    def talk(self, client: socket.socket) -> None:
        raise NotImplementedError

    def _serve(self) -> None:
        while not self.leaving.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            with client, suppress(OSError):
                client.settimeout(self.patience)
                self.talk(client)


@dataclass
class Site:
    """Machines that run, by name, and the server they run on."""

    up: BackgroundServer
    boxes: dict[str, Box]
    addresses: dict[str, str]

    def estate(self, **endpoints: str) -> InventoryFile:
        urls = {name: self.up.url(address) for name, address in self.addresses.items()} | endpoints
        names = sorted(urls)
        return InventoryFile.model_validate(
            {
                "clusters": {"prod": {"domain": "corp.example", "entry_hosts": names}},
                "endpoints": urls,
                "guest_domains": ["corp.example"],
            }
        )

    def reach(self, login: Credentials = READER, *, at_once: int = 16, tap=None, **endpoints: str) -> TargetClient:
        ways = Router(self.estate(**endpoints), {"reader": login, "operator": login})
        return TargetClient(ways, at_once=at_once, tap=tap)


@pytest.fixture
def site() -> Iterator[Site]:
    """hv01 and hv02, each with a cluster's node list."""
    addresses = {"hv01": "127.0.91.1", "hv02": "127.0.91.2"}
    boxes = {name: Box(name.upper(), f"{name}.corp.example") for name in addresses}
    for box in boxes.values():
        box.classes["root/mscluster", "mscluster_node"] = [{"Name": f"HV0{n}", "State": 0} for n in (1, 2)]
    with BackgroundServer({addresses[name]: box for name, box in boxes.items()}) as up:
        yield Site(up, boxes, addresses)
