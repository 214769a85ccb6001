"""What may stand in a case file, and in which types. What is not here is refused.

Times are TOML's own, with a zone. `at` says when the line was typed: when a case is played, all times of the file are
moved by the same amount, so that `at` is now.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lab.cases.errors import CaseError
from lab.websites.model import ResponseStatus
from lab.world.os_releases import ORDER

Text = Annotated[str, Field(min_length=1)]
Names = Annotated[str | list[Text], Field(min_length=1)]
Trouble = Literal["hang", "refuse", "reset", "html", "cut", "deny"]
Resolver = Literal["does not answer", "knows no such name"]
Listener = Literal["plain HTTP", "TLS 1.0"]
JobState = Literal["pending", "queued", "waiting", "running", "suspended", "completed", "killed"]
Level = Literal["error", "warning", "information"]
RegistryValue = Annotated[str, Field(strict=True)] | Annotated[int, Field(strict=True)] | list[str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Words(_Part):
    """A pattern that is looked for, in Python's syntax: `{ re = "(?i)not known" }`."""

    re: Text

    @field_validator("re")
    @classmethod
    def _readable(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no pattern: {error}") from None
        return pattern

    def __str__(self) -> str:
        return f"re {self.re}"


Said = Text | Words


class Gate(_Part):
    """A gate of the plan, by words of its description."""

    says: Said
    outcome: Literal["passed", "blocked", "not known"]


class Expect(_Part):
    """What is right.

    Attributes:
        title: the first line of the answer.
        says: each must be in what people read; white space counts as one blank.
        never: none of them may be there.
        exit: of `hvops ask`.
        blocked: of a remediation: True where it must be refused, or held until what is not known is answered; False
            where a plan must be possible without that.
        gates: of a plan, possible or not.
        steps: words of steps of a plan, in their order; others may stand between them.
        never_steps: no step may have them, where a plan is possible without an answer to what is not known.
    """

    title: Said | None = None
    says: list[Said] = []
    never: list[Said] = []
    exit: int | None = Field(default=None, ge=0, le=3)
    blocked: bool | None = None
    gates: list[Gate] = []
    steps: list[Said] = []
    never_steps: list[Said] = []

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing is expected, so nothing could be wrong")
        return self


class HttpAnswer(_Part):
    """What the machine's web server answers in place of WinRM, whatever is asked."""

    status: int = Field(ge=400, le=599)
    body: str = ""


class Machine(_Part):
    """A machine that is otherwise.

    Attributes:
        windows: the release that it runs: "2008R2" to "2025". Updates, writers and classes are those of that release.
        revision: UBR.
        code_page: of its console programs.
        booted: when Windows started.
        also: further names by which it is reached.
        trouble: what is wrong on the way to it.
        http: what its web server answers in place of WinRM.
        resolver: what DNS says of its name.
        listener: what listens where WinRM should speak HTTPS.
    """

    windows: str | None = None
    revision: int | None = Field(default=None, ge=0)
    code_page: int | None = None
    booted: datetime | None = None
    also: list[Text] = []
    trouble: Trouble | None = None
    http: HttpAnswer | None = None
    resolver: Resolver | None = None
    listener: Listener | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.windows is not None and self.windows not in ORDER:
            raise ValueError(f"windows: there is no {self.windows!r}; there are {', '.join(ORDER)}")
        if self.resolver and self.listener:
            raise ValueError("a name that leads nowhere has no listener")
        return self


class Rows(_Part):
    """Instances of a WMI class. A property that is left out is NULL.

    Attributes:
        on: a machine, a cluster (each of its nodes), "*" (each node), or a list of them.
        merge: keep what is there: rows with the same keys get these properties, others are added.
        by: the properties that tell which row is meant, where the keys of the class are not known.
    """

    on: Names
    cls: Text = Field(alias="class")
    namespace: Text = "root/cimv2"
    rows: list[dict[str, Any]]
    merge: bool = False
    by: list[Text] = []


class Registry(_Part):
    r"""A key below HKEY_LOCAL_MACHINE: text is REG_SZ, a number REG_DWORD, a list REG_MULTI_SZ.

    Attributes:
        key: without the hive: "SYSTEM\\CurrentControlSet\\Control\\Lsa".
        values: are set; the others stay.
        without: values that are not there.
        absent: neither the key nor any below it is there.
    """

    on: Names
    key: Text
    values: dict[Text, RegistryValue] = {}
    without: list[Text] = []
    absent: bool = False

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.absent and (self.values or self.without):
            raise ValueError("a key that is absent has no values")
        return self


class Program(_Part):
    """What a program prints.

    Attributes:
        argv: the first words of its command line: ["vssadmin", "list", "writers"].
        stdout: line ends are written as CR LF.
        code_page: in which it writes whatever the console's is; without it, the console's.
        seconds: how long it takes.
    """

    on: Names
    argv: list[Text] = Field(min_length=1)
    stdout: str = ""
    stderr: str = ""
    code_page: int | None = None
    exit_code: int = 0
    seconds: float = Field(default=0.0, ge=0)


class Event(_Part):
    """An entry of an event log.

    Attributes:
        data: [name, value] of EventData in their order; a name may be empty.
        hyper_v: the data stand in VmlEventLog, as Hyper-V writes them.
    """

    on: Names
    log: Text
    provider: Text
    id: int = Field(ge=0, le=65535)
    level: Level = "error"
    at: datetime
    data: list[tuple[str, str]] = []
    message: str = ""
    hyper_v: bool = False


class Sql(_Part):
    """Rows of a table of VMM's database. A column that is left out is NULL. VMM does not refresh them any more.

    Attributes:
        merge: keep what is there: rows with the same `by` get these values, others are added.
        by: the columns that tell which row is meant; without it, the primary key.
    """

    table: Text
    rows: list[dict[str, Any]]
    merge: bool = False
    by: list[Text] = []
    database: Text = "VirtualManagerDB"


class Job(_Part):
    """A job of CommVault.

    Attributes:
        node: the host whose guests it saves.
        client: the product's name for it, where it is another one.
        reason: why it waits, with the code apart: "91:9".
    """

    id: int = Field(ge=1)
    node: Text
    client: str = ""
    state: JobState = "pending"
    reason: str = ""
    reason_code: str = Field(default="", pattern=r"^(\d+:\d+)?$")
    started: datetime
    changed: datetime | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.reason) != bool(self.reason_code):
            raise ValueError("reason and reason_code come together")
        return self


