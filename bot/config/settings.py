"""The settings: a TOML file, and environment variables over it (`HVOPS_SECTION__KEY`).

The file is `--settings FILE`, else $HVOPS_SETTINGS, else /etc/hvops/settings.toml. Paths
in it are relative to the file itself. Lists in environment variables are JSON: `HVOPS_ROLES__VIEWER__USERS='["U1"]'`.
An unknown key is refused rather than ignored: a misspelt role would otherwise be a closed, or an open, door.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentUnreadable

from bot.api.command import Risk, Role
from bot.config.inventory_file import load as load_inventory
from bot.config.logins import Form, wrong_form
from bot.config.validation_errors import PREFIX, explained, name_of_key, near, read_toml
from bot.errors import PermissionDenied, SettingsError
from bot.ledger_place import Database, Place
from bot.private_files import NOT_REGULAR, check_named, hops, is_kubelet_volume, read_only_hint

PLACE = Path("/etc/hvops/settings.toml")  # never a file of the folder that somebody happens to be in
Transport = Literal["kerberos", "ntlm", "certificate", "basic"]
Seconds = Annotated[int, Field(ge=1, le=600)]
Minutes = Annotated[int, Field(ge=1, le=1440)]
RoleName = Literal["operator", "approver"]
# Files that libraries open by themselves, where these name some: several with colons between them, also behind "FILE:".
_OF_LIBRARIES = (
    "SSL_CERT_FILE",
    "SSLKEYLOGFILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
    "KRB5_CONFIG",
    "KRB5CCNAME",
    "KRB5_KTNAME",
    "KRB5_CLIENT_KTNAME",
    "ODBCINI",
    "ODBCINSTINI",
)
_ACCOUNT = re.compile(r"(?:[TE][A-Z0-9]+/)?[UW][A-Z0-9]+|os:[^\s:/]+")


def _no_address_as_a_file(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Refuse an address where a file is named: the password in it would be repeated wherever that file's name is."""
    kind = cls.model_fields[info.field_name or ""].annotation
    if isinstance(value, str) and "://" in value and (kind is Path or Path in get_args(kind)):
        raise ValueError("this is an address, and a file is named here")
    return value


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    _no_address = field_validator("*", mode="before")(_no_address_as_a_file)


_PLACEHOLDER = re.compile(r"replace.?me|placeholder|…|\.\.\.$", re.IGNORECASE)


def is_placeholder(value: str) -> bool:
    """Whether this still is what an example has in place of a token or an id: "xoxb-replace-me", "S0REPLACEME"."""
    return _PLACEHOLDER.search(value) is not None


