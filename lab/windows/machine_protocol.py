"""What the WS-Management server wants of a machine, and the troubles a machine may have.

The server (this folder) and the practice world (`lab.world`) meet here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Reference:
    """A REF property: another instance, by class and keys."""

    namespace: str
    cls: str
    keys: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded object property: an instance inside an instance."""

    namespace: str
    cls: str
    properties: Mapping[str, Wmi]


Wmi = str | int | bool | datetime | timedelta | Reference | Embedded | None | Sequence["Wmi"]
Instance = Mapping[str, Wmi]  # property name, cased as the class definition has it -> value


class WmiFailure(Exception):
    """A provider's refusal, as an HRESULT such as 0x80041002 (not found), with the text it would carry.

    The server wraps it into the SOAP fault that WinRM would send.
    """

    def __init__(self, hresult: int, text: str) -> None:
        super().__init__(f"0x{hresult:08X} {text}")
        self.hresult = hresult
        self.text = text


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed. Text: the server encodes it in the shell's code page, as conhost does.

    `after` is how many seconds the program takes before it prints; `utf16` marks a program that writes UTF-16LE
    bytes of its own whatever the code page (wevtutil /uni:true), `code_page` one that writes in that code page whatever
    the console's is.
    """

    stdout: str
    stderr: str = ""
    exit_code: int = 0
    after: float = 0.0
    utf16: bool = False
    code_page: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP answer without WS-Management, as HTTP.sys gives before WinRM hears of a request."""

    status: int
    body: str = ""


@dataclass(slots=True)
class Trouble:
    """What is wrong with the way to a machine. All off by default; changed while the server runs.

    Change the fields of the one object a machine has: the server listens to it, so that `refuse` and `dark` close and
    open the port at once.
    """

    latency: float = 0.0  # seconds added to every HTTP answer
    owed: float = 0.0  # seconds that the rows of the next answer take; the server waits, and sets it back
    hang: bool = False  # accepts the connection and the request, never answers
    refuse: bool = False  # the port is closed: connection refused
    dark: bool = False  # the way to it is cut: a connection is neither taken nor refused
    reset: bool = False  # resets the TCP connection when a request arrives
    html: bool = False  # answers every request with an HTML page, as a proxy or IIS would
    page: Page | None = None  # answers every request with this, in the name of HTTP.sys
    cut: bool = False  # sends half of every SOAP answer's body under an honest length, then well-formed end
    fault: int = 0  # a WS-Management fault code to answer every request with (2150859173 = too many shells)
    fault_times: int = 0  # how many requests get that fault; 0 = all of them
    deny: bool = False  # authenticates, then answers Access is denied (fault 5)
    watch: Callable[[], None] | None = field(default=None, repr=False, compare=False)  # the server's own

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        watch = getattr(self, "watch", None)  # not yet there while __init__ fills the fields
        if name in ("refuse", "dark") and watch is not None:
            watch()


@dataclass(slots=True)
class Quotas:
    """WinRM's limits (MS-WSMV 2.2.4.10, quotas.md). The defaults are those of WinRM 3.0."""

    max_envelope_kb: int = 500
    max_timeout_ms: int = 60_000
    max_batch_items: int = 32_000
    max_concurrent_operations_per_user: int = 1_500
    max_shells_per_user: int = 30
    max_connections: int = 300
    idle_timeout_ms: int = 7_200_000
    optimised_items: int = (
        1  # items in an optimised Enumerate's own answer (2008 to 2012 R2, captures); 0 = all that fit
    )


@dataclass(slots=True)
class Access:
    r"""Who may log in and how.

    `accounts` maps "DOMAIN\user" or "user" to the password; `readers` limits WMI to these accounts (None: all);
    `operators` are those who may change something (None: all), which the machine itself has to see to (`Personal`);
    `certificates` maps the SHA-1 thumbprint (upper-case hex) of a client certificate to its account.
    """

    accounts: dict[str, str] = field(default_factory=dict)
    readers: set[str] | None = None
    operators: set[str] | None = None
    basic: bool = False  # WinRM's own default: Basic off
    ntlm: bool = True
    kerberos: bool = False
    allow_unencrypted: bool = False  # Basic over plain HTTP; WinRM's own default: off
    certificates: dict[str, str] = field(default_factory=dict)


class Machine(Protocol):
    """One Windows machine, as far as WS-Management can see it. All methods are called in the server's event loop."""

    name: str  # NetBIOS name, "HV01"
    fqdn: str  # "hv01.corp.example"
    language: str  # "en-US", "de-DE", "fr-FR": of messages and faults
    oem_code_page: int  # 437, 850
    access: Access
    quotas: Quotas
    trouble: Trouble

    def namespaces(self) -> Iterable[str]:
        """The WMI namespaces there are, with forward slashes: "root/cimv2"."""
        ...

    def instances(self, namespace: str, cls: str) -> Iterable[Instance]:
        """The instances of exactly this class (the server looks at derived classes itself). Names in any case."""
        ...

    def invoke(
        self, namespace: str, cls: str, keys: Mapping[str, str], method: str, params: Mapping[str, Wmi]
    ) -> Mapping[str, Wmi]:
        """Call a method; answers the out-parameters in signature order, ReturnValue last ({} for a void method).

        StdRegProv is answered by the server from `registry`, not here.

        Raises:
            WmiFailure: the provider refuses.
        """
        ...

    def registry(self) -> Mapping[str, Mapping[str, object]]:
        """HKEY_LOCAL_MACHINE: key path -> value name -> str (REG_SZ), int (REG_DWORD) or list of str (REG_MULTI_SZ)."""
        ...

    def run(self, command_line: Sequence[str]) -> Output:
        """Run an executable. An unknown one prints what cmd.exe prints and exits with 9009 (shell) or 1."""
        ...


@runtime_checkable
class HasMissingClasses(Protocol):
    """What a machine may have beside: knowledge of how old its Windows is."""

    def absent(self, cls: str) -> frozenset[str]:
        """The documented properties that the class does not yet have here, cased as its definition has them."""
        ...


@runtime_checkable
class LacksClasses(Protocol):
    """What a machine may have beside: documented classes that its Windows does not have at all."""

    def lacks(self, namespace: str, cls: str) -> bool:
        """Whether naming the class is an error here."""
        ...


@runtime_checkable
class Answering(Protocol):
    """What a machine may have beside: classes whose instances are made of what is asked, as Win32_PingStatus'."""

    def asked(self, cls: str, terms: Mapping[str, str]) -> Iterable[Instance] | None:
        """The instances for a query with these `=` terms, by lower-case property; None for an ordinary class."""
        ...


@runtime_checkable
class Charging(Protocol):
    """What a machine may have beside: classes whose rows take time."""

    def charge(self, cls: str, columns: Sequence[str] | None, rows: int, *, filtered: bool) -> None:
        """Owe the time of a query. `columns`: None for all; `filtered`: whether the query has a WHERE."""
        ...


@runtime_checkable
class Impersonating(Protocol):
    """What a machine may have beside: other rights for other accounts."""

    def acting_for(self, user: str) -> Machine:
        """The same machine as this account finds it: its methods and programs are called with the account's rights."""
        ...


def impersonate(user: str, machine: Machine) -> Machine:
    """The machine as this account finds it; the machine itself where it makes no difference."""
    return machine.acting_for(user) if isinstance(machine, Impersonating) else machine
