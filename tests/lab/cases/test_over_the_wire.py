"""What a case says is otherwise is heard by clients that know nothing of it: pywinrm, a SQL driver's words, plain HTTP."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import tomllib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import winrm
import xmltodict
from winrm.protocol import Protocol

from lab.cases.environment import CaseEnvironment
from lab.windows.old_tls import server_hello

AT = "at = 2026-11-22T22:41:00Z"


@pytest.fixture
def played(loaded, tmp_path):
    """A function: the estate of a case, on the network."""

    @contextmanager
    def start(body, top=""):
        with CaseEnvironment(loaded(body, top).told, tmp_path / "estate") as estate:
            yield estate

    return start


def inventory(estate):
    return tomllib.loads((estate.directory / "inventory.toml").read_text())


def session_to(estate, host="hv03"):
    account = estate.world.accounts["reader"]
    url = inventory(estate)["endpoints"][host]
    told = {"proxy": None, "ca_trust_path": None, "message_encryption": "always", "transport": "ntlm"}
    return winrm.Session(url, (account.user, account.password), **told)


def output(estate, *words, host="hv03", code_page=437):
    """What a program prints (bytes), and its exit code, in a console of that code page."""
    session = session_to(estate, host)
    protocol: Protocol = session.protocol
    try:
        shell = protocol.open_shell(codepage=code_page)
        stdout, _stderr, ended = protocol.get_command_output(shell, protocol.run_command(shell, words[0], words[1:]))
        protocol.close_shell(shell)
        return stdout, ended
    finally:
        protocol.transport.close_session()


def enumerate_class(estate, namespace, query, host="hv03"):
    """The items of a WQL enumeration as text, asked as Microsoft's own client asks."""
    session = session_to(estate, host)
    protocol: Protocol = session.protocol
    uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/{namespace}/*"
    header = protocol._get_soap_header(
        resource_uri=uri, action="http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate"
    )
    wql = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
    body = {
        "n:Enumerate": {
            "@xmlns:n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
            "w:OptimizeEnumeration": None,
            "w:MaxElements": "999",
            "w:Filter": {"@Dialect": wql, "#text": query},
        }
    }
    found = []
    try:
        reply = protocol.send_message(xmltodict.unparse({"env:Envelope": {**header, "env:Body": body}}))
        found.append(reply if isinstance(reply, str) else reply.decode())
        while context := re.search(r"<n:EnumerationContext>([^<]+)</n:EnumerationContext>", found[-1]):
            header = protocol._get_soap_header(
                resource_uri=uri, action="http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull"
            )
            body = {
                "n:Pull": {
                    "@xmlns:n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
                    "n:EnumerationContext": context[1],
                    "n:MaxElements": "999",
                }
            }
            reply = protocol.send_message(xmltodict.unparse({"env:Envelope": {**header, "env:Body": body}}))
            found.append(reply if isinstance(reply, str) else reply.decode())
    finally:
        protocol.transport.close_session()
    return "".join(found)


def test_rows_replace_those_of_the_provider_with_their_times_moved(played):
    rows = """
[[rows]]
on = "hv03"
class = "Win32_ShadowCopy"
rows = [{ ID = "{A}", InstallDate = 2026-11-22T22:11:00Z, Persistent = false }]
"""
    with played(rows, AT) as estate:
        said = enumerate_class(estate, "root/cimv2", "SELECT ID, InstallDate, Persistent FROM Win32_ShadowCopy")
        assert estate.never_asked() == []
    assert said.count("<w:XmlFragment") == 1
    assert "<Persistent>false</Persistent>" in said
    at = datetime.fromisoformat(re.search(r"Datetime>([^<]+)<", said)[1])
    assert abs(datetime.now(UTC) - at - timedelta(minutes=30)) < timedelta(minutes=1)


def test_a_time_keeps_the_zone_in_which_it_is_told(played):
    rows = """
[[rows]]
on = "hv03"
class = "Win32_OperatingSystem"
merge = true
by = ["CSName"]
rows = [{ CSName = "HV03", LocalDateTime = 2026-11-23T04:11:00+05:30 }]
"""
    with played(rows, AT) as estate:
        said = enumerate_class(estate, "root/cimv2", "SELECT LocalDateTime FROM Win32_OperatingSystem")
    text = re.search(r"Datetime>([^<]+)<", said)[1]
    assert text.endswith("+05:30")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=1)


def test_merged_rows_change_one_and_add_another_and_the_condition_is_the_servers(played):
    rows = """
[[rows]]
on = "prod"
namespace = "root/MSCluster"
class = "MSCluster_Node"
merge = true
rows = [{ Name = "HV03", State = 2 }, { Name = "hv07", State = 1 }]
"""
    with played(rows) as estate:
        said = enumerate_class(
            estate, "root/MSCluster", "SELECT Name, State FROM MSCluster_Node WHERE State > 0", "hv02"
        )
        assert estate.never_asked() == []
    assert re.findall(r"<Name>(\w+)</Name><State>(\d)</State>", said) == [("HV03", "2"), ("hv07", "1")]


def test_what_nobody_asks_for_is_told(played):
    rows = '[[rows]]\non = ["hv01", "hv03"]\nclass = "Win32_Volume"\nrows = []\n'
    with played(rows + '[[programs]]\non = "hv03"\nargv = ["sc", "query"]\n') as estate:
        assert estate.never_asked() == ["Win32_Volume on hv01, hv03", "sc query on hv03"]


@pytest.mark.parametrize(("page", "bytes_out"), [("", "ж".encode("cp866")), ("code_page = 65001", "ж".encode())])
def test_a_program_writes_in_its_code_page_or_in_the_consoles(played, page, bytes_out):
    told = f'[machines.hv03]\ncode_page = 866\n[[programs]]\non = "hv03"\nargv = ["vssadmin", "list"]\n{page}\n'
    with played(f'{told}stdout = """\nж\n"""\nexit_code = 3\n') as estate:
        assert output(estate, "VSSADMIN.exe", "list", "writers", code_page=866) == (bytes_out + b"\r\n", 3)
        assert b"Invalid command" in output(estate, "vssadmin", "delete")[0]


def test_registry_values_are_set_taken_out_and_whole_keys_too(played):
    key = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
    told = rf"""
[[registry]]
on = "hv03"
key = 'HKLM\{key}'
values = {{ ubr = 99, New = ["a", "b"] }}
without = ["BuildLab"]
[[registry]]
on = "hv03"
key = 'SYSTEM\CurrentControlSet\Services'
absent = true
"""
    with played(told) as estate:
        found = estate.do(estate.world.machine("hv03").registry)
    assert found[key]["ubr"] == 99
    assert found[key]["New"] == ["a", "b"]
    assert {"UBR", "BuildLab"} & found[key].keys() == set()
    assert not [path for path in found if path.startswith("SYSTEM\\CurrentControlSet\\Services")]


def test_an_event_stands_in_its_log_as_windows_writes_it(played):
    event = """
[[events]]
on = "hv03"
log = "system"
provider = "Microsoft-Windows-FailoverClustering"
id = 1137
at = 2026-11-22T22:30:00Z
data = [["ResourceGroup", "erp-01"], ["Status", "0x1748"]]
"""
    with played(event, AT) as estate:
        printed, _ = output(estate, "wevtutil", "qe", "System", "/q:*[System[(EventID=1137)]]", "/f:xml")
    assert b"<Data Name='Status'>0x1748</Data>" in printed
    assert b"<Computer>hv03.corp.example</Computer>" in printed


def test_rows_of_vmm_stay_as_they_are_given(played):
    told = '[[sql]]\ntable = "tbl_wlc_vobject"\nmerge = true\nby = ["Name"]\nrows = [{ Name = "sql-07", ObjectState = 221 }]\n'
    with played(told) as estate:

        def later():
            estate.world.skip(60)
            estate.world.vmm.settle()
            vmm = estate.world.vmm
            return vmm.believes(estate.world.guest("sql-07")), vmm.believes(estate.world.guest("crm-02"))

        assert estate.do(later) == (("hv03", 221), ("hv03", 0))


def test_a_job_has_the_name_that_the_product_knows(played):
    job = """
[[jobs]]
id = 48211
node = "hv03"
client = "hv03.corp.example"
reason = "VSS."
reason_code = "91:9"
started = 2026-11-22T20:00:00Z
[[jobs]]
id = 48212
node = "hv03"
state = "queued"
started = 2026-11-22T20:00:00Z
"""
    with played(job, AT) as estate:
        account = estate.backup_account
        with httpx.Client(base_url=estate.backup_product.url, headers={"Accept": "application/json"}) as client:
            password = base64.b64encode(account.password.encode()).decode()
            token = client.post("/Login", json={"username": account.user, "password": password}).json()["token"]
            queued, listed = client.get("/Job", headers={"Authtoken": token}).json()["jobs"]
    assert (queued["jobSummary"]["jobId"], queued["jobSummary"]["status"]) == (48212, "Queued")
    assert listed["jobSummary"]["subclient"]["clientName"] == "hv03.corp.example"
    assert listed["jobSummary"]["pendingReasonErrorCode"] == "91:9"


def test_another_windows_has_its_own_classes_updates_and_revision(played):
    with played(
        '[machines.hv06]\nwindows = "2019"\nrevision = 6189\n[machines.hv03]\nbooted = 2026-11-22T21:41:00Z\n', AT
    ) as estate:
        hv06 = estate.world.node("hv06")
        assert b"Integration" not in output(estate, "wevtutil", "el", host="hv06")[0]
        assert (hv06.release.build, hv06.release.revision) == ("17763", 6189)
        assert abs(datetime.now(UTC) - estate.world.node("hv03").booted - timedelta(hours=1)) < timedelta(minutes=1)


def test_a_web_server_answers_in_place_of_winrm(played):
    body = "<h2>Bad Request - Request Too Long</h2>"
    with played(f'[machines.hv03]\nhttp = {{ status = 400, body = "{body}" }}\n') as estate:
        endpoints = inventory(estate)["endpoints"]
        answer = httpx.post(endpoints["hv03"], content=b"<Envelope/>")
        other = httpx.post(endpoints["hv02"], content=b"<Envelope/>")
    assert (answer.status_code, answer.text) == (400, body)
    assert answer.headers["Server"] == "Microsoft-HTTPAPI/2.0"
    assert other.status_code == 401


def test_windows_server_2025_is_told_as_such(played):
    with played('[machines.branch]\nwindows = "2025"\n') as estate:
        said = enumerate_class(estate, "root/cimv2", "SELECT Caption, BuildNumber FROM Win32_OperatingSystem", "br01")
        values = estate.do(estate.world.machine("br01").registry)["SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"]
    assert "<BuildNumber>26100</BuildNumber>" in said
    assert "Windows Server 2025" in said
    assert (values["CurrentBuildNumber"], values["UBR"], values["DisplayVersion"]) == ("26100", 2894, "24H2")


def test_a_name_that_the_resolver_does_not_answer_for_has_no_address_and_others_have(played):
    with played('[machines.hv03]\nresolver = "does not answer"\n') as estate:
        assert "hv03" not in inventory(estate)["endpoints"]
        for name in ("hv03", "HV03.corp.example."):
            with pytest.raises(socket.gaierror) as error:
                socket.getaddrinfo(name, 5985)
            assert error.value.errno == socket.EAI_AGAIN
        assert socket.getaddrinfo("127.0.0.1", 5985)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("no such name", 5985)


def test_further_names_lead_to_the_machine_and_trouble_is_on_its_way(played):
    with played('[machines.hv01]\nalso = ["HYPERVISOR-BERL"]\n[machines.hv02]\ntrouble = "refuse"\n') as estate:
        endpoints = inventory(estate)["endpoints"]
        assert endpoints["HYPERVISOR-BERL"] == endpoints["hv01"]
        address = re.search(r"//([\d.]+):(\d+)", endpoints["hv02"])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address[1], int(address[2])))


@pytest.mark.parametrize(
    ("kind", "reason"), [("plain HTTP", "WRONG_VERSION_NUMBER"), ("TLS 1.0", "UNSUPPORTED_PROTOCOL")]
)
def test_a_listener_that_is_no_https_of_today(played, kind, reason):
    with played(f'[machines.hv03]\nlistener = "{kind}"\n') as estate:
        address = re.fullmatch(r"https://([\d.]+):(\d+)/wsman", inventory(estate)["endpoints"]["hv03"])
        context = ssl._create_unverified_context()
        with socket.create_connection((address[1], int(address[2]))) as plain, pytest.raises(ssl.SSLError) as error:
            context.wrap_socket(plain, server_hostname="hv03.corp.example")
    assert error.value.reason == reason


def test_the_hello_of_an_old_tls_is_one_record():
    said = server_hello()
    assert said[:3] == b"\x16\x03\x01"
    assert int.from_bytes(said[3:5], "big") == len(said) - 5


def test_settings_are_merged_and_kerberos_asks_no_real_world(played, monkeypatch):
    monkeypatch.setenv("KRB5_CONFIG", "before")
    told = (
        '[settings.credentials.reader]\ntransport = "kerberos"\nusername = "a\\\\b"\n[settings.limits]\nat_once = 3\n'
    )
    with played(told) as estate:
        settings = tomllib.loads(estate.settings_path.read_text())
        assert os.environ["KRB5_CONFIG"].startswith(str(estate.directory))
    assert os.environ["KRB5_CONFIG"] == "before"
    assert settings["credentials"]["reader"]["username"] == "a\\b"
    assert settings["credentials"]["reader"]["password"]
    assert settings["limits"] == {"per_host_seconds": 8, "at_once": 3}
