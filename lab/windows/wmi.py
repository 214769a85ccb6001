"""Get and Invoke on WMI classes."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from lab.windows import cim_xml, query, registry, wsman_constants
from lab.windows.enumeration import read_reference
from lab.windows.envelope import Request, answer
from lab.windows.faults import (
    NOT_FOUND,
    UNEXPECTED_SELECTORS,
    WBEM_INVALID_METHOD,
    Fault,
    Provider,
    wmi_fault,
)
from lab.windows.machine_protocol import Machine, Wmi, WmiFailure
from lab.windows.query import Row
from lab.windows.schema import ClassDefinition

_PREFIXES = "s a x w p"
_NIL = f"{{{wsman_constants.SCHEMA_INSTANCE}}}nil"
_NAMESPACE_SELECTOR = "__cimnamespace"


def get(machine: Machine, request: Request, path: tuple[str, str]) -> str:
    """Answer wxf:Get of one instance.

    Raises:
        Fault: no such class or instance, or wrong selectors.
    """
    namespace, cls = path
    definition = _class(machine, namespace, cls, "GetObject")
    row = _instance(machine, namespace, definition, request)
    return answer(request, wsman_constants.GET + "Response", row.xml(), language=machine.language, prefixes=_PREFIXES)


def invoke(machine: Machine, request: Request, path: tuple[str, str]) -> str:
    """Answer a method call: the action is the resource URI, a slash and the method.

    Raises:
        Fault: no such class, method or instance, or the provider refuses.
    """
    namespace, cls = path
    definition = _class(machine, namespace, cls, "GetObject")
    asked = request.action.rpartition("/")[2]
    method = definition.methods.get(asked.lower())
    if method is None:
        raise _failed(WmiFailure(WBEM_INVALID_METHOD, ""), f"{definition.name}::{asked}", namespace)
    params = _params(request.body)
    uri = wsman_constants.class_uri(definition.namespace, definition.name)
    try:
        if definition.name == "StdRegProv":
            lower = {name.lower(): value for name, value in params.items()}
            values: Mapping[str, Wmi] = registry.call(machine.registry(), method, lower)
        else:
            keys = _keys_to_call(machine, namespace, definition, request)
            values = machine.invoke(namespace, definition.name, keys, method, params)
    except WmiFailure as failure:
        raise _failed(failure, f"{definition.name}::{method}", namespace) from failure
    body = cim_xml.output_xml(uri, method, values)
    return answer(request, f"{uri}/{method}Response", body, language=machine.language, prefixes=_PREFIXES)


def _class(machine: Machine, namespace: str, cls: str, operation: str) -> ClassDefinition:
    try:
        return query.class_of(machine, namespace, cls)
    except WmiFailure as failure:
        raise wmi_fault(
            failure.hresult, failure.text, operation=operation, parameter=cls, namespace=namespace
        ) from failure


def _failed(failure: WmiFailure, parameter: str, namespace: str) -> Fault:
    return wmi_fault(failure.hresult, failure.text, operation="ExecMethod", parameter=parameter, namespace=namespace)


def _selectors(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.selectors.items() if name.lower() != _NAMESPACE_SELECTOR}


def _instance(machine: Machine, namespace: str, definition: ClassDefinition, request: Request) -> Row:
    selectors = _selectors(request)
    if not selectors:
        if not definition.singleton:
            raise Fault(2150859002)
        row = next(query.rows_of(machine, namespace, definition), None)
    else:
        _check_names(definition, selectors)
        row = _by_keys(machine, namespace, definition, selectors)
    if row is None:
        pairs = ",".join(f'{name}="{value}"' for name, value in selectors.items())
        raise Fault(
            NOT_FOUND,
            provider=Provider(
                "WMI Provider",
                operation="GetObject",
                parameter=f"{definition.name}.{pairs}",
                namespace=definition.namespace,
            ),
        )
    return row


def _check_names(definition: ClassDefinition, selectors: Mapping[str, str]) -> None:
    known = {name.lower() for name in definition.keys}
    if any(name.lower() not in known for name in selectors):
        raise Fault(UNEXPECTED_SELECTORS, provider=Provider("WMI Provider"))


def _by_keys(machine: Machine, namespace: str, definition: ClassDefinition, selectors: Mapping[str, str]) -> Row | None:
    """All keys are needed, except for the one service of its kind, which its CreationClassName names [src: libvirt].

    Name alone does not find a Msvm_ComputerSystem [src].
    """
    whole = len(selectors) == len(definition.keys)
    service = definition.is_a("CIM_Service") and {name.lower() for name in selectors} == {"creationclassname"}
    if not whole and not service:
        return None
    return query.find_instance(machine, namespace, definition, selectors)


def _keys_to_call(machine: Machine, namespace: str, definition: ClassDefinition, request: Request) -> Mapping[str, str]:
    """The keys of the instance whose method is called; none for a static method."""
    if not _selectors(request):
        return {}
    row = _instance(machine, namespace, definition, request)
    reference = cim_xml.reference_to(row.definition, row.instance)
    return {name: cim_xml.scalar_text(value) for name, value in reference.keys.items()}


def _params(body: Element | None) -> dict[str, Wmi]:
    """The in-parameters: text, None for xsi:nil, a list for a repeated element, a Reference for an address."""
    found: dict[str, list[Wmi]] = {}
    for element in [] if body is None else body:
        found.setdefault(element.tag.rpartition("}")[2], []).append(_param(element))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _param(element: Element) -> Wmi:
    if element.get(_NIL, "").lower() in {"true", "1"}:
        return None
    reference = read_reference(element)
    if reference is not None:
        return reference
    child = next(iter(element), None)
    if child is not None and child.tag.startswith(f"{{{wsman_constants.CIM}}}"):
        return child.text or ""
    return element.text or ""
