"""Each fault has the structure, code and subcode that captures and MS-WSMV give it."""

from __future__ import annotations

import pytest

from lab.windows import wsman_constants
from lab.windows.machine_protocol import Reference, WmiFailure

SERVICES = wsman_constants.class_uri("root/cimv2", "Win32_Service")


def shape(element):
    """Names only: an element's local name and its children's."""
    tag = element.tag.rpartition("}")[2]
    children = [shape(child) for child in element]
    return (tag, children) if children else tag


def detail(answer):
    return [shape(child) for child in answer.find(".//s:Detail")]


PLAIN = [("WSManFault", ["Message"])]
PLAIN_WITH_URI = ["FaultDetail", *PLAIN]
STATUS = ("__ExtendedStatus", ["Description", "Operation", "ParameterInfo", "ProviderName", "StatusCode"])
BY_PROVIDER = [
    ("WSManFault", [("Message", [("ProviderFault", [("WSManFault", ["Message"]), ("ExtendedError", [STATUS])])])])
]


async def test_a_missing_class_in_wql_is_a_filter_that_cannot_be_processed(soap):
    query = 'Select * from Win32_Processa where name="sshd.exe"'
    answer = await soap.wql(query)
    assert (answer.status, answer.code, answer.subcode) == (500, 2150858778, "n:CannotProcessFilter")
    assert answer.said(".//s:Code/s:Value") == "s:Sender"
    assert answer.said(".//a:Action") == wsman_constants.ENUMERATION_FAULT
    assert detail(answer) == BY_PROVIDER
    outer, inner = answer.all(".//f:WSManFault")
    assert (outer.get("Machine"), inner.get("Machine")) == ("10.0.0.9", "hv01.corp.example")
    status = wsman_constants.class_uri("root/cimv2", "__ExtendedStatus")
    assert answer.said(f".//{{{status}}}ParameterInfo") == query
    assert answer.said(f".//{{{status}}}Operation") == "ExecQuery"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT",
        "SELECT * FROM",
        "SELECT * FROM Win32_Service WHERE",
        "SELECT * FROM Win32_Service WHERE Name = NULL",
        "SELECT * FROM Win32_Service WHERE Name = 'a' ORDER BY Name",
        "SELECT * FROM Win32_Service WHERE Name = DisplayName",
        "SELECT * FROM Win32_Service WHERE Name = 'C:\\temp'",
        "SELECT * FROM Win32_Service WHERE Name LIKE '[z-a]'",
        "SELECT * FROM Win32_Service WHERE Started > TRUE",
        "SELECT * FROM Win32_Service WHERE ProcessId = 'many'",
        "SELECT NoSuch FROM Win32_Service",
        "SELECT * FROM Win32_Service WHERE NoSuch = 1",
        "SELECT * FROM Win32_BIOS WHERE BIOSVersion = 'x'",
        "SELECT * FROM meta_class",
        "ASSOCIATORS OF {nothing at all",
        "ASSOCIATORS OF {Win32_Service.Name='vmms'} WHERE ClassDefsOnly",
        "REFERENCES OF {Win32_Service.Name='nobody'}",
        "DELETE FROM Win32_Service",
        "",
    ],
)
async def test_wql_that_is_none_is_a_filter_that_cannot_be_processed(soap, query):
    answer = await soap.wql(query)
    assert (answer.status, answer.code, answer.subcode) == (500, 2150858778, "n:CannotProcessFilter")
    assert answer.all(".//f:Message")[-1].text == "The query is not valid. "


async def test_too_many_terms(soap):
    query = "SELECT * FROM Win32_Service WHERE " + " OR ".join(["Name = 'a'"] * 502)
    answer = await soap.wql(query)
    assert answer.code == 2150858778
    assert "quota" in answer.all(".//f:Message")[-1].text
    nested = "SELECT * FROM Win32_Service WHERE " + "(" * 500 + "Name = 'a'" + ")" * 500
    assert (await soap.wql(nested)).code == 2150858778


async def test_a_missing_class_in_the_uri_is_unreachable(soap):
    answer = await soap.enumerate(wsman_constants.class_uri("root/cimv2", "Win32_Nothing"))
    assert (answer.code, answer.subcode) == (2150858752, "a:DestinationUnreachable")
    assert answer.said(".//a:Action") == wsman_constants.ADDRESSING_FAULT
    assert answer.said(".//w:FaultDetail") == wsman_constants.FAULT_DETAIL + "InvalidResourceURI"


