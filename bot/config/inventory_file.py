"""The inventory: which clusters and hosts there are, and where they are reached when DNS does not say so.

Nodes are not written here: they are discovered from their cluster at run time. Names are compared without case;
the mappings are keyed by the lower-case name, and every entry keeps its name as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from bot.api.continuity import Assumption, Probe, Service, Site
from bot.api.updates import UpdatePackage, UpdateRule, UpdateStep
from bot.api.web import is_name, read_address, split_port
from bot.api.windows import DAYS, Window, WindowKind, openings
from bot.config.validation_errors import explained, read_toml
from bot.config.web_addresses import Network, read_key, read_network, read_place

# A NetBIOS or DNS label: what Windows accepts as a computer name, and nothing that could be an option or a URL.
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
Name = Annotated[str, StringConstraints(pattern=f"^{_LABEL}$")]
NameOrFqdn = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$")]
NameIfAny = Annotated[str, StringConstraints(pattern=f"^({_LABEL})?$")]
Domain = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]+$")
]
Channel = Annotated[str, StringConstraints(pattern=r"^([CG][A-Z0-9]+)?$")]

# The name of an instance or a database of SQL Server, as far as it needs no quoting [doc: database identifiers].
# What nodes are called: a name with * and ?.
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*?-]{0,63}$")]
Instance = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_#$@.-]{0,128}$")]

PLAIN_PORT, TLS_PORT = 5985, 5986  # [doc] WinRM 2.0 and later
SQL_PORT = 1433  # [doc] the default instance's
# A backup product: "commvault", or one that hvops cannot ask and only names.
Product = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]
_BACKUP = 'backup = ["commvault"], every product that backs it up; [] where none does'

COMMVAULT = "commvault"  # the backup product, as questions and actions name it
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Guest = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
# A local folder, in words that can be no option and no wildcard.
Folder = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]:(\\[A-Za-z0-9_.()&+ -]{1,80}){1,12}$")]
# The number of an update, and one step of a rule: "remove KB2616676".
UpdateNumber = Annotated[str, StringConstraints(pattern=r"^KB[0-9]{5,8}$")]
RuleStep = Annotated[str, StringConstraints(pattern=r"^(remove|add) KB[0-9]{5,8}$")]
# What dism takes online: a .cab, or the update.mum of an expanded update; an .msu is none [doc].
PackagePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]:(\\[A-Za-z0-9_()+-][A-Za-z0-9_.()+-]{0,99}){1,12}$", max_length=240)
]
_NAME = "a computer name: letters, digits and hyphens, no domain"


class Part(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Cluster(Part):
    """A failover cluster. Any entry host that answers names the nodes."""

    name: str = Field(default="", exclude=True)
    domain: Domain = Field(description='domain = "corp.example"')
    entry_hosts: tuple[Name, ...] = Field(
        min_length=1, description='entry_hosts = ["hv01", "hv02"], names without domain'
    )
    ops_channel: Channel = Field(default="", description='ops_channel = "C…", the id of a channel, not its name')
    nodes: tuple[Name, ...] = Field(
        default=(),
        description='nodes = ["hv01", "hv02", "hv03"], all of them; then no other machine counts as a node',
    )
    node_pattern: Pattern = Field(
        default="",
        description='node_pattern = "hv*", the names of its nodes; then no other machine counts as a node',
    )
    backup: tuple[Product, ...] | None = Field(default=None, description=_BACKUP)

    def names(self, host: str) -> bool:
        """Whether this table itself says that a host is a node."""
        told = {name.lower() for name in (*self.entry_hosts, *self.nodes)}
        return host.lower() in told or bool(self.node_pattern and fnmatchcase(host.lower(), self.node_pattern.lower()))


class StandaloneHost(Part):
    """A Windows host outside of any cluster: one with Hyper-V, or that of a VMM server."""

    name: str = Field(default="", exclude=True)
    domain: Domain = Field(description='domain = "corp.example"')
    ops_channel: Channel = Field(default="", description='ops_channel = "C…", the id of a channel, not its name')
    backup: tuple[Product, ...] | None = Field(default=None, description=_BACKUP)


class Vmm(Part):
    """A VMM server (System Center Virtual Machine Manager), by its database. Everything sent there is encrypted."""

    name: str = Field(default="", exclude=True)
    server: Domain = Field(description='server = "sql01.corp.example", where SQL Server runs')
    port: int = Field(default=SQL_PORT, ge=1, le=65_535, description="port = 1433")
    instance: Instance = Field(
        default="", description='instance = "MICROSOFT$VMM$", asked of the SQL Browser in place of the port'
    )
    database: Instance = Field(default="VirtualManagerDB", description='database = "VirtualManagerDB"')
    driver: str = Field(default="", description='driver = "ODBC Driver 18 for SQL Server", or the path of one')
    trust_certificate: bool = Field(
        default=False, description="trust_certificate = true, where nobody signed the server's certificate"
    )
    clusters: tuple[Name, ...] = Field(default=(), description='clusters = ["prod"], those it manages; all where unset')
    host: NameIfAny = Field(
        default="", description='host = "vmm01", on which VMMService runs: a standalone host, below [hosts]'
    )


class BackupService(Part):
    """The web service of CommVault, where the inventory has one."""

    url: str = Field(
        description='url = "https://backup.corp.example/commandcenter/api", or /webconsole/api of older versions'
    )

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("it is no address of the form https://backup.corp.example/commandcenter/api")
        return url.rstrip("/")


class LoadBalancer(Part):
    """A LoadMaster: its virtual services are looked at, and the health check of one may be changed."""

    name: Name = Field(description='name = "lm01", what people type')
    url: str = Field(description='url = "https://lm01.corp.example", where its web interface is')
    api: Literal["v1", "v2"] = Field(
        default="v1", description='api = "v1" (XML) or "v2" (JSON; 7.2.50 or later, with session management)'
    )
    networks: tuple[str, ...] = Field(
        default=(),
        description='networks = ["10.20.7.0/24"], those of its real servers, which are asked as it asks them',
    )
    ops_channel: Channel = Field(default="", description='ops_channel = "C…", the id of a channel, not its name')

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        odd = parts.username or parts.query or parts.fragment or parts.path.strip("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or odd:
            raise ValueError("it is no address of the form https://lm01.corp.example, without a path")
        return url.rstrip("/")

    @field_validator("networks")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(read_network(network)) for network in networks)


class Web(Part):
    """The web servers that may be asked, with one HEAD or GET at a time and without a login."""

    networks: tuple[str, ...] = Field(
        default=(),
        description='networks = ["10.20.7.0/24"], where names and real servers may lead; nothing else is asked',
    )
    hosts: dict[str, str] = Field(
        default={}, description='"www.corp.example" = "10.20.7.71" below [web.hosts], or with ports on either side'
    )

    @field_validator("networks")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(read_network(network)) for network in networks)

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, hosts: dict[str, str]) -> dict[str, str]:
        keyed: dict[str, str] = {}
        for name, place in hosts.items():
            key = read_key(name)
            if key in keyed:
                raise ValueError(f"{name} is written twice; upper and lower case make no difference")
            read_place(place)
            keyed[key] = place
        return keyed

    @property
    def listed(self) -> tuple[Network, ...]:
        """The networks."""
        return tuple(map(read_network, self.networks))


class AssumptionTable(Part):
    """One thing that people rely on, and how it is tested."""

    says: Sentence = Field(
        description='says = "No configuration file of the CRM names an address", what people rely on'
    )
    kind: Probe = Field(description=f"kind = one of {', '.join(Probe)}")
    target: NameOrFqdn = Field(description='target = "crm-01", the guest, host, cluster or Slack group that is tested')
    owner: Sentence = Field(description='owner = "CRM team", who has to see to it')
    proof: str = Field(
        default="", max_length=200, description='proof = "minutes of the restore test", where a person has it'
    )
    proved_on: date | None = Field(default=None, description="proved_on = 2026-05-12, the day of that proof")
    max_age_days: int = Field(default=0, ge=0, le=3_650, description="max_age_days = 180, how old a proof may be")
    others: tuple[NameOrFqdn, ...] = Field(default=(), description='others = ["lic02"], what does the same')
    folders: tuple[Folder, ...] = Field(
        default=(), max_length=8, description='folders = ["C:\\\\inetpub\\\\crm"], where configuration files are'
    )
    site: NameIfAny = Field(default="", description='site = "antwerp", where the target has to be')
    to: NameOrFqdn | Literal[""] = Field(default="", description='to = "br01", the other end of a link')
    max_milliseconds: int = Field(default=0, ge=0, le=60_000, description="max_milliseconds = 20, of a link")
    max_loss_percent: int = Field(default=0, ge=0, le=100, description="max_loss_percent = 1, of a link")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        for kind, name, has in (
            (Probe.ADDRESSES, "folders", bool(self.folders)),
            (Probe.LINK, "to", bool(self.to)),
            (Probe.LINK, "max_milliseconds", self.max_milliseconds > 0),
            (Probe.TEST_FAILOVER, "max_age_days", self.max_age_days > 0),
            (Probe.DRILL, "max_age_days", self.max_age_days > 0),
            (Probe.STATEMENT, "max_age_days", self.max_age_days > 0),
        ):
            if self.kind is kind and not has:
                raise ValueError(f"an assumption of kind {kind} needs {name}")
        return self


class ServiceTable(Part):
    """What a business calls one thing: where it runs and recovers, what is promised, what is assumed."""

    name: str = Field(default="", exclude=True)
    places: tuple[Name, ...] = Field(
        min_length=1, description='places = ["prod", "branch"], the clusters and hosts where it runs and recovers'
    )
    guests: tuple[Guest, ...] = Field(default=(), description='guests = ["crm-01"], its virtual machines')
    rto_minutes: int | None = Field(default=None, ge=1, description="rto_minutes = 240, how long it may be down")
    rpo_minutes: int | None = Field(default=None, ge=1, description="rpo_minutes = 15, how much work may be lost")
    connects: tuple[str, ...] = Field(
        default=(),
        max_length=8,
        description='connects = ["crm.corp.example:443"], what takes a connection where it works; each is in [web] too',
    )
    assumption: tuple[AssumptionTable, ...] = Field(
        default=(), max_length=200, description="a table [[service.NAME.assumption]] for each"
    )

    @field_validator("connects")
    @classmethod
    def _connects(cls, connects: tuple[str, ...]) -> tuple[str, ...]:
        for one in connects:
            host, port = split_port(one)
            if not port or not (is_name(host) or read_address(host)):
                raise ValueError(f"{one:.80} is no name or address with a port, as crm.corp.example:443 is")
        return connects


class SiteTable(Part):
    """A place that can be lost as a whole."""

    name: str = Field(default="", exclude=True)
    members: tuple[NameOrFqdn, ...] = Field(
        min_length=1, description='members = ["prod", "fs01"], the clusters and machines there'
    )


class PackageTable(Part):
    """An update that people have put on every node, where `dism` can take it."""

    kb: UpdateNumber = Field(description='kb = "KB2607712"')
    build: int = Field(ge=6_000, le=99_999, description="build = 7601, the Windows that it is for")
    path: PackagePath = Field(
        description="path = 'C:\\hvops\\KB2607712.cab', on every node: a .cab, or the update.mum of an expanded update"
    )

    @field_validator("path")
    @classmethod
    def _a_package(cls, path: str) -> str:
        name = path.rpartition("\\")[2].lower()
        if name.endswith(".msu"):
            raise ValueError("dism takes no .msu online: expand it (expand -F:* x.msu folder) and name the .cab")
        if (not name.endswith(".cab") and name != "update.mum") or ".." in path:
            raise ValueError("it is no .cab and no update.mum of an expanded update")
        return path


class UpdateRuleTable(Part):
    """Updates that belong together, beside those that hvops knows of."""

    name: str = Field(default="", exclude=True)
    says: Sentence = Field(description='says = "KB1 blocks KB2", why')
    builds: tuple[int, ...] = Field(min_length=1, description="builds = [9600], the Windows that it is about")
    steps: tuple[RuleStep, ...] = Field(
        min_length=1, max_length=6, description='steps = ["remove KB2616676", "add KB2607712", "add KB2616676"]'
    )

    @model_validator(mode="after")
    def _ends_with_more(self) -> Self:
        """What is removed without being added again would be a removal, which nobody asks for in one word."""
        words = [step.split() for step in self.steps]
        for at, (does, kb) in enumerate(words):
            if does == "remove" and ["add", kb] not in words[at:]:
                raise ValueError(f"{kb} is removed and never added again")
        if len({tuple(word) for word in words}) < len(words):
            raise ValueError("a step is written twice")
        return self


LocalTime = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?[0-2][0-9]:[0-5][0-9]$")]


class WindowTable(Part):
    """When backups run, when nothing may be changed, or when maintenance is agreed. Local times of its zone."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, populate_by_name=True)

    name: Sentence = Field(description='name = "nightly backup"')
    kind: WindowKind = Field(description=f"kind = one of {', '.join(WindowKind)}")
    begins: LocalTime = Field(
        alias="from", description='from = "22:00", or "2026-12-20 18:00" of one that is there once'
    )
    ends: LocalTime = Field(alias="to", description='to = "04:00", or "2027-01-07 06:00" of one that is there once')
    zone: str = Field(description='zone = "Europe/Berlin"')
    scope: tuple[Name, ...] = Field(
        default=(),
        description='scope = ["prod"], clusters, hosts, VMM servers, load balancers or services; all where unset',
    )
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=(), description='weekdays = ["mon", "tue"], on which it begins; every day where unset'
    )

    @field_validator("zone")
    @classmethod
    def _a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            if not available_timezones():
                says = "this machine knows no time zones, UTC included: install its package tzdata"
                raise ValueError(says) from None
            raise ValueError(f"{zone!r:.60} is no time zone: write one such as Europe/Berlin or UTC") from None
        return zone

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        window = self.window((), "")
        if (window.first is None) is not (window.last is None):
            raise ValueError("from and to: either both have a date, or neither")
        if window.first is not None and self.weekdays:
            raise ValueError("weekdays: a window with dates is there once; leave them out")
        if window.first is not None and not list(openings(window, datetime.min.replace(year=2, tzinfo=UTC))):
            raise ValueError("to is not after from")
        is_always = window.begins == window.ends and len(window.weekdays) == len(DAYS)
        if self.kind is WindowKind.FREEZE and is_always:
            raise ValueError("a freeze without an end: write dates, as in from = 2026-12-20 18:00")
        return self

    def window(self, scope: tuple[str, ...], shown: str) -> Window:
        """The window, about these places."""
        first, begins = _local(self.begins)
        last, ends = _local(self.ends)
        days = frozenset(map(DAYS.index, self.weekdays or DAYS)) if first is None else frozenset()
        return Window(self.name, self.kind, self.zone, begins, ends, scope, shown, days, first, last)


