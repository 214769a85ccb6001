"""A real MIT KDC in a process of its own, its accounts and services; for tests and for benches."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.transport.windows.libkrb5 import PasswordTicket

ADDRESS = "127.0.8.8"
REALM = "CORP.EXAMPLE"
KDC_TOOLS = ("krb5kdc", "kdb5_util", "kadmin.local")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CLIENT_SETTINGS = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = {address}:{port}
  }}
[domain_realm]
  .corp.example = {realm}
"""
KDC_SETTINGS = """\
[realms]
  {realm} = {{
    database_name = {directory}/principal
    key_stash_file = {directory}/stash
    kdc_listen = ""
    kdc_tcp_listen = {address}:{port}
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
  }}
[logging]
  kdc = FILE:{directory}/kdc.log
"""


def missing_tools() -> list[str]:
    """Tools of a KDC that are not here; the packages krb5-kdc and krb5-admin-server bring them."""
    return [name for name in KDC_TOOLS if shutil.which(name, path=SEARCH) is None]


@dataclass(frozen=True)
class Kdc:
    """A running KDC: `environment` leads any Kerberos library to it and to the keytab of the services."""

    directory: Path
    environment: dict[str, str]
    realm: str = REALM
    services: set[str] = field(default_factory=set)

    def add_user(self, name: str, password: str) -> None:
        self._administer("addprinc", "-pw", password, name)

    def change_user(self, name: str, *options: str) -> None:
        """As kadmin's `modprinc` takes them: `change_user("reader", "-allow_tix")`."""
        self._administer("modprinc", *options, name)

    def add_service(self, service: str, host: str) -> None:
        """A service with a random key in the keytab: `add_service("HTTP", "hv01.corp.example")`."""
        self.add_services(service, [host])

    def add_services(self, service: str, hosts: Iterable[str]) -> None:
        """Likewise for many, in one go. One that there is already, as tests of one run share a KDC, keeps its key."""
        keytab = self.environment["KRB5_KTNAME"].removeprefix("FILE:")
        new = [name for host in hosts if (name := f"{service}/{host}") not in self.services]
        self.services.update(new)
        lines = [line for name in new for line in (f"addprinc -randkey {name}", f"ktadd -k {keytab} {name}")]
        run_tool("kadmin.local", "-r", self.realm, environment=self.environment, typed="\n".join([*lines, ""]))

    def log_in(self, name: str, password: str) -> None:
        """Put a ticket into the credential cache that `environment` names; call it with `environment` in force."""
        PasswordTicket(f"{name}@{self.realm}", password).write(
            Path(self.environment["KRB5CCNAME"].removeprefix("FILE:"))
        )

    def _administer(self, *words: str) -> None:
        run_tool("kadmin.local", "-r", self.realm, *words, environment=self.environment)


@contextmanager
def kdc_serving(directory: Path) -> Iterator[Kdc]:
    """A KDC until the end of the block; ended by its own process id."""
    facts = {"realm": REALM, "address": ADDRESS, "port": free_tcp_port(), "directory": directory}
    (directory / "krb5.conf").write_text(CLIENT_SETTINGS.format(**facts))
    (directory / "kdc.conf").write_text(KDC_SETTINGS.format(**facts))
    environment = {
        "KRB5_CONFIG": str(directory / "krb5.conf"),
        "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
        "KRB5_KTNAME": f"FILE:{directory / 'services.keytab'}",
        "KRB5CCNAME": f"FILE:{directory / 'tickets'}",
        "KRB5RCACHETYPE": "none",  # no replay cache in the common temporary directory
    }
    run_tool("kdb5_util", "create", "-s", "-r", REALM, "-P", "master", environment=environment)
    process = subprocess.Popen(
        [_path("krb5kdc"), "-n", "-r", REALM],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(process, facts["port"])
        yield Kdc(directory, environment)
    finally:
        process.terminate()
        process.wait(timeout=10)


class SilentKdc:
    """A port that takes connections and says nothing, until `close`."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ADDRESS, 0))
        self.asked: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def environment(self, kdc: Kdc, realm: str, file: Path) -> dict[str, str]:
        """What leads to it for that realm, and to the KDC for its own one where that is another."""
        port = self._listener.getsockname()[1]
        known = Path(kdc.environment["KRB5_CONFIG"]).read_text()
        line = f"    kdc = {ADDRESS}:{port}\n"
        if realm == kdc.realm:
            known = re.sub(r"^ *kdc = .*\n", line, known, flags=re.MULTILINE)
        else:
            known = known.replace("[domain_realm]", f"  {realm} = {{\n{line}  }}\n[domain_realm]")
        file.write_text(known)
        return {"KRB5_CONFIG": str(file)}

    def close(self) -> None:
        """Refuse whoever waits, so that no thread is left that waits for it. Once is enough."""
        if self._listener.fileno() == -1:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for one in self.asked:
            one.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self.asked.append(self._listener.accept()[0])


def run_tool(name: str, *words: str, environment: dict[str, str], typed: str | None = None) -> None:
    done = subprocess.run(
        [_path(name), *words],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        input=typed,
    )
    assert done.returncode == 0, done.stderr


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """The KDC says nowhere but in its log that it is ready, so a connection is the condition."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the KDC ended"
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the KDC does not listen")


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def _path(name: str) -> str:
    """Raises FileNotFoundError."""
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise FileNotFoundError(f"{name} is missing: apt-get install krb5-kdc krb5-admin-server")
    return found