class Slack(Section):
    """The Slack app. Missing altogether where only the command line is used."""

    bot_token: SecretStr = Field(description='bot_token = "xoxb-…" from OAuth & Permissions of the Slack app')
    app_token: SecretStr = Field(
        description='app_token = "xapp-…", an app-level token with the scope connections:write, from Basic Information'
    )
    base_url: str = Field(default="https://slack.com/api/", description='base_url = "https://slack.com/api/"')
    audit_channel: str = Field(default="", description='audit_channel = "C…", the id of a channel, not its name')

    @property
    def is_set(self) -> bool:
        """Whether somebody has put the tokens of an app in place of the example's."""
        return not any(is_placeholder(one.get_secret_value()) for one in (self.bot_token, self.app_token))

    @field_validator("bot_token", "app_token")
    @classmethod
    def _right_kind(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        kind = "xoxb-" if info.field_name == "bot_token" else "xapp-"
        if not token.get_secret_value().startswith(kind):
            raise ValueError(f"it does not begin with {kind}")
        return token

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("it is not an http or https address")
        if urlsplit(url).scheme == "http" and not _is_loopback(urlsplit(url).hostname or ""):
            raise ValueError("the token would go there in clear: write https, or an address of this machine")
        return url.rstrip("/") + "/"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LedgerFiles(Section):
    """Where the ledger is, and the two things that prove it, which belong elsewhere."""

    path: Path = Field(default=Path("ledger.db"), description='path = "ledger.db"')
    database: SecretStr | None = Field(
        default=None,
        description='database = "postgresql://hvops@db1/hvops?sslmode=verify-full", to keep the ledger there instead of in path',
    )
    key_file: Path = Field(default=Path("ledger.key"), description='key_file = "ledger.key", made at the first start')
    anchor_file: Path = Field(
        default=Path("anchors.txt"), description='anchor_file = "anchors.txt", best on another machine'
    )
    anchor_minutes: Minutes = Field(
        default=60,
        description="anchor_minutes = 60, how often the head of a growing ledger is posted to the audit channel, and how "
        "long a check against one external record is enough while the others cannot be read",
    )
    require_anchor: bool = Field(
        default=True,
        description="require_anchor = true: nothing starts until an external record shows that this ledger is not a restored "
        "copy; false: no check",
    )

    @field_validator("database")
    @classmethod
    def _an_address(cls, database: SecretStr | None) -> SecretStr | None:
        if database is not None:
            Database(database.get_secret_value())
        return database

    @property
    def place(self) -> Place:
        """Where the ledger is kept."""
        return self.path if self.database is None else Database(self.database.get_secret_value())

    @property
    def lock_base(self) -> Path:
        """What the locks of this machine lie beside: the file of the ledger; of a database, the key."""
        return self.path if self.database is None else self.key_file

    @property
    def may_be_begun(self) -> bool:
        """Whether a ledger can be there: of a database, only the database knows, but without the key it was never ours."""
        return self.lock_base.exists()


class Rule(Section):
    """Who holds a role, and on which clusters. Nobody, unless named here."""

    groups: tuple[str, ...] = Field(default=(), description='groups = ["S…"], ids of Slack user groups')
    users: tuple[str, ...] = Field(default=(), description='users = ["U…"], ids of Slack members')
    system_users: tuple[str, ...] = Field(default=(), description='system_users = ["ops1"], accounts of this machine')
    clusters: tuple[str, ...] = Field(description='clusters = ["prod"], or clusters = ["*"] for all of them')


class Roles(Section):
    """The three roles, and whom to ask for one. An unset rule refuses."""

    contact: str = Field(
        default="",
        max_length=200,
        description='contact = "#it-oncall or @jane", whom people are told to ask for a role; nothing else is told to who has none',
    )
    viewer: Rule | None = Field(default=None, description="a table [roles.viewer]")
    operator: Rule | None = Field(default=None, description="a table [roles.operator]")
    approver: Rule | None = Field(default=None, description="a table [roles.approver]")

    @field_validator("contact")
    @classmethod
    def _one_line(cls, contact: str) -> str:
        if not contact.isprintable():
            raise ValueError("it is shown in the middle of a sentence: write one line of text")
        return contact.removeprefix("Ask ").removeprefix("ask ").rstrip(".")

    def rules(self) -> Iterator[tuple[Role, Rule]]:
        """The rules that are set, lowest role first."""
        for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER):
            rule: Rule | None = getattr(self, role.name.lower())
            if rule is not None:
                yield role, rule


