"""WS-Management faults: which code goes with which SOAP code, subcode, action and fault detail.

Source: MS-WSMV, wsmerror.h of the Windows SDK [doc]; the captured ones are marked. Sentences: `lab.windows.fault_messages`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.windows import wsman_constants

ACCESS_DENIED = 5
NOT_FOUND = 2150858752
CANNOT_PROCESS_FILTER = 2150858778
STALE_CONTEXT = 2150858779
TIMED_OUT = 2150858793
UNEXPECTED_SELECTORS = 2150858843
TOO_MANY_SHELLS = 2150859173
TOO_MANY_OPERATIONS = 2150859174

WBEM_NOT_FOUND = 0x80041002
WBEM_ACCESS_DENIED = 0x80041003
WBEM_INVALID_PARAMETER = 0x80041008
WBEM_NOT_SUPPORTED = 0x8004100C
WBEM_INVALID_NAMESPACE = 0x8004100E
WBEM_INVALID_CLASS = 0x80041010
WBEM_PROVIDER_NOT_CAPABLE = 0x80041024
WBEM_INVALID_QUERY = 0x80041017
WBEM_INVALID_METHOD = 0x8004102E
WBEM_INVALID_METHOD_PARAMETERS = 0x8004102F
WBEM_QUOTA_VIOLATION = 0x8004106C


@dataclass(frozen=True, slots=True)
class Kind:
    """How a code is wrapped in SOAP."""

    value: str = "s:Sender"
    subcode: str = "w:InternalError"
    action: str = wsman_constants.WSMAN_FAULT
    detail: str = ""  # the last part of w:FaultDetail


KINDS = {
    ACCESS_DENIED: Kind(subcode="w:AccessDenied"),
    87: Kind(subcode="w:InvalidParameter", detail="InvalidValue"),  # [cap]
    2147942402: Kind(value="s:Receiver"),  # [cap] file not found, from the shell
    NOT_FOUND: Kind(
        subcode="a:DestinationUnreachable", action=wsman_constants.ADDRESSING_FAULT, detail="InvalidResourceURI"
    ),  # [cap]
    2150858753: Kind(subcode="a:ActionNotSupported", action=wsman_constants.ADDRESSING_FAULT),
    2150858758: Kind(subcode="w:Concurrency"),
    2150858765: Kind(value="s:VersionMismatch", subcode="", action=wsman_constants.ADDRESSING_FAULT),
    2150858767: Kind(subcode="a:InvalidMessageInformationHeader", action=wsman_constants.ADDRESSING_FAULT),  # [cap]
    CANNOT_PROCESS_FILTER: Kind(subcode="n:CannotProcessFilter", action=wsman_constants.ENUMERATION_FAULT),  # [cap]
    STALE_CONTEXT: Kind(
        value="s:Receiver", subcode="n:InvalidEnumerationContext", action=wsman_constants.ENUMERATION_FAULT
    ),
    2150858791: Kind(subcode="w:SchemaValidationError"),
    TIMED_OUT: Kind(value="s:Receiver", subcode="w:TimedOut"),  # [cap]
    2150858809: Kind(subcode="w:InvalidOptions", detail="NotSupported"),
    2150858811: Kind(
        subcode="a:DestinationUnreachable", action=wsman_constants.ADDRESSING_FAULT, detail="InvalidResourceURI"
    ),
    2150858815: Kind(subcode="w:QuotaLimit"),
    2150858818: Kind(subcode="w:UnsupportedFeature"),
    2150858819: Kind(subcode="w:SchemaValidationError"),
    2150858823: Kind(subcode="w:EncodingLimit", detail="MaxEnvelopeSize"),
    2150858824: Kind(subcode="w:EncodingLimit", detail="MaxEnvelopeSizeExceeded"),
    2150858825: Kind(subcode="w:EncodingLimit", detail="ServiceEnvelopeLimit"),
    2150858842: Kind(subcode="w:InvalidSelectors", detail="InsufficientSelectors"),
    UNEXPECTED_SELECTORS: Kind(subcode="w:InvalidSelectors", detail="UnexpectedSelectors"),  # [cap]
    2150858878: Kind(subcode="w:EncodingLimit", detail="MinimumEnvelopeLimit"),
    2150858886: Kind(subcode="w:UnsupportedFeature", detail="EnumerationMode"),
    2150858887: Kind(subcode="w:UnsupportedFeature", detail="Locale"),
    2150859002: Kind(subcode="w:InvalidSelectors", detail="InsufficientSelectors"),
    2150859003: Kind(subcode="n:CannotProcessFilter", action=wsman_constants.ENUMERATION_FAULT),
    2150859010: Kind(value="s:Receiver"),
    2150859013: Kind(subcode="w:AccessDenied"),
    2150859015: Kind(subcode="n:CannotProcessFilter", action=wsman_constants.ENUMERATION_FAULT),
    2150859038: Kind(subcode="w:InvalidParameter", detail="InvalidValue"),
    TOO_MANY_SHELLS: Kind(subcode="w:QuotaLimit"),  # [cap]
    TOO_MANY_OPERATIONS: Kind(value="s:Receiver"),  # [cap] an InternalError, although it is a quota
    2150859175: Kind(subcode="w:QuotaLimit"),
    2150859176: Kind(subcode="w:QuotaLimit"),
    2150859179: Kind(subcode="w:QuotaLimit"),
    2150859240: Kind(value="s:Receiver"),
}

# The code that WinRM gives when a provider or the WMI service fails with an HRESULT. An HRESULT that is not named here
# is handed on as the code itself [inf].
_WMI_CODES = {
    WBEM_NOT_FOUND: NOT_FOUND,
    WBEM_INVALID_NAMESPACE: NOT_FOUND,
    WBEM_INVALID_CLASS: NOT_FOUND,
    WBEM_ACCESS_DENIED: 2150859013,
    WBEM_INVALID_PARAMETER: 2150859038,
    WBEM_PROVIDER_NOT_CAPABLE: 2150859010,
    WBEM_NOT_SUPPORTED: 2150859010,
    WBEM_INVALID_METHOD: 2150858753,
    WBEM_INVALID_METHOD_PARAMETERS: 2150859038,
}

# Failures of a query that WinRM reports as a filter that could not be processed [cap for a missing class].
_QUERY_FAILURES = frozenset({WBEM_INVALID_CLASS, WBEM_INVALID_QUERY, WBEM_QUOTA_VIOLATION})


@dataclass(frozen=True, slots=True)
class Provider:
    """The f:ProviderFault around a message: which plug-in failed, and the operation that WMI reports.

    `nested` is whether the plug-in's message is itself a WSManFault, as the WMI and the shell provider send it [cap];
    winrscmd.dll sends bare text [cap].
    """

    name: Literal["WMI Provider", "Shell provider", "Shell cmd plugin"]
    nested: bool = True
    operation: str = ""  # ExecQuery, GetObject, ExecMethod
    parameter: str = ""
    namespace: str = "root/cimv2"

    @property
    def path(self) -> str:
        """The plug-in's file."""
        files = {
            "WMI Provider": "WsmWmiPl.dll",
            "Shell provider": "WsmSvc.dll",
            "Shell cmd plugin": "winrscmd.dll",
        }
        return rf"%systemroot%\system32\{files[self.name]}"


