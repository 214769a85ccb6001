"""A small machine that holds whatever a test puts into it, and two ways to it: SOAP alone, or over the network."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

import pytest

from lab.windows import BackgroundServer, CertificateAuthority, wsman_constants
from lab.windows.machine_protocol import Access, Instance, Output, Quotas, Trouble, Wmi, WmiFailure
from lab.windows.service import Service

PASSWORD = "Pa:ss-wörd 1"
USER = "CORP\\reader"
NAMESPACES = {
    **wsman_constants.PREFIXES,
    "f": wsman_constants.FAULT,
    "b": wsman_constants.CIM_BINDING,
    "cim": wsman_constants.CIM,
    "cfg": wsman_constants.CONFIG,
    "xsi": wsman_constants.SCHEMA_INSTANCE,
}


@dataclass
class SmallMachine:
    """Implements lab.windows.machine_protocol.Machine with plain dictionaries."""

    name: str = "HV01"
    fqdn: str = "hv01.corp.example"
    language: str = "en-US"
    oem_code_page: int = 437
    access: Access = field(default_factory=lambda: Access(accounts={USER: PASSWORD}))
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


@dataclass
class Answer:
    """One SOAP answer."""

    status: int
    text: str
    root: Element

    def find(self, path: str) -> Element | None:
        return self.root.find(path, NAMESPACES)

    def all(self, path: str) -> list[Element]:
        return self.root.findall(path, NAMESPACES)

    def said(self, path: str) -> str | None:
        return self.root.findtext(path, None, NAMESPACES)

    @property
    def code(self) -> int:
        """The outer WSManFault's code."""
        return int(self.find(".//f:WSManFault").get("Code"))

    @property
    def subcode(self) -> str | None:
        return self.said(".//s:Subcode/s:Value")

    @property
    def context(self) -> str | None:
        return self.said(".//n:EnumerationContext")


class Soap:
    """Asks a machine's service without any network; `now` is its clock."""

    def __init__(self, machine: SmallMachine) -> None:
        self.now = 1_000.0
        self.service = Service(machine, lambda: self.now)
        self.user: str | None = USER

    async def raw(self, data: str | bytes) -> Answer:
        body = data if isinstance(data, bytes) else data.encode()
        status, text = await self.service.answer(body, self.user, "10.0.0.9", "http://10.0.0.9:5985/wsman")
        return Answer(status, text, fromstring(text))

    async def ask(self, action, uri, body="", *, selectors=None, options=None, extra="", size=512_000, wait="PT60S"):
        return await self.raw(
            envelope(action, uri, body, selectors=selectors, options=options, extra=extra, size=size, wait=wait)
        )

    async def enumerate(self, uri, inner="<w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements>", **more):
        return await self.ask(wsman_constants.ENUMERATE, uri, f"<n:Enumerate>{inner}</n:Enumerate>", **more)

    async def wql(self, text, namespace="root/cimv2", cls="*", **more):
        inner = (
            "<w:OptimizeEnumeration/><w:MaxElements>1000</w:MaxElements>"
            f'<w:Filter Dialect="{wsman_constants.WQL_DIALECT}">{escape(text)}</w:Filter>'
        )
        return await self.enumerate(wsman_constants.class_uri(namespace, cls), inner, **more)

    async def pull(self, context, uri=wsman_constants.WMI_ROOT + "root/cimv2/*", count=None, **more):
        maximum = "" if count is None else f"<n:MaxElements>{count}</n:MaxElements>"
        body = f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>{maximum}</n:Pull>"
        return await self.ask(wsman_constants.PULL, uri, body, **more)


def envelope(action, uri, body="", *, selectors=None, options=None, extra="", size=512_000, wait="PT60S") -> str:
    chosen = "".join(f'<w:Selector Name="{k}">{escape(v)}</w:Selector>' for k, v in (selectors or {}).items())
    given = "".join(f'<w:Option Name="{k}">{v}</w:Option>' for k, v in (options or {}).items())
    declared = " ".join(f'xmlns:{prefix}="{where}"' for prefix, where in NAMESPACES.items() if prefix != "f")
    return (
        f"<s:Envelope {declared}><s:Header><a:To>http://host:5985/wsman</a:To>"
        f'<w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>'
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{wsman_constants.ANONYMOUS}</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{action}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{size}</w:MaxEnvelopeSize>'
        f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:OperationTimeout>{wait}</w:OperationTimeout>"
        f'<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>{extra}'
        f"<w:SelectorSet>{chosen}</w:SelectorSet><w:OptionSet>{given}</w:OptionSet></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


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
def soap(machine: SmallMachine) -> Soap:
    return Soap(machine)


@pytest.fixture
def up(machine: SmallMachine, authority: CertificateAuthority) -> Iterator[BackgroundServer]:
    tls = {"127.0.9.1": authority.server_context("hv01.corp.example", "127.0.9.1")}
    with BackgroundServer({"127.0.9.1": machine}, tls) as server:
        yield server


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def make_machine():
    return SmallMachine


@pytest.fixture
def make_envelope():
    return envelope


@pytest.fixture
def curl(need_tool):
    """What curl prints, called with these words."""

    def said(*words):
        always = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]
        done = subprocess.run([need_tool("curl"), *always, *words], capture_output=True, text=True, check=False)
        return done.stdout

    return said