class People(Section):
    """Accounts of the same person: they count as one wherever a second person has to decide."""

    same_person: tuple[tuple[str, ...], ...] = Field(
        default=(),
        description='same_person = [["U1", "U9"], ["os:anna", "U1"]], the accounts of one person in each list',
    )

    @field_validator("same_person")
    @classmethod
    def _accounts(cls, declared: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for ids in declared:
            if len(set(ids)) < 2:  # noqa: PLR2004 - two are the least that can be one person's
                raise ValueError(f"{list(ids)} names fewer than two accounts")
            for one in ids:
                if not _ACCOUNT.fullmatch(one):
                    raise ValueError(
                        f'{one!r} is not an account: write "U…", "T…/U…", or "os:" and a user of this machine'
                    )
        return declared


class Credential(Section):
    """How to log in over WinRM. Chat never chooses any of it."""

    transport: Transport = Field(description='transport = "kerberos", "ntlm", "certificate" or "basic"')
    username: str = Field(default="", description='username = "hvops-reader@CORP.EXAMPLE"')
    password: SecretStr = Field(default=SecretStr(""), description='password = "…"')
    certificate: Path | None = Field(default=None, description='certificate = "reader.pem"')
    key: Path | None = Field(default=None, description='key = "reader.key"')
    ca_file: Path | None = Field(
        default=None, description='ca_file = "ca.pem", the authority that signed the hosts\' certificates'
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Kerberos may use the account's own ticket cache; the others need what they present."""
        if self.transport in ("ntlm", "basic") and not (self.username and self.password.get_secret_value()):
            raise ValueError(f'transport "{self.transport}" needs username and password')
        if self.transport == "certificate" and not (self.certificate and self.key):
            raise ValueError('transport "certificate" needs certificate and key')
        if self.transport == "kerberos" and self.password.get_secret_value() and not self.username:
            raise ValueError('transport "kerberos" with a password needs username')
        return self


class DatabaseCredential(Section):
    """How to log in to the databases of VMM servers."""

    login: Literal["sql", "kerberos"] = Field(
        description='login = "sql" for a login of SQL Server\'s own, or "kerberos" for the bot\'s own account'
    )
    username: str = Field(default="", description='username = "hvops"')
    password: SecretStr = Field(default=SecretStr(""), description='password = "…"')

    @model_validator(mode="after")
    def _complete(self) -> Self:
        has_both = bool(self.username and self.password.get_secret_value())
        if self.login == "sql" and not has_both:
            raise ValueError('login "sql" needs username and password')
        if self.login == "kerberos" and (self.username or self.password.get_secret_value()):
            raise ValueError('login "kerberos" uses the ticket of the bot\'s own account, and takes no username')
        return self


class WebCredential(Section):
    """How to log in to the web service of the backup product."""

    username: str = Field(min_length=1, description='username = "svc-hvops"')
    password: SecretStr = Field(min_length=1, description='password = "…"')
    ca_file: Path | None = Field(
        default=None, description='ca_file = "ca.pem", the authority that signed its certificate'
    )


class ApplianceCredential(Section):
    """How to log in to a load balancer: user and password, or the key of an API user."""

    username: str = Field(default="", description='username = "hvops"')
    password: SecretStr = Field(default=SecretStr(""), description='password = "…"')
    api_key: SecretStr = Field(default=SecretStr(""), description='api_key = "…", of version 2 only')
    ca_file: Path | None = Field(
        default=None, description='ca_file = "ca.pem", the authority that signed its certificate'
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        has_both = bool(self.username and self.password.get_secret_value())
        if has_both == bool(self.api_key.get_secret_value()) or bool(self.username) != has_both:
            raise ValueError("it needs username and password, or api_key alone")
        return self


class Credentials(Section):
    """The profiles. Without `guest`, guests are not asked and stand as unknown; without `vmm`, no database is."""

    reader: Credential = Field(
        description='a table [credentials.reader] with transport = "kerberos" and username = "…"'
    )
    operator: Credential | None = Field(default=None, description="a table [credentials.operator]")
    guest: Credential | None = Field(default=None, description="a table [credentials.guest]")
    vmm: DatabaseCredential | None = Field(default=None, description='a table [credentials.vmm] with login = "sql"')
    commvault: WebCredential | None = Field(
        default=None, description="a table [credentials.commvault] with username and password"
    )
    load_balancer: dict[str, ApplianceCredential] = Field(
        default={}, description="a table [credentials.load_balancer.NAME] with username and password"
    )

    def profiles(self) -> dict[str, Credential]:
        """The profiles of WinRM that are set, by name."""
        named = {"reader": self.reader, "operator": self.operator, "guest": self.guest}
        return {name: credential for name, credential in named.items() if credential is not None}


class Limits(Section):
    """How long and how wide a question may go."""

    per_host_seconds: Seconds = Field(default=20, description="per_host_seconds = 20")
    overall_seconds: Seconds = Field(default=60, description="overall_seconds = 60")
    at_once: int = Field(default=128, ge=2, le=1024, description="at_once = 128")
    per_person: int = Field(default=4, ge=1, le=64, description="per_person = 4, questions in progress per person")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.overall_seconds < self.per_host_seconds:
            raise ValueError("overall_seconds is less than per_host_seconds")
        return self


class SiteWorker(Section):
    """One site with a worker, as the bot or the worker itself knows it."""

    key_file: Path = Field(
        description='key_file = "branch1.key", made by the bot at its first start and copied to the worker'
    )
    login: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,62})?$",
        description="login = \"hvops_branch1\", the worker's at the database; only in the bot's settings",
    )


