"""The stories over real WS-Management, asked by pywinrm as it is installed."""

from __future__ import annotations

import pytest
import winrm

from lab import scenarios
from lab.windows import BackgroundServer, CertificateAuthority


@pytest.fixture
def world():
    return scenarios.begin("stuck-writer")


def session_to(url: str, account, **more):
    # Without these two, pywinrm warns about what it finds in the environment.
    told = {"proxy": None, "ca_trust_path": None} | more
    return winrm.Session(url, (account.user, account.password), transport="ntlm", **told)


def test_pywinrm_sees_the_stuck_writer_in_three_languages(world):
    account = world.accounts["reader"]
    nodes = {name: world.machine(name) for name in ("hv03", "hv04", "hv06")}
    with BackgroundServer({machine.windows.address: machine for machine in nodes.values()}) as up:
        for name, code_page, label in (("hv03", "cp437", "Writer Id"), ("hv04", "cp850", "Verfasserkennung"), ("hv06", "cp850", "ID du rédacteur")):  # fmt: skip
            url = up.url(nodes[name].windows.address)
            session = session_to(url, account, message_encryption="always")
            answer = session.run_cmd("vssadmin", ["list", "writers"])
            session.protocol.transport.close_session()
            assert answer.status_code == 0
            text = answer.std_out.decode(code_page)
            assert text.count(label) == 13
            assert text.count("[5]") == (1 if name == "hv03" else 0)


def test_a_guest_is_asked_behind_its_certificate_and_another_refuses_the_login(world, tmp_path):
    authority = CertificateAuthority()
    trusted = str(authority.write(tmp_path / "ca.pem"))
    account = world.accounts["guest"]
    machines = {name: world.machine(name) for name in ("test-tfs-01", "crm-03")}
    contexts = {
        machine.windows.address: authority.server_context(machine.fqdn, machine.windows.address)
        for machine in machines.values()
    }
    with BackgroundServer({machine.windows.address: machine for machine in machines.values()}, contexts) as up:

        def ask(name: str):
            url = up.url(machines[name].windows.address, secure=True)
            session = session_to(url, account, ca_trust_path=trusted)
            try:
                return session.run_cmd("hostname")
            finally:
                session.protocol.transport.close_session()

        assert ask("test-tfs-01").std_out == b"test-tfs-01\r\n"
        with pytest.raises(winrm.exceptions.InvalidCredentialsError):
            ask("crm-03")
