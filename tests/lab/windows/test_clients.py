"""Real clients, as people use them, get what they would get from Windows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import pytest
import winrm
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePool
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import SelectorSet, WSMan
from requests.exceptions import SSLError
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.exceptions import WSManFaultError as WinrmFault

from lab.windows import BackgroundServer, wsman_constants
from lab.windows.machine_protocol import Output, Reference

ADDRESS = "127.0.9.1"
USER = "CORP\\reader"
SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")
OWNERS = ("root/MSCluster", "MSCluster_ResourceToPossibleOwner")
IDENTIFY = f'<s:Envelope xmlns:s="{wsman_constants.SOAP}" xmlns:i="{wsman_constants.IDENTITY}"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>'


def session(up, password, transport="ntlm", user=USER, *, secure=False, **more):
    more.setdefault("ca_trust_path", None)  # else pywinrm warns of what the environment trusts
    return winrm.Session(up.url(ADDRESS, secure=secure), auth=(user, password), transport=transport, **more)


@pytest.fixture
def ca_file(authority, tmp_path):
    return str(authority.write(tmp_path / "ca.pem"))


def test_pywinrm_runs_a_program_over_sealed_ntlm(up, machine, password):
    machine.programs["vssadmin"] = Output("Schreiber für Hyper-V €\r\n", "über\r\n", 3)
    result = session(up, password).run_cmd("vssadmin", ["list", "writers"])
    # pywinrm opens its shells with code page 437, which lacks the euro
    assert result.std_out == b"Schreiber f\x81r Hyper-V ?\r\n"
    assert result.std_err == b"\x81ber\r\n"
    assert result.status_code == 3
    assert machine.runs == [["vssadmin", "list", "writers"]]


@pytest.mark.parametrize(
    "user",
    ["CORP\\reader", "corp\\READER", "reader@corp.example", "corp.example\\reader", "reader"],
)
def test_an_account_may_be_spelt_in_many_ways(up, password, user):
    assert session(up, password, user=user).run_cmd("vssadmin").status_code == 0


@pytest.mark.parametrize("user", ["CORP\\nobody", "OTHER\\reader", "reader@other.example"])
def test_other_accounts_are_refused(up, password, user):
    with pytest.raises(InvalidCredentialsError):
        session(up, password, user=user).run_cmd("vssadmin")


@pytest.mark.parametrize("transport", ["ntlm", "basic"])
def test_a_wrong_password_is_refused(up, machine, transport):
    machine.access.basic = machine.access.allow_unencrypted = True
    with pytest.raises(InvalidCredentialsError):
        session(up, "wrong", transport).run_cmd("vssadmin")


def test_ntlm_may_be_off(up, machine, password):
    machine.access.ntlm = False
    with pytest.raises(InvalidCredentialsError):
        session(up, password).run_cmd("vssadmin")


def test_machines_have_passwords_of_their_own(make_machine):
    one, two = make_machine(), make_machine(name="HV02", fqdn="hv02.corp.example")
    two.access.accounts[USER] = "another"
    for machine in (one, two):
        machine.programs["hostname"] = Output(machine.name)
    with BackgroundServer({"127.0.9.2": one, "127.0.9.3": two}) as up:

        def ask(address, password):
            client = winrm.Session(up.url(address), auth=(USER, password), transport="ntlm", ca_trust_path=None)
            try:
                return client.run_cmd("hostname").std_out.decode()
            except InvalidCredentialsError:
                return "refused"

        right = one.access.accounts[USER]
        cases = [("127.0.9.2", right), ("127.0.9.2", "another"), ("127.0.9.3", "another"), ("127.0.9.3", right)] * 4
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda case: ask(*case), cases))
    assert answers == ["HV01", "refused", "HV02", "refused"] * 4


def test_basic_only_where_allowed_and_sealed_or_allowed_plain(up, machine, password):
    with pytest.raises(InvalidCredentialsError):
        session(up, password, "basic").run_cmd("vssadmin")
    machine.access.basic = True
    with pytest.raises(WinRMTransportError) as refused:
        session(up, password, "basic").run_cmd("vssadmin")
    assert (refused.value.code, refused.value.response_text) == (500, "")
    machine.access.allow_unencrypted = True
    assert session(up, password, "basic").run_cmd("vssadmin").status_code == 0


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_over_tls(up, machine, password, ca_file, transport):
    machine.access.basic = True
    client = session(up, password, transport, secure=True, ca_trust_path=ca_file)
    assert client.run_cmd("vssadmin").std_out == b"Writer name: 'System Writer'\r\n"


def test_an_authority_that_is_not_trusted(up, password):
    with pytest.raises(SSLError):
        session(up, password, secure=True).run_cmd("vssadmin")


def test_an_expired_server_certificate(machine, authority, password, ca_file):
    tls = {ADDRESS: authority.server_context(ADDRESS, expired=True)}
    with BackgroundServer({ADDRESS: machine}, tls) as up, pytest.raises(SSLError, match="expired"):
        session(up, password, secure=True, ca_trust_path=ca_file).run_cmd("vssadmin")


@pytest.fixture
def certificate_session(up, authority, tmp_path, ca_file):
    def make(issued=None, *, expired=False):
        issued = issued or authority.client("reader@corp.example", expired=expired)
        certificate, key = issued.write(tmp_path, "reader")
        client = winrm.Session(
            up.url(ADDRESS, secure=True),
            auth=(None, None),
            transport="certificate",
            cert_pem=str(certificate),
            cert_key_pem=str(key),
            ca_trust_path=ca_file,
        )
        return client, issued.thumbprint

    return make


def test_a_client_certificate(certificate_session, machine):
    client, thumbprint = certificate_session()
    with pytest.raises(InvalidCredentialsError):
        client.run_cmd("vssadmin")
    machine.access.certificates[thumbprint] = USER
    assert client.run_cmd("vssadmin").status_code == 0


def test_an_expired_client_certificate(certificate_session, machine):
    client, thumbprint = certificate_session(expired=True)
    machine.access.certificates[thumbprint] = USER
    with pytest.raises((SSLError, ConnectionError, OSError)):
        client.run_cmd("vssadmin")


def test_the_certificate_of_a_host_is_none_for_a_person(certificate_session, authority, machine):
    client, thumbprint = certificate_session(authority.server("hv02.corp.example"))
    machine.access.certificates[thumbprint] = USER
    with pytest.raises((SSLError, ConnectionError, OSError)):
        client.run_cmd("vssadmin")


@pytest.fixture
def wsman(up, password):
    client = WSMan(ADDRESS, port=up.server.port, ssl=False, auth="negotiate", username=USER, password=password)
    with client:
        yield client


def test_pywinrm_compares_references_with_object_paths(up, machine, password, make_envelope):
    """The way of public scripts: a path without host and namespace, in single quotes, in a literal of double ones."""
    for node in ("HV01", "HV02"):
        for name in ("it's", 'a "b" \\'):
            whole = Reference("root/MSCluster", "MSCluster_Resource", {"Name": name})
            part = Reference("root/MSCluster", "MSCluster_Node", {"Name": node})
            machine.put(*OWNERS, {"GroupComponent": whole, "PartComponent": part})
    machine.quotas.optimised_items = 0
    over = session(up, password).protocol

    def nodes(condition):
        query = escape(f"SELECT PartComponent FROM {OWNERS[1]} WHERE {condition}")
        inner = f'<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements><w:Filter Dialect="{wsman_constants.WQL_DIALECT}">{query}</w:Filter>'
        body = f"<n:Enumerate>{inner}</n:Enumerate>"
        answer = over.send_message(
            make_envelope(wsman_constants.ENUMERATE, wsman_constants.class_uri(OWNERS[0], "*"), body)
        )
        return [each.text for each in fromstring(answer).iterfind(".//{*}PartComponent//{*}Selector[@Name='Name']")]

    assert nodes(r"""GroupComponent = "MSCluster_Resource.Name='it\\'s'" """) == ["HV01", "HV02"]
    assert nodes(r"""GroupComponent = '\\\\.\\root\\mscluster:mscluster_resource.name="IT\'S"' """) == ["HV01", "HV02"]
    assert nodes(
        r"""GroupComponent = 'MSCluster_Resource="a \\"b\\" \\\\"' AND PartComponent = "MSCluster_Node='hv02'" """
    ) == ["HV02"]
    assert nodes("""GroupComponent = "MSCluster_Resource.Name='other'" """) == []
    with pytest.raises(WinrmFault) as refused:
        nodes("GroupComponent = 'no path at all'")
    assert refused.value.fault_subcode == "n:CannotProcessFilter"


def enumerate_body(inner):
    return fromstring(
        f'<n:Enumerate xmlns:n="{wsman_constants.ENUMERATION}" xmlns:w="{wsman_constants.WSMAN}">{inner}</n:Enumerate>'
    )


def test_pypsrp_enumerates_and_pulls(wsman):
    body = enumerate_body(
        "<w:OptimizeEnumeration/><w:MaxElements>50</w:MaxElements>"
        f'<w:Filter Dialect="{wsman_constants.WQL_DIALECT}">SELECT Name FROM Win32_BaseService</w:Filter>'
    )
    everything = wsman_constants.class_uri("root/cimv2", "*")
    found, answer = [], wsman.enumerate(everything, body)
    while True:
        found += [each.text for each in answer.iterfind(".//Name")]
        context = answer.findtext(f".//{{{wsman_constants.ENUMERATION}}}EnumerationContext")
        if not context:
            break
        pull = f'<n:Pull xmlns:n="{wsman_constants.ENUMERATION}"><n:EnumerationContext>{context}</n:EnumerationContext></n:Pull>'
        answer = wsman.pull(everything, fromstring(pull))
    assert found == ["vmms", "VSS", "ClusSvc", "WinRM", "LanmanServer"]


def test_pypsrp_gets_invokes_and_reads_faults(wsman, machine):
    chosen = SelectorSet()
    chosen.add_option("Name", "vmms")
    got = wsman.get(SERVICES, selector_set=chosen)
    assert got.findtext(f".//{{{SERVICES}}}ProcessId") == "100"
    answer = wsman.invoke(SERVICES + "/StopService", SERVICES, None, selector_set=chosen)
    assert answer.findtext(f".//{{{SERVICES}}}ReturnValue") == "0"
    assert machine.calls[0][3] == "StopService"
    with pytest.raises(WSManFaultError) as caught:
        wsman.get(SERVICES)
    assert caught.value.code == 2150859002


def test_pypsrp_reads_the_configuration(wsman, machine):
    assert wsman.get_server_config("config").findtext(".//{*}MaxEnvelopeSizekb") == "500"
    assert wsman.get_server_config("config/winrs").findtext(".//{*}MaxShellsPerUser") == "30"
    wsman.update_max_payload_size()


def test_pypsrp_runs_programs(wsman, machine):
    machine.programs["vssadmin"] = Output("Ü" * 3_000_000)
    with WinRS(wsman, codepage=65001) as shell:
        process = Process(shell, "vssadmin", ["list", "writers"])
        process.invoke()
        process.signal(SignalCode.TERMINATE)
    assert process.stdout.decode() == "Ü" * 3_000_000


def test_a_large_answer_is_sealed_whole(wsman, machine):
    machine.quotas.max_envelope_kb = 16_384
    machine.quotas.optimised_items = 0
    machine.put(
        "root/cimv2", "Win32_SystemDriver", *({"Name": str(each), "Description": "y" * 50_000} for each in range(100))
    )
    wsman.max_envelope_size = 16_000_000
    body = enumerate_body(
        "<w:OptimizeEnumeration/><w:MaxElements>500</w:MaxElements>"
        f'<w:Filter Dialect="{wsman_constants.WQL_DIALECT}">SELECT Description FROM Win32_SystemDriver</w:Filter>'
    )
    answer = wsman.enumerate(wsman_constants.class_uri("root/cimv2", "*"), body)
    assert sum(len(each.text) for each in answer.iterfind(".//Description")) == 5_000_000


def test_curl_with_basic_over_tls(curl, up, machine, password, ca_file):
    machine.access.basic = True
    common = ["--cacert", ca_file, "-H", "Content-Type: application/soap+xml;charset=UTF-8", "-d", IDENTIFY]
    answer = curl(*common, "--user", f"{USER}:{password}", up.url(ADDRESS, secure=True))
    assert "Microsoft Corporation" in answer
    assert "OS: 6.3.9600" in answer


def test_curl_with_ntlm(curl, up, machine):
    # curl widens a password byte by byte, so only ASCII gets through, on Windows too
    password = machine.access.accounts[USER] = "Pa:ss 1"
    machine.access.allow_unencrypted = True
    common = ["-H", "Content-Type: application/soap+xml;charset=UTF-8", "-d", IDENTIFY, "--ntlm"]
    assert "OS: 6.3.9600" in curl(*common, "--user", f"{USER}:{password}", up.url(ADDRESS))
    assert curl(*common, "--user", f"{USER}:wrong", "-w", "%{http_code}", up.url(ADDRESS)) == "401"
    machine.access.allow_unencrypted = False
    assert curl(*common, "--user", f"{USER}:{password}", "-w", "%{http_code}", up.url(ADDRESS)) == "500"


def test_what_an_unknown_sender_is_told(curl, up, machine):
    machine.access.basic = machine.access.kerberos = True
    answer = curl("-i", "-d", IDENTIFY, up.url(ADDRESS))
    assert answer.startswith("HTTP/1.1 401")
    offers = [line.partition(": ")[2] for line in answer.splitlines() if line.startswith("WWW-Authenticate")]
    assert offers == ["Negotiate", "Kerberos", 'Basic realm="WSMAN"']
    anonymous = curl("-d", IDENTIFY, up.url(ADDRESS).replace("/wsman", "/wsman-anon/identify"))
    assert "OS: 0.0.0" in anonymous
    assert curl("-w", "%{http_code}", "-d", "x", up.url(ADDRESS) + "/other") == "404"
    assert curl("-w", "%{http_code}", up.url(ADDRESS)) == "405"


@pytest.mark.parametrize(
    "header",
    [
        "Negotiate !!!",
        "Negotiate",
        "Negotiate TlRMTVNTUAA=",
        "NTLM TlRMTVNTUAADAAAA",
        "Basic xx",
        "Digest a",
        "Basic /w==",
    ],
)
def test_nonsense_for_a_login_is_refused(curl, up, machine, header):
    machine.access.basic = True
    assert curl("-w", "%{http_code}", "-H", f"Authorization: {header}", "-d", IDENTIFY, up.url(ADDRESS)) == "401"


def test_powershell_remoting_is_not_set_up(wsman):
    with pytest.raises(WSManFaultError) as caught, RunspacePool(wsman):
        pass
    assert caught.value.code == 2150858752