class Redirect(_Part):
    """httpRedirect of a web.config, its attributes as they are written there."""

    destination: str
    enabled: bool = True
    exact_destination: bool = Field(default=False, alias="exactDestination")
    child_only: bool = Field(default=False, alias="childOnly")
    status: ResponseStatus = Field(default="Found", alias="httpResponseStatus")


class WebPage(_Part):
    """What a path answers: `methods` that it does not take are refused with 405."""

    status: int = Field(default=200, ge=100, le=599)
    methods: list[Text] = ["GET", "HEAD"]
    headers: list[tuple[str, str]] = []


class Website(_Part):
    """A site of IIS.

    Attributes:
        server: the address of its server; sites with the same one share it.
        bindings: as IIS writes them: "http/10.1.0.71:80:www.corp.example"; "*" for any address.
        sni: its https bindings find their certificate by the name in the TLS hello.
        certificate: the names that its certificate is made for; without any, that of the binding.
        redirects: path of a directory or application -> its httpRedirect.
        pages: path -> page, or its status alone; any other path answers 404.
        requires_https: a rule sends plain HTTP to https.
        sets_cookie: whoever brings no cookie gets one, and is redirected to the same path.
        login_page: where whoever has not logged in is sent; `anonymous` are paths that need no login.
    """

    server: Text
    version: str = "10.0"
    bindings: list[Text] = Field(min_length=1)
    sni: bool = False
    certificate: list[Text] = []
    expired: bool = False
    redirects: dict[Text, Redirect] = {}
    pages: dict[Text, WebPage | int] = {"/": 200}
    requires_https: bool = False
    sets_cookie: bool = False
    login_page: str = ""
    anonymous: list[Text] = []
    running: bool = True


class TlsOffload(_Part):
    """A device that ends TLS: `names` lead to its address, and it asks `to` in plain HTTP."""

    address: Text
    names: list[Text] = Field(min_length=1)
    to: str = Field(pattern=r"^[0-9.]+:[0-9]+$")


class LoadBalancer(_Part):
    """A LoadMaster.

    Attributes:
        api: which version of its interface is asked.
        firmware: its version.
        shows_subs: whether showvs answers for a SubVS.
        checks: False: it has stopped checking; `up` of its services says what it last saw.
    """

    api: Literal["v1", "v2"] = "v1"
    firmware: str = "7.2.63.2.24350.RELEASE"
    shows_subs: bool = True
    checks: bool = True


class VirtualService(_Part):
    """A virtual service of a load balancer, or a SubVS: one with `part_of`.

    Attributes:
        balancer: its load balancer, made where no table says more of it.
        name: its nickname.
        part_of: the nickname of the service that it is a SubVS of.
        fields: those of the interface that are not as in a new one: {"CheckUse1.1" = "Y", CheckHost = "www.corp.example"}.
        servers: its real servers, as address:port.
        up: what the checks last found, where they have stopped.
    """

    balancer: Text = "lm01"
    name: str = ""
    address: str = "10.1.0.20"
    port: int = Field(default=80, ge=1, le=65_535)
    part_of: str = ""
    enabled: bool = True
    fields: dict[Text, str] = {}
    servers: list[Annotated[str, Field(pattern=r"^[0-9.]+:[0-9]+$")]] = []
    up: bool | None = None


