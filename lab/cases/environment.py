"""The estate of a case: what differs in names, listeners and settings, beside what its machines answer."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import config_files
from lab.cases import overrides, resolver
from lab.cases.errors import CaseError
from lab.cases.overrides import shift_from
from lab.cases.schema import CaseFile, Machine
from lab.environment import PracticeEnvironment
from lab.windows import old_tls
from lab.world.overrides import ClassRows, Printed
from lab.world.world import Clock, World, utc_now

# Without it a Kerberos client would look for the practice domain in whatever DNS there is.
_KERBEROS = """\
[libdefaults]
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
"""


def prepare(case: CaseFile, world: World) -> list[tuple[str, ClassRows | Printed]]:
    """Put what a case says is otherwise into a world in which its scenario has just begun; see `overrides.apply`."""
    for key, told in case.machines.items():
        if told.also and key in world.clusters:
            raise CaseError(f"machines.{key}.also", "a further name leads to one machine, not to a cluster.")
    return overrides.apply(case, world, shift_from(case.at, world.now))


def clock_of(case: CaseFile) -> Clock:
    """The clock by which a case is played: it stands at `at` now where its times are not moved."""
    if not case.as_then or case.at is None:
        return utc_now
    behind = utc_now() - case.at
    return lambda: utc_now() - behind


class CaseEnvironment(PracticeEnvironment):
    """A case on the network; a context manager.

    `behind` is by how many seconds its clock, and so that of whoever asks it, is behind the clock of today.

    Raises:
        CaseError: the case says what its scenario cannot carry.
    """

    def __init__(self, case: CaseFile, directory: Path) -> None:
        self.case = case
        self._otherwise: list[tuple[str, ClassRows | Printed]] = []
        clock = clock_of(case)
        self.behind = (utc_now() - clock()).total_seconds() if case.as_then else 0.0
        super().__init__(case.scenario, directory, prepare=self._prepare, clock=clock)
        self._around = ExitStack()
        self._listeners: list[asyncio.Server] = []

    def _prepare(self, world: World) -> None:
        self._otherwise = prepare(self.case, world)

    def __enter__(self) -> Self:
        """Put the machines on the network and write the files."""
        with ExitStack() as around:
            names = dict(self._unresolved())
            around.enter_context(resolver.without_answer(names))
            around.enter_context(_kerberos(self.directory, self.case.settings))
            super().__enter__()
            self._around = around.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the machines off the network; the files stay."""
        try:
            self._servers.call(_close(self._listeners))
            super().__exit__(kind, error, trace)
        finally:
            self._around.close()

    def never_asked(self) -> list[str]:
        """What the case says is otherwise, and nobody asked for."""
        return [name for name, one in self._otherwise if not one.asked]

    def _each(self) -> Iterator[tuple[str, Machine]]:
        for key, told in self.case.machines.items():
            names = [node.name for node in self.world.clusters[key].nodes] if key in self.world.clusters else [key]
            yield from ((name, told) for name in names)

    def _unresolved(self) -> Iterator[tuple[str, str]]:
        for name, told in self._each():
            if told.resolver is not None:
                for known in (name, self.world.machine(name).windows.fqdn):
                    yield known, told.resolver

    def _endpoints(self) -> dict[str, str]:
        found = super()._endpoints()
        for name, told in self._each():
            windows = self.world.machine(name).windows
            if told.resolver is not None:
                for known in (windows.name, windows.fqdn):
                    found.pop(known, None)
            if told.listener is not None:
                where = self._listener(windows.address, told.listener)
                found[windows.name] = where
                if windows.fqdn in found:
                    found[windows.fqdn] = where
            found |= dict.fromkeys(told.also, found.get(windows.name, ""))
        return found

    def _listener(self, address: str, kind: str) -> str:
        """Where something listens that is no HTTPS of today."""
        if kind == "plain HTTP":
            return self._servers.url(address).replace("http://", "https://", 1)
        server = self._servers.call(old_tls.serve(address))
        self._listeners.append(server)
        return f"https://{address}:{server.sockets[0].getsockname()[1]}/wsman"

    def _write(self) -> None:
        super()._write()
        files = {self.settings_path: self.case.settings, self.directory / "inventory.toml": self.case.inventory}
        for path, otherwise in files.items():
            if otherwise:
                told = tomllib.loads(path.read_text(encoding="utf-8"))
                config_files.write_private(path, _toml(_merged(told, otherwise)))


async def _close(servers: Sequence[asyncio.Server]) -> None:
    for server in servers:
        server.close()


@contextmanager
def _kerberos(directory: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """Where the case logs in by Kerberos, keep its library from asking the real world."""
    credentials = settings.get("credentials", {})
    if not any(isinstance(one, Mapping) and one.get("transport") == "kerberos" for one in credentials.values()):
        yield
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / "krb5.conf"
    file.write_text(_KERBEROS, encoding="utf-8")
    before = os.environ.get("KRB5_CONFIG")
    os.environ["KRB5_CONFIG"] = str(file)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KRB5_CONFIG"]
        else:
            os.environ["KRB5_CONFIG"] = before


def _merged(told: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(told)
    for name, value in over.items():
        here = found.get(name)
        found[name] = _merged(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return found


def _toml(told: Mapping[str, Any], name: str = "") -> str:
    """Tables, texts, numbers, truth values and lists of these as TOML. Text is escaped as in JSON, which TOML reads."""
    plain = {key: value for key, value in told.items() if not isinstance(value, Mapping)}
    lines = [f"[{name}]"] if name and plain else []
    lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in plain.items()]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in told.items():
        if isinstance(value, Mapping):
            text += _toml(value, f"{name}.{json.dumps(key)}" if name else json.dumps(key))
    return text


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
