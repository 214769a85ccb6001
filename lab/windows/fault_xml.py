"""A fault as the envelope that Windows sends.

Shapes: captures of 2008 R2, 2012 R2 and later hosts [cap]: WSManFault with an optional ProviderFault, and MSFT_WmiError
for the shell quota.
"""

from __future__ import annotations

from lab.windows import fault_messages, wsman_constants
from lab.windows.envelope import Asked, answer, escape
from lab.windows.faults import TIMED_OUT, TOO_MANY_SHELLS, UNEXPECTED_SELECTORS, Fault

_PREFIXES = "s a x e n w p"
_WMI_ERROR = wsman_constants.DMTF_CLASSES + "MSFT_WmiError"
# Newer hosts put p:ActivityId on these [cap].
_WITH_ACTIVITY = frozenset({TIMED_OUT, UNEXPECTED_SELECTORS})


def render(fault: Fault, request: Asked, *, host: str, machine: str, language: str) -> str:
    """The whole envelope of a fault.

    Args:
        fault: what went wrong.
        request: what is answered.
        host: the name or address that the client called; the outer @Machine [cap].
        machine: the computer's full name; the inner @Machine of a provider's fault [cap].
        language: of the sentences.
    """
    # An HRESULT is its own code, and its sentence its reason.
    handed_on = fault.text if fault.wbem == fault.code else ""
    reason = handed_on or fault_messages.sentence(fault.code, language)
    subcode = f"<s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode>" if fault.subcode else ""
    body = (
        f"<s:Fault><s:Code><s:Value>{fault.value}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="{language}">{escape(reason)}</s:Text></s:Reason>'
        f"<s:Detail>{_detail(fault, host, machine, language)}</s:Detail></s:Fault>"
    )
    activity = fault.code in _WITH_ACTIVITY
    return answer(request, fault.action, body, language=language, prefixes=_PREFIXES, activity=activity)


def _detail(fault: Fault, host: str, machine: str, language: str) -> str:
    message = fault.text or fault_messages.sentence(fault.wbem or fault.code, language)
    if fault.about:
        message = f"{message.rstrip()} {fault.about} "
    if fault.code == TOO_MANY_SHELLS:
        return _wmi_error(fault.code, message)
    detail = f"<w:FaultDetail>{wsman_constants.FAULT_DETAIL}{fault.detail}</w:FaultDetail>" if fault.detail else ""
    inner = escape(message)
    if fault.provider is not None:
        inner = _provider_fault(fault, inner, machine)
    return detail + _wsman_fault(fault.code, host, inner)


def _wsman_fault(code: int, machine: str, message: str) -> str:
    return (
        f'<f:WSManFault xmlns:f="{wsman_constants.FAULT}" Code="{code}" Machine="{escape(machine)}">'
        f"<f:Message>{message}</f:Message></f:WSManFault>"
    )


def _provider_fault(fault: Fault, message: str, machine: str) -> str:
    provider = fault.provider
    assert provider is not None
    inner = _wsman_fault(fault.code, machine, message) if provider.nested else message
    if provider.operation:
        inner += _extended_error(provider.namespace, provider.operation, provider.parameter)
    return f'<f:ProviderFault provider="{provider.name}" path="{provider.path}">{inner}</f:ProviderFault>'


def _extended_error(namespace: str, operation: str, parameter: str) -> str:
    uri = wsman_constants.class_uri(namespace, "__ExtendedStatus")
    return (
        f'<f:ExtendedError><p:__ExtendedStatus xmlns:xsi="{wsman_constants.SCHEMA_INSTANCE}" xmlns:p="{uri}" '
        f'xmlns:cim="{wsman_constants.CIM}" xsi:type="p:__ExtendedStatus_Type"><p:Description xsi:nil="true"/>'
        f"<p:Operation>{operation}</p:Operation><p:ParameterInfo>{escape(parameter)}</p:ParameterInfo>"
        '<p:ProviderName>WinMgmt</p:ProviderName><p:StatusCode xsi:nil="true"/></p:__ExtendedStatus></f:ExtendedError>'
    )


def _wmi_error(code: int, message: str) -> str:
    """The CIM error of hosts from 2012 on: status 27, category 30 for a quota [cap]."""
    values = [
        ("CIMStatusCode", "cimUnsignedInt", "27"),
        ("CIMStatusCodeDescription", "cimString", None),
        ("ErrorSource", "cimString", None),
        ("ErrorSourceFormat", "cimUnsignedShort", "0"),
        ("ErrorType", "cimUnsignedShort", "0"),
        ("Message", "cimString", message),
        ("MessageID", "cimString", f"HRESULT 0x{code:08x}"),
        ("OtherErrorSourceFormat", "cimString", None),
        ("OtherErrorType", "cimString", None),
        ("OwningEntity", "cimString", None),
        ("PerceivedSeverity", "cimUnsignedShort", "0"),
        ("ProbableCause", "cimUnsignedShort", "0"),
        ("ProbableCauseDescription", "cimString", None),
        ("error_Category", "cimUnsignedInt", "30"),
        ("error_Code", "cimUnsignedInt", str(code)),
        ("error_Type", "cimString", "HRESULT"),
        ("error_WindowsErrorMessage", "cimString", message),
    ]
    properties = "".join(_typed(name, kind, value) for name, kind, value in values)
    return (
        f'<p:MSFT_WmiError xmlns:b="{wsman_constants.CIM_BINDING}" xmlns:cim="{wsman_constants.CIM}" xmlns:p="{_WMI_ERROR}" '
        f'xmlns:xsi="{wsman_constants.SCHEMA_INSTANCE}" b:IsCIM_Error="true" xsi:type="p:MSFT_WmiError_Type">'
        f"{properties}</p:MSFT_WmiError>"
    )


def _typed(name: str, kind: str, value: str | None) -> str:
    if value is None:
        return f'<p:{name} xsi:nil="true" xsi:type="cim:{kind}"/>'
    return f'<p:{name} xsi:type="cim:{kind}">{escape(value)}</p:{name}>'