class Replica(_Part):
    """A guest that Hyper-V Replica copies to another node. Both ends tell the same, but for `tested`.

    Attributes:
        guest: what is copied; `to`: the node that keeps the copy, of another cluster.
        last: when the last cycle ended; nothing where none ever did.
        state: ReplicationState; `health`: ReplicationHealth, in WMI's numbers.
        interval: seconds from one cycle to the next.
        cycles: how many succeeded in the monitoring period; `latency`: their seconds, summed; `missed`: those that did not.
        tested: the last test failover, which the recovery server alone knows.
        configuration: version of the copy's configuration.
        extended: the copy is replicated on to a third host.
    """

    guest: Text
    to: Text
    last: datetime | None = None
    state: int = Field(default=3, ge=0)
    health: int = Field(default=1, ge=0)
    interval: int = Field(default=300, ge=1)
    cycles: int = Field(default=144, ge=0)
    latency: int = Field(default=3_024, ge=0)
    missed: int = Field(default=0, ge=0)
    tested: datetime | None = None
    extended: bool = False
    configuration: str = "5.0"


class TextFile(_Part):
    """A text file of a machine, as people wrote it."""

    on: Text
    path: Annotated[str, Field(pattern=r"^[A-Za-z]:\\.+")]
    text: str


class Link(_Part):
    """What lies between two clusters."""

    milliseconds: int = Field(default=0, ge=0, le=60_000)
    loss: int = Field(default=0, ge=0, le=100)


class Earlier(_Part):
    """A line that was asked before, when all was as the file says: what hvops remembers of it.

    Attributes:
        done: it is a change, which was approved by somebody else and carried out to its end.
    """

    at: datetime
    line: Text
    done: bool = False


class CaseFile(_Part):
    """One incident.

    Attributes:
        title: what is right, in a sentence.
        source: where it happened: addresses, or a sentence each.
        note: what else is worth knowing; where something is made up, that it is.
        scenario: where it starts from: a file of lab/scenarios/, with hyphens.
        line: what is typed.
        wrong_today: why hvops gets it wrong so far; nothing where it is right.
        at: when the line was typed.
        as_then: no time is moved: the machines and hvops live at `at`, so that local times are what they were.
        settings: what differs in settings.toml.
        inventory: what differs in inventory.toml.
    """

    title: Text
    source: list[Text] = Field(min_length=1)
    note: str = ""
    scenario: Text = "healthy"
    line: Text
    wrong_today: str = ""
    at: datetime | None = None
    as_then: bool = False
    machines: dict[Text, Machine] = {}
    rows: list[Rows] = []
    registry: list[Registry] = []
    programs: list[Program] = []
    events: list[Event] = []
    sql: list[Sql] = []
    jobs: list[Job] = []
    websites: list[Website] = []
    offload: list[TlsOffload] = []
    load_balancers: dict[Text, LoadBalancer] = {}
    virtual_services: list[VirtualService] = []
    replicas: list[Replica] = []
    text_files: list[TextFile] = []
    link: Link = Link()
    earlier: list[Earlier] = []
    settings: dict[str, Any] = {}
    inventory: dict[str, Any] = {}
    expect: Expect

    @model_validator(mode="after")
    def _has_its_time(self) -> Self:
        if self.as_then and self.at is None:
            raise ValueError("as_then: needs `at`, the time at which it is played")
        return self


def read(path: Path) -> CaseFile:
    """The file's content. Raises CaseError, which names file and key."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CaseError("", f"cannot be read: {error.strerror}.", str(path)) from None
    except ValueError as error:  # TOML, UTF-8
        raise CaseError("", f"is no TOML: {error}.", str(path)) from None
    try:
        _check_times(told)
        return CaseFile.model_validate(told)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: -len(one["loc"]))
        raise CaseError(_key(first["loc"], told), _says(first["type"], first["msg"]), str(path)) from None
    except CaseError as error:
        raise error.of(str(path)) from None


def _check_times(told: Mapping[str, Any]) -> None:
    """Every time has a zone; with a time in it, a file has `at`."""
    for key, value in _leaves(told, ""):
        if not isinstance(value, datetime):
            if type(value).__name__ in ("date", "time"):
                raise CaseError(key, "write a time with its date and zone: 2026-11-22T22:41:00Z.")
            continue
        if value.tzinfo is None:
            raise CaseError(key, "write the zone of the time: 2026-11-22T22:41:00Z.")
        if "at" not in told:
            raise CaseError("at", f"is missing: {key} is a time, and nobody knows how long before the line it was.")


def _leaves(told: Any, key: str) -> Sequence[tuple[str, Any]]:
    if isinstance(told, Mapping):
        return [leaf for name, part in told.items() for leaf in _leaves(part, f"{key}.{name}" if key else str(name))]
    if isinstance(told, list):
        return [leaf for number, part in enumerate(told) for leaf in _leaves(part, f"{key}[{number}]")]
    return [(key, told)]


def _key(location: Sequence[int | str], told: Any) -> str:
    """The key as it stands in the file, or would stand there: names of a model's own choices are left out."""
    found, here = "", told
    for at, part in enumerate(location, start=1):
        if isinstance(here, Mapping):
            if part not in here and at < len(location):
                continue
            found += f".{part}" if found else str(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            found += f"[{part}]"
            here = here[part] if part < len(here) else None
    return found


def _says(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such key."
    if kind == "missing":
        return "is missing."
    return f"{message.removeprefix('Value error, ')}."