def _local(text: str) -> tuple[date | None, time]:
    """The day, where one is written, and the time. Raises ValueError."""
    day, _, at = text.replace("T", " ").rpartition(" ")
    return (date.fromisoformat(day) if day else None), time.fromisoformat(at)


class InventoryFile(Part):
    """What the bot may be asked about."""

    clusters: dict[Name, Cluster] = Field(default={}, description=f"a table [clusters.NAME], NAME being {_NAME}")
    hosts: dict[Name, StandaloneHost] = Field(default={}, description=f"a table [hosts.NAME], NAME being {_NAME}")
    vmm: dict[Name, Vmm] = Field(default={}, description="a table [vmm.NAME], NAME being what people type")
    commvault: BackupService | None = Field(default=None, description="a table [commvault] with url")
    load_balancer: tuple[LoadBalancer, ...] = Field(
        default=(), description="a table [[load_balancer]] with name and url for each"
    )
    web: Web = Field(default=Web(), description="a table [web] with networks")
    service: dict[Name, ServiceTable] = Field(
        default={}, description="a table [service.NAME], NAME being what people type"
    )
    site: dict[Name, SiteTable] = Field(default={}, description="a table [site.NAME] with members")
    update_package: tuple[PackageTable, ...] = Field(
        default=(), max_length=200, description="a table [[update_package]] with kb, build and path for each"
    )
    update_rule: dict[Name, UpdateRuleTable] = Field(
        default={}, description="a table [update_rule.NAME], NAME being what people type"
    )
    window: tuple[WindowTable, ...] = Field(
        default=(), max_length=200, description="a table [[window]] with name, kind, from, to and zone for each"
    )
    endpoints: dict[NameOrFqdn, str] = Field(
        default={}, description='hv01 = "http://10.1.2.3:5985/wsman" below [endpoints]'
    )
    guest_domains: tuple[Domain, ...] = Field(default=(), description='guest_domains = ["corp.example"]')

    @model_validator(mode="before")
    @classmethod
    def _names_are_not_settings(cls, told: Any) -> Any:
        """`name` inside of a table would be a second, perhaps different, name."""
        for kind in ("clusters", "hosts", "vmm", "service", "site", "update_rule"):
            for key, part in _tables(told, kind).items():
                if isinstance(part, dict) and "name" in part:
                    raise ValueError(f"[{kind}.{key}] name is not a setting; the table's own name is the name")
        return told

    @field_validator("clusters", "hosts", "vmm", "endpoints", "service", "site", "update_rule")
    @classmethod
    def _lower_case(cls, parts: dict[str, Any]) -> dict[str, Any]:
        keyed: dict[str, Any] = {}
        for name, part in parts.items():
            if name.lower() in keyed:
                raise ValueError(f"{name} is written twice; upper and lower case make no difference")
            keyed[name.lower()] = part.model_copy(update={"name": name}) if isinstance(part, BaseModel) else part
        return keyed

    @field_validator("update_package")
    @classmethod
    def _one_package_each(cls, packages: tuple[PackageTable, ...]) -> tuple[PackageTable, ...]:
        named = [(one.kb, one.build) for one in packages]
        if double := next((one for one in named if named.count(one) > 1), None):
            raise ValueError(f"{double[0]} is written twice for build {double[1]}")
        return packages

    @field_validator("endpoints")
    @classmethod
    def _addresses(cls, endpoints: dict[str, str]) -> dict[str, str]:
        for name, url in endpoints.items():
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                raise ValueError(f"{name} is no address of the form http://host:5985/wsman")
        return endpoints

    @field_validator("guest_domains")
    @classmethod
    def _domains_lower_case(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower() for domain in domains)

    @model_validator(mode="after")
    def _one_meaning_per_name(self) -> Self:
        if not self.clusters and not self.hosts:
            raise ValueError("there is no cluster and no host in it. Write a table [clusters.NAME] or [hosts.NAME]")
        if {*self.clusters, *self.hosts, *self.vmm} & {COMMVAULT}:
            raise ValueError(f"{COMMVAULT} is the name of the backup product; rename that cluster or host")
        entries = {entry.lower(): cluster.name for cluster in self.clusters.values() for entry in cluster.entry_hosts}
        for name, host in self.hosts.items():
            if name in self.clusters:
                raise ValueError(f"{host.name} is both a cluster and a host; rename one")
            if name in entries:
                raise ValueError(f"{host.name} is an entry host of {entries[name]} and a standalone host")
        self._no_node_of_two()
        self._no_load_balancer_of_two({*self.clusters, *self.hosts, *self.vmm, *entries, COMMVAULT})
        self._services_are_somewhere()
        self.windows()
        for name, vmm in self.vmm.items():
            if name in self.clusters or name in self.hosts or name in entries:
                raise ValueError(f"{vmm.name} is a VMM server and also a cluster or host; rename one")
            if unknown := [one for one in vmm.clusters if one.lower() not in self.clusters]:
                raise ValueError(f"{vmm.name} manages {', '.join(unknown)}, which is no cluster of the inventory")
            if vmm.host and vmm.host.lower() not in self.hosts:
                raise ValueError(
                    f"{vmm.name} runs on {vmm.host}, which is not a standalone host: add [hosts.{vmm.host}]"
                )
        return self

    def windows(self) -> tuple[Window, ...]:
        """The windows, each about the places where a role holds. Raises ValueError where one is about nothing."""
        found = []
        for one in self.window:
            places = [place for name in one.scope for place in self._places_of(one.name, name)]
            found.append(one.window(tuple(dict.fromkeys(places)), ", ".join(one.scope)))
        return tuple(found)

    def window_places(self) -> tuple[str, ...]:
        """Every place that a window can be about, in lower case."""
        return (*self.clusters, *self.hosts, *self.load_balancers())

    def role_places(self) -> tuple[str, ...]:
        """Every place where a role has to hold for something, in lower case: what a stop covers.

        That of all other names is one of these: a node's is its cluster, a VMM server's what it manages, a service's where
        it runs. The backup product, and a VMM server that manages nothing, stand for themselves.
        """
        alone = (key for key, vmm in self.vmm.items() if not self.managed_by(vmm))
        product = () if self.commvault is None else (COMMVAULT,)
        return (*self.clusters, *self.hosts, *self.load_balancers(), *alone, *product)

    def _places_of(self, window: str, name: str) -> tuple[str, ...]:
        key = name.lower()
        if key in {*self.clusters, *self.hosts, *self.load_balancers()}:
            return (key,)
        if key in self.vmm:
            return tuple(place.lower() for place in self.managed_by(self.vmm[key]))
        if key in self.service:
            return tuple(place.lower() for place in self.service[key].places)
        raise ValueError(
            f"window {window}: {name} is no cluster, host, VMM server, load balancer or service of the inventory"
        )

    def _no_load_balancer_of_two(self, taken: set[str]) -> None:
        """Raises ValueError where a load balancer has the name of something else."""
        for balancer in self.load_balancer:
            if balancer.name.lower() in taken:
                raise ValueError(f"{balancer.name} is a load balancer and also something else; rename one")
            taken.add(balancer.name.lower())

    def _services_are_somewhere(self) -> None:
        """Raises ValueError for a service with the name of something else, or at a place that there is not; for two sites of one."""
        taken = {*self.clusters, *self.hosts, *self.vmm, *self.load_balancers(), COMMVAULT}
        for key, service in self.service.items():
            if key in taken:
                raise ValueError(f"{service.name} is a service and also something else; rename one")
            for place in service.places:
                if place.lower() not in {*self.clusters, *self.hosts}:
                    raise ValueError(
                        f"{service.name} has the place {place}, which is no cluster or host of the inventory"
                    )
        sites: dict[str, str] = {}
        for site in self.site.values():
            for member in {one.partition(".")[0].lower() for one in site.members}:
                if member in sites:
                    raise ValueError(f"{member} is in two sites, {sites[member]} and {site.name}")
                sites[member] = site.name

    def _spelled(self) -> dict[str, str]:
        """Every place, as its own table writes it, by lower-case name."""
        hosts = {key: host.name for key, host in self.hosts.items()}
        return hosts | {key: cluster.name for key, cluster in self.clusters.items()}

    def services(self) -> dict[str, Service]:
        """The services, by lower-case name."""
        return {key: _service(table, self._spelled()) for key, table in self.service.items()}

    def services_at(self, place: str) -> tuple[Service, ...]:
        """The services that run or recover at a cluster or host, by name."""
        return tuple(
            _service(table, self._spelled())
            for _, table in sorted(self.service.items())
            if place.lower() in {one.lower() for one in table.places}
        )

    def sites(self) -> tuple[Site, ...]:
        """The sites, by name."""
        return tuple(Site(table.name, table.members) for _, table in sorted(self.site.items()))

    def packages(self) -> tuple[UpdatePackage, ...]:
        """The updates that are staged on nodes, in the order of the file."""
        return tuple(UpdatePackage(one.kb, one.build, one.path) for one in self.update_package)

    def update_rules(self) -> tuple[UpdateRule, ...]:
        """The rules about updates that the file adds, by name."""
        return tuple(
            UpdateRule(one.name, one.says, one.builds, tuple(_update_step(step) for step in one.steps))
            for _, one in sorted(self.update_rule.items())
        )

    def load_balancers(self) -> dict[str, LoadBalancer]:
        """The load balancers, by lower-case name."""
        return {one.name.lower(): one for one in self.load_balancer}

    def web_servers(self) -> Web:
        """The web servers that may be asked: those of [web], and the real servers behind load balancers."""
        behind = [network for balancer in self.load_balancer for network in balancer.networks]
        return self.web.model_copy(update={"networks": (*self.web.networks, *behind)})

    def _no_node_of_two(self) -> None:
        """Raises ValueError where a host is written as a node of one cluster and as something else."""
        written: dict[str, str] = {name: f"a standalone host ({host.name})" for name, host in self.hosts.items()}
        for cluster in self.clusters.values():
            for name in {name.lower(): name for name in (*cluster.entry_hosts, *cluster.nodes)}.values():
                if name.lower() in written:
                    raise ValueError(f"{name} is a node of {cluster.name} and also {written[name.lower()]}")
                written[name.lower()] = f"a node of {cluster.name}"
            if taken := [name for name in cluster.nodes if self.is_place(name)]:
                raise ValueError(
                    f"{taken[0]} is a node of {cluster.name} and also something that is no host; rename one"
                )

    def named_by(self, host: str) -> tuple[str, ...]:
        """The clusters, by lower-case name, whose tables say themselves that a host is theirs: exactly, or by a pattern.

        A name that is written out goes before a pattern of another table.
        """
        exact = [
            key
            for key, cluster in self.clusters.items()
            if host.lower() in {name.lower() for name in (*cluster.entry_hosts, *cluster.nodes)}
        ]
        return tuple(exact or (key for key, cluster in self.clusters.items() if cluster.names(host)))

    def may_claim(self, key: str, host: str) -> bool:
        """Whether a cluster may call a host its node: not one that the file gives away, nor one outside of its own names.

        Nor one that bears the name of what is no host: it is looked for where that is, and would be taken for it.
        """
        if host.lower() in self.hosts or self.is_place(host):
            return False
        named = self.named_by(host)
        if named:
            return key in named
        return not (self.clusters[key].nodes or self.clusters[key].node_pattern)

    def is_place(self, name: str) -> bool:
        """Whether that is the name of something that is no host: a cluster, a VMM server, a load balancer, a service, the backup product."""
        return name.lower() in {*self.clusters, *self.vmm, *self.load_balancers(), *self.service, COMMVAULT}

    def neighbours(self, key: str, host: str) -> tuple[str, ...]:
        """The other clusters that could own a host too, by lower-case name: those of the cluster's domain.

        All of them where [endpoints] says by its bare name where the host is: then no domain tells machines apart.
        """
        domain = self.clusters[key].domain.lower()
        others = (one for one in self.clusters if one != key)
        return tuple(one for one in others if self.is_pinned(host) or self.clusters[one].domain.lower() == domain)

    def domains(self) -> tuple[str, ...]:
        """The DNS names of all domains that it has."""
        places: list[Cluster | StandaloneHost] = [*self.clusters.values(), *self.hosts.values()]
        return tuple(dict.fromkeys((*(place.domain for place in places), *self.guest_domains)))

    def managed_by(self, vmm: Vmm) -> tuple[str, ...]:
        """The clusters that a VMM server manages, in their own spelling."""
        return tuple(self.clusters[name.lower()].name for name in vmm.clusters or self.clusters)

    def managers(self, cluster: str) -> tuple[str, ...]:
        """The VMM servers that manage a cluster, by name."""
        return tuple(vmm.name for _, vmm in sorted(self.vmm.items()) if cluster in self.managed_by(vmm))

    def backup_products(self, cluster: str, host: str = "") -> tuple[str, ...] | None:
        """What backs up a cluster, or a host outside of any: () for nothing, None where nobody has said.

        CommVault alone where that is the one product of the file, and the table names none.
        """
        table = self.clusters.get(cluster.lower()) if cluster else self.hosts.get(host.lower())
        told = table.backup if table else None
        if told is None:
            return (COMMVAULT,) if self.commvault is not None else None
        return tuple({name.lower(): name for name in told}.values())

    def vmm_servers_on(self, host: str) -> tuple[str, ...]:
        """The VMM servers whose service runs on that host, by name."""
        return tuple(vmm.name for _, vmm in sorted(self.vmm.items()) if vmm.host and vmm.host.lower() == host.lower())

    def endpoint(self, name: str, domain: str, *, tls: bool = False) -> str:
        """Where to reach a machine: pinned under [endpoints], else by its DNS name on WinRM's own port."""
        pinned = self.endpoints.get(name.lower())
        if pinned:
            return pinned
        host = f"{name}.{domain}" if domain else name
        return f"https://{host}:{TLS_PORT}/wsman" if tls else f"http://{host}:{PLAIN_PORT}/wsman"

    def is_pinned(self, name: str) -> bool:
        """Whether the inventory itself says where this machine is. A guest may stand there by its FQDN: its name may be another's too."""
        return name.lower() in self.endpoints


def load(path: Path) -> InventoryFile:
    """Read the inventory. Raises SettingsError naming file, key and what to write, all mistakes at once."""
    told = read_toml(path, "inventory file", "Copy deploy/inventory.toml there, and write your clusters into it.")
    try:
        return InventoryFile.model_validate(told)
    except ValidationError as error:
        raise explained(path, InventoryFile, error) from None


def _service(table: ServiceTable, spelled: Mapping[str, str]) -> Service:
    return Service(
        table.name,
        tuple(spelled[place.lower()] for place in table.places),
        table.guests,
        table.rto_minutes,
        table.rpo_minutes,
        tuple(Assumption(probe=one.kind, **one.model_dump(exclude={"kind"})) for one in table.assumption),
        table.connects,
    )


def _tables(told: Any, kind: str) -> dict[str, Any]:
    found = told.get(kind) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else {}


def _update_step(written: str) -> UpdateStep:
    does, _, kb = written.partition(" ")
    return UpdateStep("remove" if does == "remove" else "add", kb)
