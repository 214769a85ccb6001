"""Every way to log in, from the command line to the host and back: `hvops ask` as a process of its own."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.machine_protocol import Access
from lab.world.factory import make
from lab.world.world import World

ACCOUNT, PASSWORD = "hvops-reader@CORP.EXAMPLE", "Correct-Horse-8"
LOCAL = "hvops-local"  # basic takes no other
ME = pwd.getpwuid(os.getuid()).pw_name


@dataclass
class Farm:
    """A cluster of two hosts with four guests, all of which let in one account only as a test says."""

    world: World
    authority: CertificateAuthority
    directory: Path
    up: BackgroundServer

    def lets_in(self, **access) -> None:
        for machine in self.world.machines.values():
            machine.access = Access(**{"ntlm": False, "accounts": {ACCOUNT: PASSWORD}} | access)

    def asks(self, line: str, *, secure: bool, environment: dict[str, str] | None = None, **login: str) -> dict:
        """What `hvops ask --json` prints. `login`: the credentials of hosts and guests."""
        urls = {
            machine.windows.name: self.up.url(address, secure=secure)
            for address, machine in self.world.machines.items()
        }
        entry = self.world.clusters["farm01"].nodes[0].name
        told = {"ca_file": "ca.pem"} | login if secure else login
        _write(
            self.directory / "inventory.toml",
            {"": {"guest_domains": ["corp.example"]}},
            {"clusters.farm01": {"domain": "corp.example", "entry_hosts": [entry], "ops_channel": "C0OPS"}},
            {"endpoints": urls},
        )
        _write(
            self.directory / "settings.toml",
            {"": {"inventory": "inventory.toml"}},
            {"roles.viewer": {"system_users": [ME], "clusters": ["*"]}},
            {"credentials.reader": told, "credentials.guest": told},
        )
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HVOPS_")}
        ended = subprocess.run(
            [sys.executable, "-m", "bot", "ask", "--settings", self.directory / "settings.toml", "--json", line],
            env=clean | (environment or {}),
            cwd=self.directory,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        answer = json.loads(ended.stdout)
        assert answer["exit_code"] == ended.returncode, ended.stderr
        assert PASSWORD not in ended.stdout + ended.stderr
        return answer

    def both(self, *, secure: bool, environment: dict[str, str] | None = None, **login: str) -> None:
        """Ask the hosts, then the guests through them."""
        hosts = self.asks("/check-writers farm01", secure=secure, environment=environment, **login)
        assert hosts["exit_code"] == 0, hosts
        assert hosts["report"]["title"] == "farm01: VSS writers healthy on all 2 nodes"
        guests = self.asks("/find-full-guests farm01", secure=secure, environment=environment, **login)
        assert guests["exit_code"] == 0, guests
        assert guests["report"]["answered"] == guests["report"]["asked"] == 4


def _write(path: Path, *tables: dict[str, dict[str, object]]) -> None:
    """TOML's basic strings and lists are written as in JSON."""
    lines = []
    for name, values in [item for table in tables for item in table.items()]:
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    world, authority = make(hosts=2), CertificateAuthority()
    directory = tmp_path_factory.mktemp("farm")
    authority.write(directory / "ca.pem")
    contexts = {
        address: authority.server_context(machine.fqdn, machine.windows.name, address)
        for address, machine in world.machines.items()
    }
    with BackgroundServer(world.machines, tls=contexts) as up:
        yield Farm(world, authority, directory, up)


@pytest.fixture
def farm(running, tmp_path):
    """A ledger of its own for every test."""
    running.directory = tmp_path
    running.authority.write(tmp_path / "ca.pem")
    return running


def test_basic_over_tls(farm):
    farm.lets_in(basic=True, accounts={LOCAL: PASSWORD})
    farm.both(secure=True, transport="basic", username=LOCAL, password=PASSWORD)


def test_basic_in_clear_never_leaves(farm):
    farm.lets_in(basic=True, allow_unencrypted=True, accounts={LOCAL: PASSWORD})
    answer = farm.asks("/check-writers farm01", secure=False, transport="basic", username=LOCAL, password=PASSWORD)
    assert answer["exit_code"] == 3
    assert [one["kind"] for one in answer["report"]["unanswered"]] == ["not allowed"]


def test_certificate(farm):
    issued = farm.authority.client(ACCOUNT)
    farm.lets_in(certificates={issued.thumbprint: ACCOUNT})
    issued.write(farm.directory, "reader")
    farm.both(secure=True, transport="certificate", certificate="reader.pem", key="reader.key")


def test_a_client_certificate_that_has_expired(farm):
    issued = farm.authority.client(ACCOUNT, expired=True)
    farm.lets_in(certificates={issued.thumbprint: ACCOUNT})
    issued.write(farm.directory, "reader")
    answer = farm.asks(
        "/check-writers farm01", secure=True, transport="certificate", certificate="reader.pem", key="reader.key"
    )
    assert answer["exit_code"] == 3
    (silent,) = answer["report"]["unanswered"]
    assert silent["target"] == "farm01"
    assert silent["kind"] == "login refused"
    assert "the certificate in the settings expired on 2" in silent["why"]


def test_ntlm_over_http_with_message_encryption(farm):
    farm.lets_in(ntlm=True)
    answer = farm.asks("/check-writers farm01", secure=False, transport="ntlm", username=ACCOUNT, password=PASSWORD)
    assert answer["exit_code"] == 0


@pytest.fixture
def realm(kdc, farm, monkeypatch, tmp_path):
    """The farm in a Kerberos realm, where the practice hosts take nothing else."""
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)
    for machine in farm.world.machines.values():
        kdc.add_service("HTTP", machine.fqdn)
    kdc.add_user("hvops-reader", PASSWORD)
    farm.lets_in(kerberos=True, accounts={ACCOUNT: ""})
    return {**kdc.environment, "KRB5CCNAME": f"FILE:{tmp_path / 'tickets'}"}


@pytest.mark.kerberos
def test_kerberos_with_message_encryption(farm, realm):
    login = {"transport": "kerberos", "username": ACCOUNT}
    farm.both(secure=False, environment=realm, password=PASSWORD, **login)
    answer = farm.asks("/check-writers farm01", secure=False, environment=realm, password="another", **login)
    assert answer["exit_code"] == 3
    (silent,) = answer["report"]["unanswered"]
    assert silent["kind"] == "login refused"
    assert "does not decrypt: password or key" in silent["why"]  # this KDC wants no proof before it answers
