"""The same changes over real WS-Management: pywinrm and pypsrp call methods and run programs, as two accounts."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
import winrm
import xmltodict
from pypsrp.exceptions import WSManFaultError
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import SelectorSet, WSMan
from winrm.exceptions import WSManFaultError as PywinrmFault

from lab.windows import BackgroundServer, wsman_constants

NODES, GROUPS = wsman_constants.class_uri("root/MSCluster", "MSCluster_Node"), wsman_constants.class_uri("root/MSCluster", "MSCluster_ResourceGroup")  # fmt: skip
SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")
NIL = f'xsi:nil="true" xmlns:xsi="{wsman_constants.SCHEMA_INSTANCE}"'
FILES = "{0CCE921D-69AE-11D9-BED3-505054503030}"
ACCESS_DENIED, LOCKED = 0x80070005, 0x80071748


@pytest.fixture
def world(begin):
    return begin("stuck-writer")


@pytest.fixture
def up(world):
    machines = [world.machine(name) for name in ("hv01", "hv03")]
    with BackgroundServer({machine.windows.address: machine for machine in machines}) as running:
        yield running


@pytest.fixture
def connect(world, up):
    """Open a connection of pypsrp as one of the two accounts."""
    opened = []

    def to(profile: str, name: str = "hv01") -> WSMan:
        account = world.accounts[profile]
        client = WSMan(
            world.machine(name).windows.address,
            port=up.server.port,
            ssl=False,
            auth="ntlm",
            username=account.user,
            password=account.password,
        )
        opened.append(client)
        return client.__enter__()

    yield to
    for client in opened:
        client.__exit__(None, None, None)


def call(client: WSMan, uri: str, name: str, method: str, inner: str = ""):
    chosen = SelectorSet()
    chosen.add_option("Name", name)
    body = fromstring(f'<m:{method}_INPUT xmlns:m="{uri}">{inner}</m:{method}_INPUT>')
    return client.invoke(f"{uri}/{method}", uri, body, selector_set=chosen)


def run(client: WSMan, program: str, *words: str) -> tuple[int, str, str]:
    with WinRS(client, codepage=65001) as shell:
        process = Process(shell, program, list(words))
        process.invoke()
        process.signal(SignalCode.TERMINATE)
    return process.rc, process.stdout.decode(), process.stderr.decode()


def node(client: WSMan, name: str) -> dict[str, str]:
    chosen = SelectorSet()
    chosen.add_option("Name", name)
    got = client.get(NODES, selector_set=chosen)
    return {column: got.findtext(f".//{{{NODES}}}{column}") for column in ("State", "NodeDrainStatus")}


def test_pypsrp_drains_a_node_and_resumes_it(world, clock, connect):
    client = connect("operator")
    answer = call(client, NODES, "hv02", "Pause", f"<m:DrainType>1</m:DrainType><m:TargetNode {NIL}/>")
    (output,) = [each for each in answer.iter() if each.tag.endswith("Pause_OUTPUT")]
    assert list(output) == [], "a void method gives back nothing"
    assert node(client, "hv02") == {"State": "2", "NodeDrainStatus": "1"}
    clock.forward(60)
    assert node(client, "hv02") == {"State": "2", "NodeDrainStatus": "2"}
    call(client, NODES, "hv02", "Resume", "<m:FailbackType>1</m:FailbackType>")
    assert node(client, "hv02") == {"State": "0", "NodeDrainStatus": "0"}


def test_locked_guests_are_a_fault_with_the_clusters_number(world, connect):
    client = connect("operator")
    with pytest.raises(WSManFaultError) as caught:
        call(client, GROUPS, "test-tfs-01", "MoveToNewNode", "<m:NodeName>hv01</m:NodeName><m:TimeOut>5</m:TimeOut>")
    assert caught.value.code == LOCKED
    assert "locked status" in str(caught.value)
    assert world.guest("test-tfs-01").node.name == "hv03"


def test_a_reader_is_denied_and_nothing_happens(world, connect):
    client = connect("reader")
    with pytest.raises(WSManFaultError) as caught:
        call(client, NODES, "hv02", "Pause", "<m:DrainType>1</m:DrainType>")
    assert caught.value.code == ACCESS_DENIED
    assert "Access is denied" in str(caught.value)
    stopped = call(client, SERVICES, "vmms", "StopService")
    assert stopped.findtext(f".//{{{SERVICES}}}ReturnValue") == "2"
    lost = call(client, NODES, "hv02", "WillOfflineLoseQuorum")
    assert lost.findtext(f".//{{{NODES}}}ReturnValue") == "false", "asking is allowed"
    assert node(client, "hv02") == {"State": "0", "NodeDrainStatus": "0"}
    assert world.node("hv01").service("vmms").state == "Running"
    code, out, _ = run(client, "auditpol", "/set", f"/subcategory:{FILES}", "/success:enable")
    assert (code, "0x00000522" in out) == (1314, True)
    code, _, err = run(client, "eventcreate", "/L", "APPLICATION", "/SO", "hvops", "/T", "INFORMATION", "/ID", "7", "/D", "x")  # fmt: skip
    assert (code, err) == (1, "ERROR: Access is denied.\r\n")


def test_an_operator_runs_programs_that_change_something(world, connect):
    client = connect("operator")
    code, out, _ = run(client, "auditpol", "/set", f"/subcategory:{FILES}", "/success:enable", "/failure:disable")
    assert (code, out) == (0, "The command was successfully executed.\r\n")
    code, out, _ = run(client, "auditpol", "/get", f"/subcategory:{FILES}", "/r")
    assert f"HV01,System,File System,{FILES},Success," in out
    words = "ticket 12 asked by operator approved by approver"
    code, out, _ = run(client, "eventcreate", "/L", "APPLICATION", "/SO", "hvops", "/T", "INFORMATION", "/ID", "101", "/D", f'"{words}"')  # fmt: skip
    assert (code, out.strip().startswith("SUCCESS: ")) == (0, True)
    assert world.node("hv01").events[-1].message == words


def pywinrm_to(world, up, profile: str, name: str) -> winrm.Session:
    account = world.accounts[profile]
    return winrm.Session(
        up.url(world.machine(name).windows.address),
        (account.user, account.password),
        transport="ntlm",
        message_encryption="always",
        proxy=None,
        ca_trust_path=None,
    )


def send(session: winrm.Session, uri: str, name: str, method: str, **params: str) -> bytes:
    header = session.protocol.build_wsman_header(f"{uri}/{method}", uri, None)
    header["env:Header"]["w:SelectorSet"] = {"w:Selector": [{"@Name": "Name", "#text": name}]}
    inner = {f"m:{key}": value for key, value in params.items()}
    header.setdefault("env:Body", {})[f"m:{method}_INPUT"] = {"@xmlns:m": uri, **inner}
    return session.protocol.send_message(xmltodict.unparse({"env:Envelope": header}))


def test_pywinrm_restarts_vmms(world, up, clock):
    session = pywinrm_to(world, up, "operator", "hv03")
    old = world.node("hv03").service("vmms").pid
    assert b"<p:ReturnValue>0</p:ReturnValue>" in send(session, SERVICES, "vmms", "StopService")
    clock.forward(3)
    assert b"<p:ReturnValue>0</p:ReturnValue>" in send(session, SERVICES, "vmms", "StartService")
    clock.forward(3)
    assert b"<p:ReturnValue>10</p:ReturnValue>" in send(session, SERVICES, "vmms", "StartService")
    session.protocol.transport.close_session()
    assert world.node("hv03").service("vmms").pid != old


def test_pywinrm_is_denied_as_a_reader(world, up):
    session = pywinrm_to(world, up, "reader", "hv01")
    with pytest.raises(PywinrmFault) as caught:
        send(session, NODES, "hv02", "Pause", DrainType="1")
    session.protocol.transport.close_session()
    assert caught.value.wsman_fault_code == ACCESS_DENIED
    assert world.node("hv02").state == 0
