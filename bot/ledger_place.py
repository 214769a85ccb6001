"""Where a ledger is kept: in a file, or in a database of PostgreSQL's."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from bot.private_files import read_regular

_SCHEMES = ("postgresql", "postgres")
_PORT = "5432"
_FORM = (
    "it is written as postgresql://USER@HOST/DATABASE, and in a password each sign but letters, digits, - . _ ~ as an escape: "
    "%25 for %, %2F for /, %40 for @"
)
_SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_VARIABLES = ("PGPASSWORD", "PGSSLPASSWORD", "PGOAUTHCLIENTSECRET")
# A line of a file of passwords: four fields, each up to a colon that nothing escapes, and the password up to the next one.
_PASSWORD = re.compile(rb"(?:(?:[^:\\]|\\.)*:){4}((?:[^:\\]|\\.|\\\Z)*)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_CUT = re.compile(
    rb"\0[^\n]*\n?"
)  # what libpq does not see of a line with a zero byte: it goes on with the next line there
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile")  # of libpq [doc libpq-connect]
_NAME_FILES = (
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCRL",
)  # [doc libpq-envars]
_OF_HOME = (
    ".pgpass",
    ".pg_service.conf",
    ".postgresql/root.crt",
    ".postgresql/root.crl",
    ".postgresql/postgresql.crt",
    ".postgresql/postgresql.key",
)
_LOCAL = ("localhost", "ip6-localhost", "localhost4", "localhost6")
_NO_FILE = "system"  # as sslrootcert: the authorities of this machine
# What libpq or we could take for another part than it was meant for, so that part of a password would pass for a host.
_AMBIGUOUS = re.compile(r"%(?![0-9A-Fa-f]{2})|[\s#\x00-\x1f]")
_NAME = re.compile(r"/[^/@:;&=]+")


@dataclass(frozen=True, slots=True)
class Database:
    """A database of PostgreSQL's. As a text it is its address without the password.

    Attributes:
        url: as libpq takes it: postgresql://hvops@db1/hvops?sslmode=verify-full.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError, which repeats nothing of it, for what is no such address."""
        try:
            parts = self._parts
            is_one = parts.scheme in _SCHEMES and not _AMBIGUOUS.search(self.url) and "service" not in self._options
            is_one = is_one and parts.netloc.count("@") <= 1 and _NAME.fullmatch(parts.path) is not None
        except ValueError:
            is_one = False
        if not is_one:
            raise ValueError(_FORM)

    def __str__(self) -> str:
        """The address, without user, password and options: of two databases never the same."""
        known = self._option("hostaddr")
        hosts = ",".join(f"{host}:{port}" if port else host for host, port in self._hosts)
        return f"postgresql://{hosts}/{quote(self._name, safe='')}{f'?hostaddr={known}' if known else ''}"

    @property
    def passwords(self) -> tuple[str, ...]:
        """What has to be masked, as it is and as the address writes it: of the address, and of what libpq reads beside it."""
        written = (
            self._parts.password or "",
            *(one for name in _SECRET_OPTIONS for one in self._options.get(name, ())),
        )
        told = (*(one for each in written for one in (unquote(each), each)), *self._beside())
        return tuple(dict.fromkeys(one for one in told if one))

    def _beside(self) -> Iterator[str]:
        """The passwords of libpq's variables and of its file of passwords [doc libpq-envars, libpq-pgpass]."""
        yield from (os.environ.get(name, "") for name in _VARIABLES)
        with suppress(OSError, KeyError, ValueError):  # none, or none that we may read: then libpq reads none, either
            yield from _passwords_in(read_regular(self._passfile))

    @property
    def _passfile(self) -> Path:
        """Libpq's file of passwords. Of what is named, "~" is no home; "" in the address wins over the variable [src] libpq."""
        told = parse_qs(self._parts.query.replace("+", "%2B"), keep_blank_values=True)
        named = told["passfile"][-1] if "passfile" in told else os.environ.get("PGPASSFILE", "")
        return Path(named) if named else _home() / ".pgpass"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that its options name: who is believed to be the server, and who we are there."""
        told = (one for name in _FILES for one in self._options.get(name, ()))
        return tuple(Path(one) for one in told if one not in ("", _NO_FILE))

    def read_by_libpq(self) -> Iterator[tuple[str, Path]]:
        """The files that libpq opens by itself beside those of the options, each with who names it."""
        yield from ((f"{name} names", Path(os.environ[name])) for name in _NAME_FILES if os.environ.get(name))
        with suppress(KeyError):
            yield from (("libpq reads by itself", _home() / name) for name in _OF_HOME)

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that who has this machine's disk has the ledger as well. No name is looked up."""
        return all(_is_here(unquote(host)) for host, _ in self._reached)

    def is_same_as(self, other: Database) -> bool:
        """Whether both may be one, however they are written."""
        return self._name == other._name and bool(self._servers & other._servers)

    @property
    def _servers(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            ("" if _is_here(unquote(host)) else host.lower().rstrip("."), port or _PORT) for host, port in self._reached
        )

    @property
    def _reached(self) -> tuple[tuple[str, str], ...]:
        """Where a connection goes: to the address of a server, where it has one beside its name [doc libpq-connect]."""
        known = self._option("hostaddr").split(",")
        return tuple(
            (known[at] if at < len(known) and known[at] else host, port) for at, (host, port) in enumerate(self._hosts)
        )

    @property
    def _hosts(self) -> tuple[tuple[str, str], ...]:
        """Each server with its port, "" for the usual one. An option wins over what stands before it [doc libpq-connect]."""
        told = [_split(one) for one in self._parts.netloc.rpartition("@")[2].split(",")]
        hosts = self._option("host") or ",".join(host for host, _ in told) or self._option("hostaddr")
        ports = (self._option("port") or ",".join(port for _, port in told)).split(",")
        return tuple(
            (quote(host, safe="[]:._-%"), ports[min(at, len(ports) - 1)]) for at, host in enumerate(hosts.split(","))
        )

    @property
    def _name(self) -> str:
        return self._option("dbname") or unquote(self._parts.path[1:])

    def _option(self, name: str) -> str:
        return next(reversed(self._options.get(name, ("",))))

    @property
    def _options(self) -> dict[str, list[str]]:
        return parse_qs(self._parts.query.replace("+", "%2B"))

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)


