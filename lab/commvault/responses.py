"""Replies in both languages of the interface: XML unless the Accept header asks for JSON [doc].

In XML, plain values are attributes, objects are elements and lists repeated elements: published replies of Login and Job
[doc]. An error's shapes: published replies [doc] and the vendor's own Python client [src].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from aiohttp import web

Value = str | int | float | bool | Mapping[str, "Value"] | Sequence["Value"]
Reply = Mapping[str, Value]

LOGIN, JOBS, DETAILS, ERRORS, GENERIC = (
    "DM2ContentIndexing_CheckCredentialResp",
    "JobManager_JobListResponse",
    "JobManager_JobDetailResponse",
    "JobManager_ServiceErrorResponse",
    "App_GenericResponse",
)


def answer(request: web.Request, root: str, reply: Reply, status: int = 200) -> web.Response:
    """The reply as the client asked for it."""
    if "json" in request.headers.get("Accept", "").lower():
        return web.Response(status=status, text=json.dumps(reply), content_type="application/json")
    return web.Response(status=status, body=xml(root, reply), content_type="application/xml", charset="utf-8")


def xml(root: str, reply: Reply) -> bytes:
    """The XML of a reply."""
    top = Element(root)
    _fill(top, reply)
    written: bytes = tostring(top, encoding="utf-8", xml_declaration=True)
    return written


def _fill(element: Element, reply: Mapping[str, Value]) -> None:
    for name, value in reply.items():
        many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        for each in many:
            if isinstance(each, Mapping):
                _fill(SubElement(element, name), each)
            else:
                element.set(name, _text(each))


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def refused(code: int, message: str) -> Reply:
    """An error of the interface itself."""
    return {"errorMessage": message, "errorCode": code}


def outcome(code: int = 0, message: str = "") -> Reply:
    """What an action came to; 0 is success [src]."""
    return {"errors": [{"errList": [{"errorCode": code, "errLogMessage": message}]}]}


def undetailed(code: int, message: str) -> Reply:
    """Why there are no details of a job [src]."""
    return {"error": {"errList": [{"errorCode": code, "errLogMessage": message}]}}
