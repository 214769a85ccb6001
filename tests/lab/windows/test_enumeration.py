"""Pages, contexts, modes and filters, as captures of Windows hosts show them."""

from __future__ import annotations

import pytest

from lab.windows import wsman_constants
from lab.windows.machine_protocol import Reference

SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")
HYPERV = "root/virtualization/v2"


async def test_an_optimised_answer_holds_one_item_and_pulls_bring_the_rest(soap):
    first = await soap.wql("SELECT Name FROM Win32_Service")
    assert len(first.all(".//w:Items/*")) == 1
    assert first.context.startswith("uuid:")
    assert first.find(".//w:EndOfSequence") is None
    rest = await soap.pull(first.context, count=100)
    assert [each.findtext("Name") for each in rest.all(".//n:Items/*")] == ["VSS", "ClusSvc", "WinRM", "LanmanServer"]
    assert rest.find(".//n:EndOfSequence") is not None
    assert rest.find(".//n:EnumerationContext") is None


async def test_the_switch_for_newer_hosts_fills_the_first_answer(soap, machine):
    machine.quotas.optimised_items = 0
    answer = await soap.wql("SELECT * FROM Win32_Service")
    assert len(answer.all(".//w:Items/*")) == 5
    assert answer.context == ""
    assert answer.find(".//w:EndOfSequence") is not None


async def test_without_optimisation_there_is_only_a_context(soap):
    answer = await soap.enumerate(SERVICES, "")
    assert [child.tag for child in answer.find(".//n:EnumerateResponse")] == [
        f"{{{wsman_constants.ENUMERATION}}}EnumerationContext"
    ]


async def test_a_pull_without_max_elements_brings_one_item(soap):
    first = await soap.enumerate(SERVICES, "")
    page = await soap.pull(first.context)
    assert len(page.all(".//n:Items/*")) == 1
    assert page.context not in ("", None, first.context)


async def test_no_rows_end_at_once(soap):
    answer = await soap.wql("SELECT * FROM Win32_Service WHERE Name = 'nobody'")
    assert answer.find(".//w:Items") is not None
    assert answer.all(".//w:Items/*") == []
    assert answer.find(".//w:EndOfSequence") is not None


async def test_a_used_context_is_stale(soap):
    first = await soap.enumerate(SERVICES, "")
    await soap.pull(first.context)
    again = await soap.pull(first.context)
    assert (again.status, again.code, again.subcode) == (500, 2150858779, "n:InvalidEnumerationContext")


async def test_contexts_time_out(soap):
    first = await soap.enumerate(SERVICES, "")
    soap.now += 241
    assert (await soap.pull(first.context)).code == 2150858779


async def test_contexts_belong_to_their_user(soap, machine):
    first = await soap.enumerate(SERVICES, "")
    soap.user = "CORP\\other"
    assert (await soap.pull(first.context)).code == 2150858779


async def test_released_contexts_are_gone(soap):
    first = await soap.enumerate(SERVICES, "")
    body = f"<n:Release><n:EnumerationContext>{first.context}</n:EnumerationContext></n:Release>"
    released = await soap.ask(wsman_constants.RELEASE, SERVICES, body)
    assert released.status == 200
    assert released.said(".//a:Action") == wsman_constants.RELEASE + "Response"
    assert len(soap.service.enumerations) == 0
    assert (await soap.pull(first.context)).code == 2150858779


@pytest.mark.parametrize(("asked", "allowed_kb", "characters"), [(153_600, 500, 76_800), (512_000, 150, 76_800)])
async def test_pages_end_at_half_the_bytes_in_characters(soap, machine, asked, allowed_kb, characters):
    machine.quotas.max_envelope_kb = allowed_kb
    rows = [{"Name": f"event{number}", "Description": "x" * 2_000} for number in range(200)]
    machine.put("root/cimv2", "Win32_SystemDriver", *rows)
    answer = await soap.wql("SELECT Name, Description FROM Win32_SystemDriver", size=asked)
    seen = 1
    while answer.context:
        answer = await soap.pull(answer.context, count=1_000, size=asked)
        seen += len(answer.all(".//n:Items/*"))
        assert len(answer.text) <= characters
        assert answer.context is None or len(answer.text) > characters * 0.9
    assert seen == 200


async def test_an_item_larger_than_the_envelope_is_a_fault(soap, machine):
    machine.put("root/cimv2", "Win32_SystemDriver", {"Name": "big", "Description": "x" * 100_000})
    answer = await soap.wql("SELECT * FROM Win32_SystemDriver", size=153_600)
    assert (answer.code, answer.subcode) == (2150858824, "w:EncodingLimit")


async def test_base_classes_bring_derived_instances_by_their_own_names(soap, machine):
    machine.quotas.optimised_items = 0
    machine.put("root/cimv2", "Win32_SystemDriver", {"Name": "disk"})
    answer = await soap.enumerate(wsman_constants.class_uri("root/cimv2", "win32_baseservice"))
    tags = {each.tag for each in answer.all(".//w:Items/*")}
    assert tags == {
        f"{{{wsman_constants.class_uri('root/cimv2', cls)}}}{cls}" for cls in ("Win32_Service", "Win32_SystemDriver")
    }


