"""The namespaces, actions and resource URIs of WS-Management as Windows uses them.

Source: DSP0226, MS-WSMV and captures of Windows hosts [cap].
"""

from __future__ import annotations

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
EVENTING = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
CIM_BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/common"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"

ANONYMOUS = ADDRESSING + "/role/anonymous"
WMI_ROOT = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
DMTF_CLASSES = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
CMD_SHELL = SHELL + "/cmd"
POWERSHELL = "http://schemas.microsoft.com/powershell/"

ENUMERATE = ENUMERATION + "/Enumerate"
PULL = ENUMERATION + "/Pull"
RELEASE = ENUMERATION + "/Release"
GET = TRANSFER + "/Get"
CREATE = TRANSFER + "/Create"
DELETE = TRANSFER + "/Delete"
COMMAND = SHELL + "/Command"
SEND = SHELL + "/Send"
RECEIVE = SHELL + "/Receive"
SIGNAL = SHELL + "/Signal"

WSMAN_FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
ADDRESSING_FAULT = ADDRESSING + "/fault"
ENUMERATION_FAULT = ENUMERATION + "/fault"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

WQL_DIALECT = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
SELECTOR_DIALECT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
ASSOCIATION_DIALECT = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"
MUTUAL_TLS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

PREFIXES = {
    "s": SOAP,
    "a": ADDRESSING,
    "x": TRANSFER,
    "e": EVENTING,
    "n": ENUMERATION,
    "w": WSMAN,
    "rsp": SHELL,
    "p": MICROSOFT,
}


def class_uri(namespace: str, cls: str) -> str:
    """The resource URI of a WMI class: `class_uri("root/cimv2", "Win32_Service")`."""
    return f"{WMI_ROOT}{namespace}/{cls}"


def wmi_path(resource_uri: str) -> tuple[str, str] | None:
    """Namespace (lower case, "root/cimv2") and class ("*" for WQL) of a WMI resource URI, or None for another URI.

    The query part, an old way to write keys, is not looked at.
    """
    if not resource_uri.lower().startswith(WMI_ROOT):
        return None
    namespace, slash, cls = resource_uri[len(WMI_ROOT) :].partition("?")[0].rpartition("/")
    return (namespace.lower(), cls) if slash else None
