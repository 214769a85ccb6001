"""Where a ledger is kept: in a file, or in a database of PostgreSQL's."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class Database:
    """A database of PostgreSQL's. As a text it is its address without the password.

    Attributes:
        url: as libpq takes it: postgresql://hvops@db1/hvops?sslmode=verify-full.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no such address."""
        if self._parts.scheme not in _SCHEMES or not self._parts.path.strip("/"):
            raise ValueError("it is written as postgresql://USER@HOST/DATABASE")

    def __str__(self) -> str:
        """The address, without user, password and options."""
        host = self._parts.netloc.rpartition("@")[2]
        return f"postgresql://{host}{self._parts.path}"

    @property
    def password(self) -> str:
        """What has to be masked; "" where the address has none."""
        return self._parts.password or next(iter(parse_qs(self._parts.query).get("password", ())), "")

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that who has this machine's disk has the ledger as well."""
        hosts = self._parts.hostname or next(iter(parse_qs(self._parts.query).get("host", ())), "")
        return all(_is_here(host) for host in hosts.split(","))

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)


Place = Path | Database


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