class Sites(Section):
    """Sites whose machines a worker there asks and changes, through a queue in PostgreSQL."""

    database: SecretStr = Field(
        description='database = "postgresql://hvops@db1/hvops_sites?sslmode=verify-full", not the one of the ledger'
    )
    stale_seconds: int = Field(
        default=3,
        ge=1,
        le=60,
        description="stale_seconds = 3, after which a silent worker's questions go to another one",
    )
    worker: dict[str, SiteWorker] = Field(
        description="a table [sites.worker.NAME] with key_file, NAME being a [site.NAME]"
    )

    @field_validator("database")
    @classmethod
    def _an_address(cls, database: SecretStr) -> SecretStr:
        Database(database.get_secret_value())
        return database

    @property
    def place(self) -> Database:
        """Where the queue is."""
        return Database(self.database.get_secret_value())

    @property
    def is_workers(self) -> bool:
        """Whether these are the settings of a worker, which is told no login but its own."""
        return not any(worker.login for worker in self.worker.values())


class Policy(Section):
    """Whose decision a change needs, and how long it may take. A risk without a rule refuses every plan of that risk.

    There is no way to let a requester decide about a high risk: that takes a second person.
    """

    low: Literal["confirm", "approval"] | None = Field(
        default=None, description='low = "confirm" (the requester looks twice) or "approval" (somebody else decides)'
    )
    high: Literal["approval"] | None = Field(default=None, description='high = "approval", the only one there is')
    unknown: Literal["answer", "refuse"] = Field(
        default="answer",
        description='unknown = "answer" (an approver says how they know what no source answered) or "refuse" (no plan then)',
    )
    open_minutes: Minutes = Field(default=30, description="open_minutes = 30, how long a proposal waits")
    start_minutes: Minutes = Field(default=15, description="start_minutes = 15, how long an approval waits")
    manual_hours: int = Field(
        default=8,
        ge=1,
        le=168,
        description="manual_hours = 8, extra time a run gets for each manual step",
    )
    stop: RoleName = Field(default="operator", description='stop = "operator", who may use /hvops stop')
    go: RoleName = Field(default="approver", description='go = "approver", who may use /hvops go')

    def decision(self, risk: Risk) -> Literal["confirm", "approval"]:
        """Whose decision that risk needs. Raises PermissionDenied where no rule is set."""
        found = self.low if risk is Risk.LOW else self.high
        if found is None:
            raise PermissionDenied(
                f"Nothing of {risk} risk may be changed here: no rule says who decides. An administrator "
                f"can write {risk} under [policy]."
            )
        return found