@pytest.mark.parametrize("namespace", ["root/nothing", "root/microsoft/windows/storage"])
async def test_a_missing_namespace_is_unreachable(soap, namespace):
    answer = await soap.wql("SELECT * FROM MSFT_Disk", namespace)
    assert (answer.code, answer.subcode) == (2150858752, "a:DestinationUnreachable")


async def test_a_missing_instance(soap):
    answer = await soap.ask(wsman_constants.GET, SERVICES, selectors={"Name": "nobody"})
    assert (answer.code, answer.subcode) == (2150858752, "a:DestinationUnreachable")
    assert detail(answer) == ["FaultDetail", *BY_PROVIDER]


async def test_wql_with_a_class_uri(soap):
    answer = await soap.wql("SELECT * FROM Win32_Service", cls="Win32_Service")
    assert answer.code == 2150859003


async def test_a_get_without_keys(soap):
    answer = await soap.ask(wsman_constants.GET, SERVICES)
    assert (answer.code, answer.subcode) == (2150859002, "w:InvalidSelectors")


async def test_selectors_that_are_no_keys(soap):
    answer = await soap.ask(wsman_constants.GET, SERVICES, selectors={"State": "Running"})
    assert (answer.code, answer.subcode) == (2150858843, "w:InvalidSelectors")
    assert answer.said(".//w:FaultDetail") == wsman_constants.FAULT_DETAIL + "UnexpectedSelectors"


async def test_part_of_the_keys_finds_nothing(soap, machine):
    machine.put("root/virtualization/v2", "Msvm_ComputerSystem", {"Name": "vm1", "CreationClassName": "x"})
    uri = wsman_constants.class_uri("root/virtualization/v2", "Msvm_ComputerSystem")
    answer = await soap.ask(wsman_constants.GET, uri, selectors={"Name": "vm1"})
    assert answer.subcode == "a:DestinationUnreachable"


async def test_an_unknown_action(soap):
    answer = await soap.ask("http://example.org/Dance", SERVICES)
    assert (answer.code, answer.subcode) == (2150858753, "a:ActionNotSupported")


async def test_an_unknown_method(soap):
    answer = await soap.ask(SERVICES + "/Dance", SERVICES, selectors={"Name": "vmms"})
    assert answer.code == 2150858753


async def test_unknown_resources(soap):
    for uri in ("http://example.org/thing", wsman_constants.POWERSHELL + "Microsoft.PowerShell"):
        assert (await soap.ask(wsman_constants.GET, uri)).subcode == "a:DestinationUnreachable"
    assert (await soap.ask(wsman_constants.GET, "")).code == 2150858811


async def test_headers_that_must_be_understood(soap):
    strange = await soap.ask(wsman_constants.GET, SERVICES, extra='<x:Magic s:mustUnderstand="true"/>')
    assert strange.said(".//s:Code/s:Value") == "s:MustUnderstand"
    assert strange.find(".//s:Subcode") is None
    optional = await soap.ask(
        wsman_constants.GET, SERVICES, extra='<x:Magic s:mustUnderstand="false"/>', selectors={"Name": "vmms"}
    )
    assert optional.status == 200
    locale = await soap.ask(wsman_constants.GET, SERVICES, extra='<w:Locale xml:lang="de-DE" s:mustUnderstand="true"/>')
    assert (locale.code, locale.subcode) == (2150858887, "w:UnsupportedFeature")


@pytest.mark.parametrize("wait", ["PT-1S", "soon", "P", "PT"])
async def test_a_timeout_that_is_none(soap, wait):
    answer = await soap.ask(wsman_constants.GET, SERVICES, wait=wait)
    assert (answer.code, answer.subcode) == (2150858767, "a:InvalidMessageInformationHeader")
    assert answer.said(".//f:Message").endswith(f"{wait} ")
    assert detail(answer) == PLAIN


async def test_an_envelope_too_small(soap):
    answer = await soap.ask(wsman_constants.GET, SERVICES, size=8_000)
    assert (answer.code, answer.subcode) == (2150858878, "w:EncodingLimit")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 2150858819),
        (b"not XML", 2150858819),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 2150858819),
        (b"<a/>", 2150858765),
        (f"<s:Envelope xmlns:s='{wsman_constants.SOAP}'><s:Header/></s:Envelope>".encode(), 2150858791),
        (f"<s:Envelope xmlns:s='{wsman_constants.SOAP}'><s:Header/><s:Body/></s:Envelope>".encode(), 2150858767),
        (f"<s:Envelope xmlns:s='{wsman_constants.SOAP}'><s:Body/></s:Envelope>".encode(), 2150858767),
    ],
)
async def test_what_is_no_request(soap, data, code):
    answer = await soap.raw(data)
    assert (answer.status, answer.code) == (500, code)


