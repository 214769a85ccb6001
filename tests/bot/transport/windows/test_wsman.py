import contextlib
import sys
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.transport.windows import wsman
from bot.transport.windows.wsman import MalformedReply, WSManFaultReply, read_instance, read_page
from lab.windows.cim_xml import reference_xml
from lab.windows.machine_protocol import Reference

SOAP = "http://www.w3.org/2003/05/soap-envelope"
HEAD = (
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"'
    ' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">'
)
TYPED = (
    '<p:Msvm_Thing xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="p:Msvm_Thing_Type"'
    ' xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_Thing"'
    ' xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common">'
)
XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


def soap(body, relates="uuid:1"):
    return f"{HEAD}<s:Header><a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"


def enumerated(items, *, context="", ended=True):
    end = "<w:EndOfSequence/>" if ended else ""
    return soap(
        f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext>"
        f"<w:Items>{items}</w:Items>{end}</n:EnumerateResponse>"
    )


def thing(properties):
    return enumerated(f"{TYPED}{properties}</p:Msvm_Thing>")


def test_typed_instance_of_every_shape():
    page = read_page(
        thing(
            '<p:Caption></p:Caption><p:EnabledState>2</p:EnabledState><p:Gone xsi:nil="true"/>'
            "<p:Born><cim:Datetime>2026-07-29T14:11:00.026037Z</cim:Datetime></p:Born>"
            "<p:Took><cim:Interval>P0DT0H0M1.00417S</cim:Interval></p:Took>"
            "<p:Status>17</p:Status><p:Status>2</p:Status><p:Status>5</p:Status>"
            "<p:Spaces>   </p:Spaces><p:On>true</p:On>"
        )
    )
    assert page.context == ""
    assert page.rows == (
        {
            "Caption": "",
            "EnabledState": "2",
            "Gone": None,
            "Born": "2026-07-29T14:11:00.026037Z",
            "Took": "P0DT0H0M1.00417S",
            "Status": ("17", "2", "5"),
            "Spaces": "   ",
            "On": "true",
        },
    )


def test_a_name_that_a_host_makes_up_is_kept_once_and_no_longer_than_its_rows():
    """Python 3.12 keeps for ever what is interned: a megabyte of names a reply. What was is found again, here as there."""
    made_up, again = (f"MadeUpByAHost{year}" for year in (2026, 2026))
    inside = f"<p:{made_up}>1</p:{made_up}><p:Other><p:{made_up}>2</p:{made_up}></p:Other>"
    page = read_page(enumerated(f"{TYPED}{inside}</p:Msvm_Thing>" * 3))
    names = [name for row in page.rows for name in (*row, *row["Other"]) if name == made_up]
    assert len(names) == 6
    assert len(set(map(id, names))) == 1
    assert sys.intern(again) is again
    assert names[0] is not again


def test_xml_fragment_has_no_class_and_plain_dates():
    fragment = (
        '<w:XmlFragment xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Name>hv01</Name>'
        '<Boot><Datetime>2026-01-01T00:00:00Z</Datetime></Boot><Note xsi:nil="true"/></w:XmlFragment>'
    )
    assert read_page(enumerated(fragment)).rows == ({"Name": "hv01", "Boot": "2026-01-01T00:00:00Z", "Note": None},)


REFERENCE = (
    "<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters>"
    "<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_ConcreteJob"
    '</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">AB-1</w:Selector></w:SelectorSet>'
    "</a:ReferenceParameters>"
)


@pytest.mark.parametrize("wrap", ["{}", "<a:EndpointReference>{}</a:EndpointReference>"])
def test_reference_is_a_nested_row_with_or_without_its_wrapper(wrap):
    row = read_page(thing(f"<p:Job>{wrap.format(REFERENCE)}</p:Job>")).rows[0]
    assert row["Job"] == {
        "__CLASS": "Msvm_ConcreteJob",
        "__NAMESPACE": "root/virtualization/v2",
        "InstanceID": "AB-1",
    }


KEY_NAMES = st.sampled_from(["Name", "Antecedent", "Dependent", "GroupComponent", "InstanceID", "ResourceURI"])
REFERENCES = st.recursive(
    st.builds(Reference, st.just("root/cimv2"), st.sampled_from(["A", "B"]), st.dictionaries(KEY_NAMES, XML_TEXT)),
    lambda inner: st.builds(
        Reference,
        st.just("root/MSCluster"),
        st.sampled_from(["Of", "In"]),
        st.dictionaries(KEY_NAMES, inner | XML_TEXT, min_size=1),
    ),
    max_leaves=6,
)