Place = Path | Database


def _home() -> Path:
    """Where libpq looks for files of its own. Raises KeyError for an account that has no home."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)


def _passwords_in(content: bytes) -> Iterator[str]:
    """What libpq could take for a password in a file of passwords, and how it stands there [src] libpq, passwordFromFile."""
    for line in _CUT.sub(b"", content).split(b"\n"):
        found = None if line.startswith(b"#") else _PASSWORD.match(line.rstrip(b"\r"))
        if found:
            yield from (one.decode("utf-8", "replace") for one in (found[1], _ESCAPED.sub(rb"\1", found[1])))


def _split(told: str) -> tuple[str, str]:
    """Host and port; an address of IPv6 stands in brackets."""
    host, colon, port = told.rpartition(":")
    return (host, port) if colon and not told.endswith("]") else (told, "")


def _is_here(host: str) -> bool:
    """Whether that is this machine: by its own name, with or without a domain, or by an address of its own."""
    name = host.strip("[]").lower().rstrip(".")
    own = (*_LOCAL, socket.gethostname().lower().partition(".")[0])
    if not name or name.startswith("/") or name.partition(".")[0] in own:
        return True
    try:
        family, *_, address = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
    except (OSError, UnicodeError):  # a name, which is looked up by nobody here
        return False
    if ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        return True
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind(address)  # the kernel refuses an address of another machine's
    except OSError:
        return False
    return True