class Fault(Exception):
    """A request ends with a SOAP fault.

    Args:
        code: a WSMan, Win32 or HRESULT code, decimal as in WSManFault/@Code.
        about: what is put at the end of the detailed message.
        text: the detailed message, if it is another sentence than the code's own.
        wbem: the HRESULT whose sentence is the detailed message.
        provider: the plug-in that failed, if one did.
        value: the SOAP code instead of the code's usual one.
        subcode: likewise.
    """

    def __init__(
        self,
        code: int,
        *,
        about: str = "",
        text: str = "",
        wbem: int = 0,
        provider: Provider | None = None,
        value: str | None = None,
        subcode: str | None = None,
    ) -> None:
        super().__init__(f"{code} {text or about}")
        self.code = code
        self.about = about
        self.text = text
        self.wbem = wbem
        self.provider = provider
        kind = KINDS.get(code, Kind(value="s:Receiver"))
        self.value = kind.value if value is None else value
        self.subcode = kind.subcode if subcode is None else subcode
        self.action = kind.action
        self.detail = kind.detail
        self.message_id = ""  # set where the request is known


def wmi_fault(hresult: int, text: str, *, operation: str, parameter: str, namespace: str) -> Fault:
    """The fault that WinRM's WMI plug-in makes of a WMI failure."""
    code = _WMI_CODES.get(hresult, hresult)
    if operation == "ExecQuery" and hresult in _QUERY_FAILURES:
        code = CANNOT_PROCESS_FILTER
    provider = Provider("WMI Provider", operation=operation, parameter=parameter, namespace=namespace)
    return Fault(code, text=text, wbem=hresult, provider=provider)
