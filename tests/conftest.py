"""A real MIT KDC on loopback, for whoever needs Kerberos."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import krb5
import pytest

ADDRESS = "127.0.8.8"
REALM = "CORP.EXAMPLE"
TOOLS = ("krb5kdc", "kdb5_util", "kadmin.local")
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


@dataclass(frozen=True)
class Kdc:
    """A running KDC: `environment` leads any Kerberos library to it and to the keytab of the services."""

    directory: Path
    environment: dict[str, str]
    realm: str = REALM

    def add_user(self, name: str, password: str) -> None:
        self._administer("addprinc", "-pw", password, name)

    def add_service(self, service: str, host: str) -> None:
        """A service with a random key in the keytab: `add_service("HTTP", "hv01.corp.example")`."""
        self._administer("addprinc", "-randkey", f"{service}/{host}")
        self._administer("ktadd", "-k", self.environment["KRB5_KTNAME"].removeprefix("FILE:"), f"{service}/{host}")

    def log_in(self, name: str, password: str) -> None:
        """Put a ticket into the credential cache that `environment` names; call it with `environment` in force."""
        context = krb5.init_context()
        principal = krb5.parse_name_flags(context, f"{name}@{self.realm}".encode())
        options = krb5.get_init_creds_opt_alloc(context)
        ticket = krb5.get_init_creds_password(context, principal, options, password.encode())
        cache = krb5.cc_resolve(context, self.environment["KRB5CCNAME"].encode())
        krb5.cc_initialize(context, cache, principal)
        krb5.cc_store_cred(context, cache, ticket)

    def _administer(self, *words: str) -> None:
        run_tool("kadmin.local", "-r", self.realm, *words, environment=self.environment)


def run_tool(name: str, *words: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [shutil.which(name, path=SEARCH), *words],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
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


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """Started once; ended by its own process id."""
    if not all(shutil.which(tool, path=SEARCH) for tool in TOOLS):
        pytest.skip("no MIT KDC here: apt-get install krb5-kdc")
    directory = tmp_path_factory.mktemp("kdc")
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
        [shutil.which("krb5kdc", path=SEARCH), "-n", "-r", REALM],
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