def as_row(reference):
    keys = {name: as_row(key) if isinstance(key, Reference) else key for name, key in reference.keys.items()}
    return {"__CLASS": reference.cls, "__NAMESPACE": reference.namespace, **keys}


@given(REFERENCES, st.booleans())
def test_every_reference_is_read_whole_and_its_keys_own_keys_are_none_of_its_own(reference, wrapped):
    inside = reference_xml(reference)
    inside = f"<a:EndpointReference>{inside}</a:EndpointReference>" if wrapped else inside
    typed = read_page(thing(f"<p:End>{inside}</p:End>")).rows[0]
    listed = read_page(enumerated(f"<w:XmlFragment><End>{inside}</End></w:XmlFragment>")).rows[0]
    returned = read_instance(soap(f'<p:Start_OUTPUT xmlns:p="urn:x"><p:End>{inside}</p:End></p:Start_OUTPUT>'))
    assert typed["End"] == listed["End"] == returned["End"] == as_row(reference)


def test_a_reference_is_read_whatever_the_order_of_its_parts():
    nested = (
        '<a:ReferenceParameters><w:SelectorSet><w:Selector Name="Of"><a:EndpointReference><a:ReferenceParameters>'
        "<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Inner</w:ResourceURI>"
        '<w:SelectorSet><w:Selector Name="Name">a</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        "</a:EndpointReference></w:Selector></w:SelectorSet>"
        "<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Outer</w:ResourceURI>"
        "</a:ReferenceParameters>"
    )
    end = read_page(thing(f"<p:End>{nested}</p:End>")).rows[0]["End"]
    assert end == {
        "__CLASS": "Outer",
        "__NAMESPACE": "root/cimv2",
        "Of": {"__CLASS": "Inner", "__NAMESPACE": "root/cimv2", "Name": "a"},
    }


def test_embedded_object_is_a_nested_row():
    row = read_page(
        thing('<p:Private xmlns:q="urn:x" xsi:type="q:MSCluster_Property_Type"><q:VmID>9</q:VmID></p:Private>')
    ).rows[0]
    assert row["Private"] == {"__CLASS": "MSCluster_Property", "VmID": "9"}


def test_object_and_epr_items_give_the_object():
    item = f"<w:Item>{TYPED}<p:Name>a</p:Name></p:Msvm_Thing><a:EndpointReference>{REFERENCE}</a:EndpointReference></w:Item>"
    assert read_page(enumerated(item)).rows == ({"Name": "a"},)


def test_context_means_there_is_more_unless_the_sequence_has_ended():
    assert read_page(enumerated("", context="uuid:7", ended=False)).context == "uuid:7"
    assert read_page(enumerated("", context="uuid:7", ended=True)).context == ""
    pulled = "<n:PullResponse><n:Items/><n:EndOfSequence/></n:PullResponse>"
    assert read_page(soap(pulled)) == ((), "")
    assert read_page(
        soap("<n:EnumerateResponse><n:EnumerationContext>c</n:EnumerationContext></n:EnumerateResponse>")
    ) == (
        (),
        "c",
    )


def test_method_without_output_is_an_empty_row():
    assert read_instance(soap("")) == {}
    assert read_instance(soap('<p:Pause_OUTPUT xmlns:p="urn:x"/>')) == {}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"", "empty"),
        (b"<html><body>Sign in</body></html>", "not a SOAP message"),
        (b"<!DOCTYPE html><html><br></html>", "web page"),
        (b"<HTML><HEAD><TITLE>x</TITLE>", "web page"),
        (soap("<n:PullResponse/>")[:-30].encode(), "not whole XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + soap("<a/>").encode(), "document type"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "not whole XML"),
        (b"\xff\xfe\x00", "not whole XML"),
        (soap("").encode(), "without content"),
        (soap("<a:Other/>").encode(), "Other where rows were due"),
    ],
)
def test_what_is_no_reply_is_said_to_be_none(reply, says):
    with pytest.raises(MalformedReply, match=says):
        read_page(reply)


def test_reply_to_another_request_is_refused():
    with pytest.raises(MalformedReply, match="another request"):
        read_page(soap("<n:PullResponse/>", relates="uuid:AAAA"), "bbbb")
    assert read_page(soap("<n:PullResponse/>", relates="uuid:AAAA"), "aaaa") == ((), "")


def fault(detail, subcode="w:QuotaLimit", reason="Reason."):
    return soap(
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="de-DE">{reason}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault>'
    )


F = 'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'


def raised(reply):
    with pytest.raises(WSManFaultReply) as caught:
        read_page(reply)
    return caught.value.fault