class Settings(BaseSettings):
    """Everything the bot is told about where it runs. Immutable; secrets print as asterisks."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__")

    inventory: Path = Field(description='inventory = "inventory.toml"')
    credentials: Credentials = Field(description='a table [credentials.reader] with transport = "kerberos"')
    slack: Slack | None = Field(default=None, description="a table [slack] with bot_token and app_token")
    ledger: LedgerFiles = Field(default=LedgerFiles(), description="a table [ledger]")
    roles: Roles = Field(default=Roles(), description="a table [roles.viewer]")
    people: People = Field(default=People(), description="a table [people]")
    limits: Limits = Field(default=Limits(), description="a table [limits]")
    policy: Policy = Field(default=Policy(), description="a table [policy]")
    sites: Sites | None = Field(default=None, description="a table [sites] with database")

    _file: Path = Path()

    _no_address = field_validator("*", mode="before")(_no_address_as_a_file)

    @model_validator(mode="after")
    def _queue_of_its_own(self) -> Self:
        """A site's login could take the locks of a ledger in the same database, and hold everything up."""
        ledger = self.ledger.place
        if self.sites is not None and isinstance(ledger, Database) and self.sites.place.is_same_as(ledger):
            raise ValueError("[sites] database is that of the ledger: workers log in there, so make another one for it")
        return self

    @property
    def file(self) -> Path:
        """The file that was read, absolute."""
        return self._file

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over the file, and nothing else: no .env that happens to lie around."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def need_slack(self) -> Slack:
        """The Slack section. Raises SettingsError where it is not set: `hvops run` cannot do without."""
        if self.slack is None:
            raise SettingsError(f"{self.file}: [slack] is missing. Write a table [slack] with bot_token and app_token.")
        return self.slack

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for masking."""
        found = [profile.password.get_secret_value() for profile in self.credentials.profiles().values()]
        if self.credentials.vmm is not None:
            found.append(self.credentials.vmm.password.get_secret_value())
        if self.credentials.commvault is not None:
            found.append(self.credentials.commvault.password.get_secret_value())
        for login in self.credentials.load_balancer.values():
            found += [login.password.get_secret_value(), login.api_key.get_secret_value()]
        if isinstance(self.ledger.place, Database):
            found += self.ledger.place.passwords
        if self.sites is not None:
            found += self.sites.place.passwords
        if self.slack is not None:
            found += [self.slack.bot_token.get_secret_value(), self.slack.app_token.get_secret_value()]
        return tuple(value for value in found if value)


def load(path: Path | None = None, *, by_anyone: bool = False) -> Settings:
    """Read the settings. Raises SettingsError naming file, key and what to write, all mistakes at once.

    Args:
        path: their file; None: the one of the environment, or the usual one.
        by_anyone: whoever may have written them, where nothing but what to mask is taken from them.
    """
    file = find(path).absolute()
    told = read_toml(file, "settings file", "Copy deploy/settings.toml there, or name another with --settings FILE.")
    if not by_anyone:
        must_be_ours(file)
    _refuse_strangers(file, told)
    try:
        settings = Settings(**told)
    except ValidationError as error:
        raise explained(file, Settings, error) from None
    except EnvironmentUnreadable as error:
        raise SettingsError(
            f"{_variables_like(str(error))}: not JSON. Lists are written as JSON: '[\"U1\"]'."
        ) from None
    settings = _absolute(settings, file.parent)
    for table, place in _databases(settings):
        if wrong := next((named for named in place.files if not named.is_absolute()), None):
            raise SettingsError(
                f"{file}: [{table}] database names {wrong}, which would be looked for in whatever folder hvops is started from. "
                "Write its whole path."
            )
    if not by_anyone:
        _refuse_others_files(settings)
        _refuse_what_libraries_wait_for(settings)
    _refuse_wrong_forms(file, settings)
    settings._file = file  # noqa: SLF001 - set once, here
    return settings


def find(path: Path | None = None) -> Path:
    """Which file would be read."""
    return find_named(path) or PLACE


def find_named(path: Path | None) -> Path | None:
    """Which file somebody named, on the command line or in the environment; None where it is the usual one that counts."""
    if path is not None:
        return path
    told = os.environ.get(f"{PREFIX}SETTINGS")
    return Path(told) if told else None


def _refuse_others_files(settings: Settings) -> None:
    """Refuse files that the settings name and that others could have written. Raises SettingsError."""
    try:
        for named in _named_files(settings):
            must_be_ours(named)
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _named_files(settings: Settings) -> Iterator[Path]:
    """The files that the settings name and that are there: whoever writes them chooses where logins go, or which are used."""
    credentials = settings.credentials
    logins = [*credentials.profiles().values(), credentials.commvault, *credentials.load_balancer.values()]
    told = [getattr(login, name, None) for login in logins for name in ("certificate", "key", "ca_file")]
    told += [site.key_file for site in settings.sites.worker.values()] if settings.sites is not None else []
    told += [named for _, place in _databases(settings) for named in place.files]
    return (path for path in (settings.inventory, *told) if path is not None and path.exists())


def _databases(settings: Settings) -> Iterator[tuple[str, Database]]:
    """The databases of PostgreSQL's that the settings name, each with its table."""
    if isinstance(settings.ledger.place, Database):
        yield "ledger", settings.ledger.place
    if settings.sites is not None:
        yield "sites", settings.sites.place


def _refuse_what_libraries_wait_for(settings: Settings) -> None:
    """Refuse pipes and devices as files that libraries open by themselves. Raises SettingsError."""
    told = [(f"{name} names", Path(one)) for name in _OF_LIBRARIES for one in _paths_in(os.environ.get(name, ""))]
    told += [one for _, place in _databases(settings) for one in place.read_by_libpq()]
    check_named(told)


def _paths_in(told: str) -> Iterator[str]:
    yield from filter(None, dict.fromkeys((told, *told.split(":"))))


def must_be_ours(file: Path) -> None:
    """Refuse a file that others could have written: it says whose decision counts, and where logins are sent to.

    A link is as good as what it leads to, and as the folder that it lies in; so each one on the way is looked at.
    """
    try:
        kind = file.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise SettingsError(f"{file}: {NOT_REGULAR}")
        for path, is_folder in dict.fromkeys(at for hop in hops(file) for at in ((hop, False), (hop.parent, True))):
            _check_owner_and_mode(path, is_folder=is_folder)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None


