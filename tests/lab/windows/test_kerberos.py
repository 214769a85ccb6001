"""Kerberos against a real KDC, messages sealed."""

from __future__ import annotations

import pytest
import winrm
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan

from lab.windows import wsman_constants
from lab.windows.machine_protocol import Output

pytestmark = pytest.mark.kerberos

HOST = "hv01.corp.example"
IDENTIFY = f'<s:Envelope xmlns:s="{wsman_constants.SOAP}" xmlns:i="{wsman_constants.IDENTITY}"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>'


@pytest.fixture
def realm(kdc, monkeypatch, machine):
    """The machine takes Kerberos, and somebody has a ticket."""
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)
    machine.access.kerberos = True
    return kdc


@pytest.fixture(scope="session")
def people(kdc):
    kdc.add_service("HTTP", HOST)
    kdc.add_user("reader", "Ticket-1")
    kdc.add_user("stranger", "Ticket-2")


def session(up, user="reader"):
    return winrm.Session(
        up.url("127.0.9.1"),
        auth=(f"{user}@CORP.EXAMPLE", ""),
        transport="kerberos",
        kerberos_hostname_override=HOST,
        ca_trust_path=None,
    )


def test_pywinrm_with_a_ticket(realm, people, up, machine):
    realm.log_in("reader", "Ticket-1")
    machine.programs["vssadmin"] = Output("x" * 400_000)  # in many messages
    result = session(up).run_cmd("vssadmin", ["list", "writers"])
    assert (result.std_out, result.status_code) == (b"x" * 400_000, 0)


def test_curl_with_a_ticket(realm, people, up, machine, curl):
    """By SPNEGO, unsealed: curl seals nothing, so the machine has to allow that."""
    realm.log_in("reader", "Ticket-1")
    machine.access.allow_unencrypted = True
    there = up.url("127.0.9.1").replace("127.0.9.1", HOST)
    ask = ["--negotiate", "--user", ":", "--resolve", f"{HOST}:{up.server.port}:127.0.9.1", "-d", IDENTIFY, there]
    ask += ["-H", "Content-Type: application/soap+xml;charset=UTF-8"]
    assert "OS: 6.3.9600" in curl(*ask)
    machine.access.allow_unencrypted = False
    assert curl(*ask, "-w", "%{http_code}") == "500"


def test_someone_of_the_realm_without_rights_is_denied(realm, people, up, machine):
    realm.log_in("stranger", "Ticket-2")
    with pytest.raises(winrm.exceptions.WSManFaultError) as caught:
        session(up, "stranger").run_cmd("vssadmin")
    assert caught.value.wsman_fault_code == 5
    assert machine.runs == []


def test_a_good_ticket_does_not_help_where_kerberos_is_off(realm, people, up, machine):
    realm.log_in("reader", "Ticket-1")
    machine.access.kerberos = False
    with pytest.raises(winrm.exceptions.InvalidCredentialsError):
        session(up).run_cmd("vssadmin")


def test_ntlm_within_negotiate_where_both_are_on(realm, people, up, machine, password):
    """The server half of SPNEGO, which chooses what the client can do."""
    with (
        WSMan(
            "127.0.9.1", port=up.server.port, ssl=False, auth="negotiate", username="CORP\\reader", password=password
        ) as wsman,
        WinRS(wsman) as shell,
    ):
        process = Process(shell, "vssadmin")
        process.invoke()
    assert process.rc == 0