def test_nested_provider_fault_gives_the_outer_code_and_the_inner_words():
    found = raised(
        fault(
            f'<f:WSManFault {F} Code="2150858778" Machine="hv01"><f:Message><f:ProviderFault provider="WMI Provider">'
            f'<f:WSManFault {F} Code="2150858778" Machine="hv01"><f:Message>Die Klasse\n gibt es nicht. </f:Message>'
            "</f:WSManFault></f:ProviderFault></f:Message></f:WSManFault>",
            subcode="n:CannotProcessFilter",
        )
    )
    assert (found.code, found.subcode, found.text) == (2150858778, "CannotProcessFilter", "Die Klasse gibt es nicht.")


def test_wmi_error_gives_its_code_and_hresult():
    found = raised(
        fault(
            '<p:MSFT_WmiError xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError">'
            "<p:CIMStatusCode>27</p:CIMStatusCode><p:Message>30 shells.</p:Message>"
            "<p:MessageID>HRESULT 0x803381a5</p:MessageID><p:error_Code>2150859173</p:error_Code></p:MSFT_WmiError>"
        )
    )
    assert (found.code, found.hresult, found.text) == (2150859173, 0x803381A5, "30 shells.")


def test_fault_of_winrm_1_has_only_a_subcode():
    found = raised(fault("", subcode="wsman:AccessDenied"))
    assert (found.code, found.subcode, found.text) == (None, "AccessDenied", "Reason.")


@settings(max_examples=60)
@given(XML_TEXT)
def test_any_text_survives_a_reply(text):
    assert read_page(thing(f"<p:Name>{escape(text)}</p:Name>")).rows[0]["Name"] == text


@settings(max_examples=60)
@given(XML_TEXT, XML_TEXT)
def test_any_text_survives_a_request(value, query):
    key = (("Name", value),)
    sent = wsman.invoke("root/cimv2", "Win32_Service", "StopService", key, key).envelope("http://h/wsman", "1", 20)
    root = fromstring(sent)
    assert [part.text or "" for part in root.iter() if part.tag.endswith("}Selector")] == [value]
    assert [part.text or "" for part in root.iter() if part.tag.endswith("}Name")] == [value]
    sent = wsman.enumerate_wql("root/cimv2", query).envelope("http://h/wsman", "1", 20)
    assert [part.text or "" for part in fromstring(sent).iter() if part.tag.endswith("}Filter")] == [query]


@settings(max_examples=80)
@given(st.binary(max_size=200))
def test_rubbish_never_raises_anything_else(reply):
    with contextlib.suppress(MalformedReply, WSManFaultReply):
        read_page(reply)


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\ud800", "\ufffe"])
def test_what_xml_cannot_carry_is_not_sent(bad):
    with pytest.raises(ValueError, match="cannot be sent"):
        wsman.enumerate_wql("root/cimv2", f"SELECT * FROM X WHERE Name='{bad}'")


@pytest.mark.parametrize("name", ['a"', "a>", "1a", "", "a b"])
def test_names_cannot_carry_markup(name):
    with pytest.raises(ValueError, match="no name"):
        wsman.invoke("root/cimv2", "Win32_Service", "StopService", ((name, "1"),))
    with pytest.raises(ValueError, match="no name"):
        wsman.get("root/cimv2", "Win32_Service", ((name, "1"),)).envelope("http://h", "1", 1)


def test_values_of_a_method_are_written_as_windows_reads_them():
    body = wsman.invoke("root/x", "C", "M", (("a", None), ("b", True), ("c", 7), ("d", "x<y"))).body
    assert '<m:a xsi:nil="true"/><m:b>true</m:b><m:c>7</m:c><m:d>x&lt;y</m:d>' in body


def test_a_parameter_that_refers_to_an_instance_stands_before_the_others():
    """As Windows writes a REF itself: address, class and keys without an element around them."""
    reference = ("ComputerSystem", "Msvm_ComputerSystem", (("Name", "A<1"),))
    body = wsman.invoke("root/virtualization/v2", "C", "M", (("Snapshot", None),), references=(reference,)).body
    assert body.index("<m:ComputerSystem><a:Address>") < body.index('<m:Snapshot xsi:nil="true"/>')
    assert "/wmi/root/virtualization/v2/Msvm_ComputerSystem</w:ResourceURI>" in body
    assert (
        '<w:Selector Name="Name">A&lt;1</w:Selector></w:SelectorSet></a:ReferenceParameters></m:ComputerSystem>' in body
    )
    with pytest.raises(ValueError, match="no name"):
        wsman.invoke("root/x", "C", "M", references=(('a"', "C", ()),))