async def test_modes(soap, machine):
    machine.quotas.optimised_items = 0
    inner = "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements><w:EnumerationMode>{}</w:EnumerationMode>"
    both = await soap.enumerate(SERVICES, inner.format("EnumerateObjectAndEPR"))
    item = both.find(".//w:Items/w:Item")
    assert item[0].tag == f"{{{SERVICES}}}Win32_Service"
    assert item.find("a:EndpointReference//w:ResourceURI", wsman_constants.PREFIXES).text == SERVICES
    only = await soap.enumerate(SERVICES, inner.format("EnumerateEPR"))
    assert only.said(".//w:Items/a:EndpointReference//w:Selector[@Name='Name']") == "vmms"
    single = await soap.enumerate(
        wsman_constants.class_uri("root/cimv2", "Win32_OperatingSystem"), inner.format("EnumerateEPR")
    )
    assert single.find(".//a:EndpointReference") is not None
    assert single.find(".//w:Selector") is None
    wrong = await soap.enumerate(SERVICES, inner.format("EnumerateEverything"))
    assert (wrong.code, wrong.subcode) == (2150858886, "w:UnsupportedFeature")


async def test_a_selector_filter(soap, machine):
    machine.quotas.optimised_items = 0
    inner = (
        "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>"
        f'<w:Filter Dialect="{wsman_constants.SELECTOR_DIALECT}"><w:SelectorSet>'
        '<w:Selector Name="{}">vss</w:Selector></w:SelectorSet></w:Filter>'
    )
    answer = await soap.enumerate(SERVICES, inner.format("name"))
    assert [each.text for each in answer.all(f".//{{{SERVICES}}}Name")] == ["VSS"]
    assert (await soap.enumerate(SERVICES, inner.format("nothing"))).code == 2150858778


def system(name):
    return {"CreationClassName": "Msvm_ComputerSystem", "Name": name, "ElementName": name.upper()}


@pytest.fixture
def related(machine):
    """Two systems, each with one settings object."""
    machine.quotas.optimised_items = 0
    for name in ("vm1", "vm2"):
        keys = {"CreationClassName": "Msvm_ComputerSystem", "Name": name}
        machine.put(HYPERV, "Msvm_ComputerSystem", system(name))
        machine.put(HYPERV, "Msvm_VirtualSystemSettingData", {"InstanceID": f"Microsoft:{name}"})
        machine.put(
            HYPERV,
            "Msvm_SettingsDefineState",
            {
                "ManagedElement": Reference(HYPERV, "Msvm_ComputerSystem", keys),
                "SettingData": Reference(HYPERV, "Msvm_VirtualSystemSettingData", {"InstanceID": f"Microsoft:{name}"}),
            },
        )


def association(inner):
    return (
        "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>"
        f'<w:Filter Dialect="{wsman_constants.ASSOCIATION_DIALECT}">{inner}</w:Filter>'
    )


OBJECT = (
    f"<b:Object><a:Address>{wsman_constants.ANONYMOUS}</a:Address><a:ReferenceParameters>"
    f"<w:ResourceURI>{wsman_constants.class_uri(HYPERV, 'Msvm_ComputerSystem')}</w:ResourceURI><w:SelectorSet>"
    '<w:Selector Name="CreationClassName">Msvm_ComputerSystem</w:Selector><w:Selector Name="Name">VM2</w:Selector>'
    "</w:SelectorSet></a:ReferenceParameters></b:Object>"
)


async def test_an_association_filter_follows_associations(soap, related):
    everything = wsman_constants.class_uri(HYPERV, "*")
    result = "<b:ResultClassName>CIM_SettingData</b:ResultClassName>"
    inner = association(f"<b:AssociatedInstances>{OBJECT}{result}</b:AssociatedInstances>")
    answer = await soap.enumerate(everything, inner)
    uri = wsman_constants.class_uri(HYPERV, "Msvm_VirtualSystemSettingData")
    assert [each.text for each in answer.all(f".//w:Items//{{{uri}}}InstanceID")] == ["Microsoft:vm2"]


async def test_an_association_filter_brings_the_associations_themselves(soap, related):
    inner = association(f"<b:AssociationInstances>{OBJECT}</b:AssociationInstances>")
    answer = await soap.enumerate(wsman_constants.class_uri(HYPERV, "*"), inner)
    uri = wsman_constants.class_uri(HYPERV, "Msvm_SettingsDefineState")
    (tie,) = answer.all(".//w:Items/*")
    assert tie.tag == f"{{{uri}}}Msvm_SettingsDefineState"
    # A reference has no EndpointReference around it.
    assert [child.tag.rpartition("}")[2] for child in tie.find(f"{{{uri}}}SettingData")] == [
        "Address",
        "ReferenceParameters",
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ASSOCIATORS OF {{{0}}} WHERE AssocClass = Msvm_SettingsDefineState", ["Msvm_VirtualSystemSettingData"]),
        ("associators of {{{0}}} where ResultClass = CIM_System", []),
        ("ASSOCIATORS OF {{{0}}} WHERE Role = SettingData", []),
        (
            "ASSOCIATORS OF {{{0}}} WHERE Role = ManagedElement ResultRole=SettingData",
            ["Msvm_VirtualSystemSettingData"],
        ),
        ("REFERENCES OF {{{0}}}", ["Msvm_SettingsDefineState"]),
        ("REFERENCES OF {{{0}}} WHERE KeysOnly ResultClass=Msvm_SettingsDefineState", ["Msvm_SettingsDefineState"]),
    ],
)
async def test_associators_and_references_in_wql(soap, related, query, found):
    path = 'Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="vm1"'
    answer = await soap.wql(query.format(path), HYPERV)
    assert [each.tag.rpartition("}")[2] for each in answer.all(".//w:Items/*")] == found


async def test_namespaces_are_instances(soap, machine):
    machine.quotas.optimised_items = 0
    answer = await soap.wql("SELECT Name FROM __NAMESPACE", "root")
    assert [each.text for each in answer.all(".//w:XmlFragment/Name")] == [
        "cimv2",
        "default",
        "MSCluster",
        "virtualization",
    ]
    assert (await soap.wql("SELECT * FROM Win32_Service", "root")).code == 2150858778
