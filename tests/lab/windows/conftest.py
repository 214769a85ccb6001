"""A small machine that holds whatever a test puts into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.machine import Access, Instance, Output, Quotas, Trouble, Wmi, WmiFailure

PASSWORD = "Pa:ss-wörd 1"


@dataclass
class SmallMachine:
    """Implements lab.windows.machine.Machine with plain dictionaries."""

    name: str = "HV01"
    fqdn: str = "hv01.corp.example"
    language: str = "en-US"
    oem_code_page: int = 437
    access: Access = field(default_factory=lambda: Access(accounts={"CORP\\reader": PASSWORD}))
    quotas: Quotas = field(default_factory=Quotas)
    trouble: Trouble = field(default_factory=Trouble)
    tables: dict[tuple[str, str], list[Instance]] = field(default_factory=dict)
    keys: dict[str, dict[str, object]] = field(default_factory=dict)
    programs: dict[str, Output] = field(default_factory=dict)
    calls: list[tuple[str, str, Mapping[str, str], str, Mapping[str, Wmi]]] = field(default_factory=list)
    runs: list[list[str]] = field(default_factory=list)
    outcome: Mapping[str, Wmi] | WmiFailure = field(default_factory=lambda: {"ReturnValue": 0})

    def namespaces(self) -> Iterable[str]:
        return ["root/cimv2", "root/virtualization/v2", "root/mscluster", "root/default"]

    def put(self, namespace: str, cls: str, *instances: Instance) -> None:
        self.tables.setdefault((namespace.lower(), cls.lower()), []).extend(instances)

    def instances(self, namespace: str, cls: str) -> Iterable[Instance]:
        return self.tables.get((namespace.lower(), cls.lower()), [])

    def invoke(self, namespace, cls, keys, method, params) -> Mapping[str, Wmi]:
        self.calls.append((namespace, cls, keys, method, params))
        if isinstance(self.outcome, WmiFailure):
            raise self.outcome
        return self.outcome

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        return self.keys

    def run(self, command_line: Sequence[str]) -> Output:
        self.runs.append(list(command_line))
        unknown = Output("", f"'{command_line[0]}' is not recognized\r\n", 9009)
        return self.programs.get(command_line[0].lower(), unknown)


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture
def machine() -> SmallMachine:
    machine = SmallMachine()
    services = [
        {"Name": name, "State": "Running", "ProcessId": number, "Started": True}
        for number, name in enumerate(["vmms", "VSS", "ClusSvc", "WinRM", "LanmanServer"], start=100)
    ]
    machine.put("root/cimv2", "Win32_Service", *services)
    machine.put("root/cimv2", "Win32_OperatingSystem", {"Name": "Windows", "Version": "6.3.9600", "CSName": "HV01"})
    machine.programs["vssadmin"] = Output("Writer name: 'System Writer'\r\n")
    return machine


@pytest.fixture
def up(machine: SmallMachine, authority: CertificateAuthority) -> Callable[[], BackgroundServer]:
    tls = {"127.0.9.1": authority.server_context("hv01.corp.example", "127.0.9.1")}
    with BackgroundServer({"127.0.9.1": machine}, tls) as server:
        yield server


@pytest.fixture
def password() -> str:
    return PASSWORD