def _check_owner_and_mode(path: Path, *, is_folder: bool) -> None:
    """Refuse a file or folder that others could have written. Raises SettingsError, OSError."""
    about = path.lstat()
    is_link = stat.S_ISLNK(about.st_mode)  # its mode says nothing, its folder's does
    mode = stat.S_IMODE(about.st_mode)
    if about.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{path} belongs to another account (uid {about.st_uid}), which could change these settings. "
            f"Run: chown {'-h ' if is_link else ''}{os.geteuid()} {path}{'' if is_link else read_only_hint(path)}"
        )
    if is_link or not mode & 0o022 or (is_folder and (mode & stat.S_ISVTX or is_kubelet_volume(path))):
        return  # in a folder with the sticky bit nobody replaces what another one made
    raise SettingsError(
        f"{path}: other accounts of this machine can write it (mode {mode:04o}), so they could change these "
        f"settings. Run: chmod go-w {path}{read_only_hint(path)}"
    )


def permission_warnings(settings: Settings) -> tuple[str, ...]:
    """What of hvops other accounts of this machine can read or add to, as sentences with what to do."""
    keys = [profile.key for profile in settings.credentials.profiles().values() if profile.key]
    sites = settings.sites.worker.values() if settings.sites is not None else ()
    files = [settings.ledger.key_file, *keys, *(site.key_file for site in sites)]
    if settings.secrets():
        files.insert(0, settings.file)
    readable = tuple(
        f"{file}: other accounts of this machine can read it (mode {mode:04o}). Run: chmod 600 {file}"
        for file in files
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077
    )
    told = (settings.ledger.lock_base, settings.ledger.key_file, settings.ledger.anchor_file)
    folders = dict.fromkeys(file.resolve().parent for file in told)
    return readable + tuple(
        f"{folder}: its group can replace the files of the ledger (mode {mode:04o}). Run: chmod g-w {folder}"
        for folder in folders
        if folder.exists() and (mode := stat.S_IMODE(folder.stat().st_mode)) & (0o020 | stat.S_ISVTX) == 0o020  # noqa: PLR2004
    )


def _refuse_strangers(file: Path, told: Mapping[str, Any]) -> None:
    """Refuse what pydantic-settings would swallow: names with an underscore, variables of unknown sections.

    Only variables with "__" count: Kubernetes puts HVOPS_SERVICE_HOST and its like into every container.
    """
    known = list(Settings.model_fields)
    for key in told:
        if key.startswith("_"):
            raise SettingsError(f"{file}: {key} is not a setting.{near(key.strip('_'), known)}")
    for variable in os.environ:
        section, nested, _ = variable.removeprefix(PREFIX).partition("__")
        if variable.startswith(PREFIX) and nested and section.lower() not in known:
            raise SettingsError(f"{variable} is not a setting.{near(section, known)}")


def _refuse_wrong_forms(file: Path, settings: Settings) -> None:
    """Refuse logins that their transport cannot take. Raises SettingsError that names each key and the right form."""
    told = settings.credentials
    logins: list[tuple[str, Form, str]] = [
        (name, login.transport, login.username)
        for name, login in told.profiles().items()
        if login.transport != "certificate"
    ]
    if told.vmm is not None and told.vmm.login == "sql":
        logins.append(("vmm", "sql", told.vmm.username))
    domains = _known_domains(settings.inventory)
    wrong = [
        f"{name_of_key(file, ('credentials', name, 'username'))} is wrong: {says}."
        for name, form, username in logins
        if (says := wrong_form(form, username, domains))
    ]
    if wrong:
        raise SettingsError("\n".join(wrong))


def _known_domains(inventory: Path) -> tuple[str, ...]:
    """The domains of the inventory; none where it cannot be read, which is said when it is needed."""
    try:
        return load_inventory(inventory).domains()
    except SettingsError:
        return ()


def _variables_like(error: str) -> str:
    """The variables that may be meant: pydantic-settings names the section, not the variable."""
    sections = [section for section in Settings.model_fields if f'"{section}"' in error]
    return " or ".join(
        name for name in sorted(os.environ) for one in sections if name.startswith(f"{PREFIX}{one.upper()}")
    )


M = TypeVar("M", bound=BaseModel)


def _absolute(model: M, folder: Path) -> M:
    """The same settings with every relative path read from the folder of the settings file."""
    return model.model_copy(update={name: _from(value, folder) for name, value in model})


def _from(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, dict):
        return {name: _from(one, folder) for name, one in value.items()}
    return _absolute(value, folder) if isinstance(value, BaseModel) else value