async def test_a_request_in_utf_16(soap, make_envelope):
    text = make_envelope(wsman_constants.GET, SERVICES, selectors={"Name": "vmms"})
    assert (await soap.raw(text.encode("utf-16"))).status == 200


@pytest.mark.parametrize("body", ["", "<n:Pull/>", "<n:Nonsense/>"])
async def test_the_wrong_body(soap, body):
    assert (await soap.ask(wsman_constants.ENUMERATE, SERVICES, body)).code == 2150858791


async def test_provider_failures(soap, machine):
    for hresult, code, subcode in [
        (0x80041008, 2150859038, "w:InvalidParameter"),
        (0x80041003, 2150859013, "w:AccessDenied"),
        (0x80041024, 2150859010, "w:InternalError"),
        (0x80041001, 0x80041001, "w:InternalError"),
    ]:
        machine.outcome = WmiFailure(hresult, "the provider says no")
        answer = await soap.ask(SERVICES + "/StopService", SERVICES, selectors={"Name": "vmms"})
        assert (answer.code, answer.subcode) == (code, subcode)
        assert answer.all(".//f:Message")[-1].text == "the provider says no"


async def test_readers_only(soap, machine):
    machine.access.readers = {"CORP\\other"}
    answer = await soap.wql("SELECT * FROM Win32_Service")
    assert (answer.code, answer.subcode) == (2150859013, "w:AccessDenied")
    machine.access.readers = {"corp\\READER"}
    assert (await soap.wql("SELECT * FROM Win32_Service")).status == 200


async def test_troubles_that_are_faults(soap, machine):
    machine.trouble.deny = True
    denied = await soap.wql("SELECT * FROM Win32_Service")
    assert (denied.code, denied.subcode) == (5, "w:AccessDenied")
    machine.trouble.deny = False
    machine.trouble.fault, machine.trouble.fault_times = 2150858815, 2
    answers = [await soap.ask(wsman_constants.GET, SERVICES, selectors={"Name": "vmms"}) for _each in range(3)]
    assert [each.status for each in answers] == [500, 500, 200]
    assert (answers[0].code, answers[0].subcode) == (2150858815, "w:QuotaLimit")
    machine.trouble.fault = 2150859173
    codes = [await soap.ask(wsman_constants.GET, SERVICES) for _each in range(3)]
    assert [each.said(".//{*}error_Code") for each in codes] == ["2150859173"] * 3


async def test_too_many_operations_at_once(soap, machine):
    machine.quotas.max_concurrent_operations_per_user = 0
    answer = await soap.wql("SELECT * FROM Win32_Service")
    assert (answer.code, answer.subcode) == (2150859174, "w:InternalError")
    assert answer.said(".//s:Code/s:Value") == "s:Receiver"


@pytest.mark.parametrize(
    ("language", "text"),
    [("de-DE", "Die Datenquelle"), ("fr-CA", "La source de données"), ("ja-JP", "The filter could not")],
)
async def test_faults_speak_the_machines_language(soap, machine, language, text):
    machine.language = language
    answer = await soap.wql("SELECT * FROM Win32_Nothing")
    assert answer.said(".//s:Reason/s:Text").startswith(text)
    assert f'xml:lang="{language}"' in answer.text


async def test_faults_name_the_request(soap, make_envelope):
    text = make_envelope(wsman_constants.GET, SERVICES)
    answer = await soap.raw(text)
    sent = text.partition("<a:MessageID>")[2].partition("<")[0]
    assert answer.said(".//a:RelatesTo") == sent
    # even when a header is wrong
    broken = await soap.raw(text.replace("PT60S", "PT-1S"))
    assert broken.said(".//a:RelatesTo") == sent


async def test_a_reference_to_a_class_that_is_gone_is_no_fault(soap, machine):
    machine.put(
        "root/virtualization/v2",
        "Msvm_SettingsDefineState",
        {"ManagedElement": Reference("root/virtualization/v2", "Msvm_Unknown", {"Name": "x"})},
    )
    answer = await soap.enumerate(wsman_constants.class_uri("root/virtualization/v2", "Msvm_SettingsDefineState"))
    assert answer.status == 200
