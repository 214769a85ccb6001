"""Instances look as captured ones do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.windows import schema, wsman_constants
from lab.windows.cim_xml import fragment_xml, instance_xml, scalar_text
from lab.windows.machine_protocol import Embedded, Reference, WmiFailure

SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")
HYPERV = "root/virtualization/v2"
NIL = f"{{{wsman_constants.SCHEMA_INSTANCE}}}nil"


def render(cls, instance, namespace="root/cimv2"):
    definition = schema.find(namespace, cls)
    root = fromstring(instance_xml(definition, instance))
    uri = wsman_constants.class_uri(definition.namespace, definition.name)
    return root, {"p": uri, "cim": wsman_constants.CIM}


def test_a_whole_instance():
    root, ns = render("msvm_computersystem", {"ElementName": "vm", "OperationalStatus": [2, 32776]}, HYPERV)
    assert root.tag == f"{{{ns['p']}}}Msvm_ComputerSystem"
    assert root.get(f"{{{wsman_constants.SCHEMA_INSTANCE}}}type") == "p:Msvm_ComputerSystem_Type"
    tags = [child.tag.rpartition("}")[2] for child in root]
    assert tags == sorted(tags, key=str.lower)
    assert tags.count("OperationalStatus") == 2
    assert root.find("p:EnabledState", ns).get(NIL) == "true"
    # a NULL array is left out
    assert root.find("p:StatusDescriptions", ns) is None


def test_times_and_intervals():
    never = datetime(1601, 1, 1, tzinfo=UTC)
    west = datetime(2026, 7, 29, 14, 11, 0, 26_030, timezone(timedelta(hours=-7)))
    root, ns = render(
        "Msvm_ConcreteJob",
        {"InstallDate": never, "StartTime": west, "ElapsedTime": timedelta(seconds=1, microseconds=4_170)},
        HYPERV,
    )
    assert root.find("p:InstallDate/cim:Datetime", ns).text == "1601-01-01T00:00:00Z"
    assert root.find("p:StartTime/cim:Datetime", ns).text == "2026-07-29T14:11:00.02603-07:00"
    assert root.find("p:ElapsedTime/cim:Interval", ns).text == "P0DT0H0M1.00417S"


def test_scalars():
    root, ns = render(
        "Win32_Service", {"Started": False, "ProcessId": 4294967295, "Description": "", "Name": 'a<b>&"c"\x00'}
    )
    assert root.find("p:Started", ns).text == "false"
    assert root.find("p:ProcessId", ns).text == "4294967295"
    empty = root.find("p:Description", ns)
    assert (empty.text, empty.get(NIL)) == (None, None)
    assert root.find("p:Name", ns).text == 'a<b>&"c"\ufffd'


def test_references_stand_bare():
    reference = Reference(HYPERV, "msvm_virtualsystemsettingdata", {"InstanceID": "Microsoft:1"})
    root, ns = render("Msvm_AffectedJobElement", {"AffectedElement": reference}, HYPERV)
    element = root.find("p:AffectedElement", ns)
    assert [child.tag for child in element] == [
        f"{{{wsman_constants.ADDRESSING}}}Address",
        f"{{{wsman_constants.ADDRESSING}}}ReferenceParameters",
    ]
    assert element.findtext(f".//{{{wsman_constants.WSMAN}}}ResourceURI") == wsman_constants.class_uri(
        HYPERV, "Msvm_VirtualSystemSettingData"
    )


def test_embedded_objects_have_their_own_namespace():
    inner = Embedded("root/mscluster", "MSCluster_Property", {"VmID": "abc"})
    root, ns = render("MSCluster_Resource", {"PrivateProperties": inner}, "root/mscluster")
    element = root.find("p:PrivateProperties", ns)
    uri = wsman_constants.class_uri("root/MSCluster", "MSCluster_Property")
    assert element.get(f"{{{wsman_constants.SCHEMA_INSTANCE}}}type") == "q:MSCluster_Property_Type"
    assert element.findtext(f"{{{uri}}}VmID") == "abc"


def test_properties_beyond_the_pages_are_shown():
    root, _ns = render("Win32_Service", {"DelayedAutoStart": True, "Brand_New": 7})
    tags = [child.tag.rpartition("}")[2] for child in root]
    assert "Brand_New" in tags
    assert tags == sorted(tags, key=str.lower)


def test_a_column_list_has_no_namespaces():
    definition = schema.find("root/cimv2", "Win32_OperatingSystem")
    moment = datetime(2026, 8, 1, 12, tzinfo=UTC)
    root = fromstring(
        fragment_xml(definition, {"LastBootUpTime": moment, "Caption": "x"}, ["LASTBOOTUPTIME", "caption", "csname"])
    )
    assert root.tag == f"{{{wsman_constants.WSMAN}}}XmlFragment"
    assert [child.tag for child in root] == ["Caption", "CSName", "LastBootUpTime"]
    assert root.find("CSName").get(NIL) == "true"
    assert root.find("LastBootUpTime/Datetime").text == "2026-08-01T12:00:00Z"


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_makes_well_formed_xml(text):
    root, ns = render("Win32_Service", {"Name": text, "Description": "after"})
    assert root.find("p:Description", ns).text == "after"


@given(st.datetimes(timezones=st.just(UTC)))
@settings(max_examples=100)
def test_times_can_be_read_back(moment):
    assert datetime.fromisoformat(scalar_text(moment)) == moment


async def test_get_by_key_in_any_case(soap):
    answer = await soap.ask(
        wsman_constants.GET, wsman_constants.class_uri("ROOT/CIMV2", "win32_SERVICE"), selectors={"name": "VMMS"}
    )
    assert answer.status == 200
    assert answer.said(".//a:Action") == wsman_constants.GET + "Response"
    assert answer.said(f".//{{{SERVICES}}}ProcessId") == "100"


async def test_get_a_singleton(soap):
    answer = await soap.ask(wsman_constants.GET, wsman_constants.class_uri("root/cimv2", "Win32_OperatingSystem"))
    assert answer.said(".//{*}Version") == "6.3.9600"


async def test_get_a_singleton_by_its_key(soap):
    uri = wsman_constants.class_uri("root/cimv2", "Win32_OperatingSystem")
    assert (await soap.ask(wsman_constants.GET, uri, selectors={"Name": "windows"})).status == 200
    assert (await soap.ask(wsman_constants.GET, uri, selectors={"Name": "linux"})).subcode == "a:DestinationUnreachable"


async def test_get_through_a_dmtf_uri(soap):
    answer = await soap.ask(
        wsman_constants.GET,
        wsman_constants.DMTF_CLASSES + "CIM_Service",
        selectors={"__cimnamespace": "root/cimv2", "Name": "vss"},
    )
    assert answer.said(f".//{{{SERVICES}}}Name") == "VSS"


async def test_invoke_hands_over_parameters_and_keeps_the_order_of_results(soap, machine):
    machine.outcome = {
        "ResultingSystem": Reference(HYPERV, "Msvm_ComputerSystem", {"Name": "1"}),
        "Job": None,
        "Alpha": [1, 2],
        "ReturnValue": 4096,
    }
    body = (
        f'<m:Change_INPUT xmlns:m="{SERVICES}"><m:One>x</m:One><m:Many>1</m:Many><m:Many>2</m:Many>'
        '<m:None xsi:nil="true"/><m:When><cim:Datetime>2026-08-01T00:00:00Z</cim:Datetime></m:When>'
        f"<m:Object><a:Address>{wsman_constants.ANONYMOUS}</a:Address><a:ReferenceParameters><w:ResourceURI>{SERVICES}"
        '</w:ResourceURI><w:SelectorSet><w:Selector Name="Name">VSS</w:Selector></w:SelectorSet>'
        "</a:ReferenceParameters></m:Object></m:Change_INPUT>"
    )
    answer = await soap.ask(SERVICES + "/Change", SERVICES, body, selectors={"Name": "vmms"})
    assert answer.said(".//a:Action") == SERVICES + "/ChangeResponse"
    output = answer.find(".//s:Body")[0]
    assert output.tag == f"{{{SERVICES}}}Change_OUTPUT"
    assert [child.tag.rpartition("}")[2] for child in output] == [
        "ResultingSystem",
        "Job",
        "Alpha",
        "Alpha",
        "ReturnValue",
    ]
    assert output.find(f"{{{SERVICES}}}Job").get(NIL) == "true"
    ((namespace, cls, keys, method, params),) = machine.calls
    assert (namespace, cls, dict(keys), method) == ("root/cimv2", "Win32_Service", {"Name": "vmms"}, "Change")
    assert params == {
        "One": "x",
        "Many": ["1", "2"],
        "None": None,
        "When": "2026-08-01T00:00:00Z",
        "Object": Reference("root/cimv2", "Win32_Service", {"Name": "VSS"}),
    }


async def test_invoke_a_static_method(soap, machine):
    uri = wsman_constants.class_uri("root/cimv2", "Win32_Process")
    await soap.ask(
        uri + "/create", uri, f'<m:Create_INPUT xmlns:m="{uri}"><m:CommandLine>x</m:CommandLine></m:Create_INPUT>'
    )
    assert machine.calls == [("root/cimv2", "Win32_Process", {}, "Create", {"CommandLine": "x"})]


async def test_void_methods_have_an_empty_output(soap, machine):
    machine.outcome = {}
    machine.put("root/mscluster", "MSCluster_Node", {"Name": "HV01"})
    uri = wsman_constants.class_uri("root/MSCluster", "MSCluster_Node")
    answer = await soap.ask(uri + "/Pause", uri, f'<m:Pause_INPUT xmlns:m="{uri}"/>', selectors={"Name": "hv01"})
    output = answer.find(".//s:Body")[0]
    assert (output.tag, list(output)) == (f"{{{uri}}}Pause_OUTPUT", [])


async def test_a_method_of_an_instance_that_is_gone(soap, machine):
    machine.outcome = WmiFailure(0x80041002, "")
    answer = await soap.ask(SERVICES + "/StopService", SERVICES, selectors={"Name": "nobody"})
    assert answer.subcode == "a:DestinationUnreachable"
    assert machine.calls == []


@pytest.mark.parametrize(
    "namespace",
    ["root/cimv2", "root/virtualization/v2", "root/mscluster", "root/default", "root/microsoft/windows/storage"],
)
def test_the_whole_schema_can_be_read(namespace):
    for name in schema._names(namespace).values():
        definition = schema.find(namespace, name.upper())
        assert definition.name == name
        assert all(key.lower() in definition.properties for key in definition.keys), name
        assert "unit16" not in {each.kind for each in definition.properties.values()}


def test_inheritance():
    volume = schema.find("root/cimv2", "win32_volume")
    assert volume.ancestors[:2] == ("CIM_StorageVolume", "CIM_StorageExtent")
    assert volume.is_a("CIM_LOGICALELEMENT")
    derived = {each.name for each in schema.derived(HYPERV, "CIM_ConcreteJob")}
    assert {"CIM_ConcreteJob", "Msvm_ConcreteJob", "Msvm_StorageJob", "Msvm_MigrationJob"} <= derived
    assert schema.find("root/virtualization", "Msvm_ComputerSystem").namespace == "root/virtualization"


async def test_an_older_windows_lacks_properties(soap, machine):
    machine.quotas.optimised_items = 0
    assert (await soap.wql("SELECT DelayedAutoStart FROM Win32_Service")).status == 200
    machine.absent = lambda cls: frozenset({"DelayedAutoStart"} if cls == "Win32_Service" else ())
    assert (await soap.wql("SELECT DelayedAutoStart FROM Win32_Service")).code == 2150858778
    whole = await soap.wql("SELECT * FROM Win32_BaseService")
    assert whole.find(f".//{{{SERVICES}}}Win32_Service") is not None
    assert whole.find(f".//{{{SERVICES}}}DelayedAutoStart") is None
