"""What the interface answers: XML in ISO-8859-1 for version 1, JSON for version 2.

Version 1 writes "Y" and "N", version 2 truth values; there CheckPort and VSPort are text, CheckUseGet a number, and what is
empty is left out [src: published Go client]. Names differ in case between the two: RsIndex and RSIndex, EnhancedHealthChecks
and EnhancedHealthchecks [src].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from lab.loadmaster.model import NUMBERS, SWITCHES, Appliance, RealServer, VirtualService

Tree = Mapping[str, Any]
_RENAMED = {"RsIndex": "RSIndex", "EnhancedHealthChecks": "EnhancedHealthchecks", "UseforSnat": "UseForSnat"}
_SWITCHES = SWITCHES | {"Enable", "Critical"}
_NUMBERS = NUMBERS | {
    "Index", "VSIndex", "RsIndex", "MasterVS", "MasterVSID", "NumberOfRSs", "Port", "Weight", "Limit", "RetryInterval", "Timeout",
    "RetryCount",
}  # fmt: skip


def service_tree(appliance: Appliance, service: VirtualService) -> Tree:
    """All of one service, as listvs and showvs tell it."""
    subs = appliance.subs(service.index)
    place = {"VSAddress": service.address, "VSPort": str(service.port)} if not service.master else {"VSPort": "0"}
    told: dict[str, Any] = {"Status": appliance.status(service), "Index": str(service.index), **place}
    told |= {"Enable": _switch(service.enabled), **service.settings, "Protocol": service.protocol}
    if subs:
        told.pop("EnhancedHealthChecks", None)  # absent on parents [src]
    told |= {"MasterVS": "1" if subs else "0", "MasterVSID": str(service.master)}
    told["NumberOfRSs"] = str(len(subs) or len(service.servers))
    if service.servers:
        told["Rs"] = [server_tree(appliance, service, server) for server in service.servers]
    if subs:
        told["SubVS"] = [_sub_tree(appliance, one) for one in subs]
    return told


def server_tree(appliance: Appliance, service: VirtualService, server: RealServer) -> Tree:
    """One real server."""
    return {
        "Status": appliance.server_status(service, server),
        "VSIndex": str(service.index),
        "RsIndex": str(server.index),
        "Addr": server.address,
        "Port": str(server.port),
        "Forward": "nat",
        "Weight": "1000",
        "Limit": "0",
        "Enable": _switch(server.enabled),
        "Critical": "N",
    }


def _sub_tree(appliance: Appliance, sub: VirtualService) -> Tree:
    """A SubVS among the real servers of its parent [cap]."""
    return {
        "Status": appliance.status(sub),
        "VSIndex": str(sub.index),
        "RsIndex": str(sub.place),
        "Name": sub.get("NickName") or "-",
        "Forward": "nat",
        "Weight": "1000",
        "Limit": "0",
        "Enable": _switch(sub.enabled),
        "Critical": "N",
    }


def as_xml(data: Tree) -> web.Response:
    """A success of version 1."""
    return _xml(200, "ok", f"<Success><Data>{_elements(data)}</Data></Success>")


def error_as_xml(code: int, says: str) -> web.Response:
    """A refusal of version 1."""
    return _xml(code, "fail", f"<Error>{escape(says)}</Error>")


def as_json(data: Tree) -> web.Response:
    """A success of version 2."""
    return _json({"code": 200, "message": "OK", "status": "ok", **_plain(data)}, 200)


def error_as_json(code: int, says: str) -> web.Response:
    """A refusal of version 2."""
    return _json({"code": code, "message": says, "status": "fail"}, code)


def _xml(code: int, word: str, inner: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?><Response stat="{code}" code="{word}">{inner}</Response>'
    body = text.encode("iso-8859-1", "xmlcharrefreplace")
    return web.Response(status=code, body=body, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})


def _json(told: Mapping[str, Any], code: int) -> web.Response:
    return web.Response(status=code, text=json.dumps(told), content_type="application/json")


def _elements(data: Tree) -> str:
    found: list[str] = []
    for name, value in data.items():
        for one in value if isinstance(value, list) else [value]:
            inner = _elements(one) if isinstance(one, Mapping) else escape(str(one))
            found.append(f"<{name}>{inner}</{name}>")
    return "".join(found)


def _plain(data: Tree) -> dict[str, Any]:
    return {_RENAMED.get(name, name): _value(name, value) for name, value in data.items() if value != ""}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_value(name, one) for one in value]
    if name in _SWITCHES:
        return value == "Y"
    return int(value) if name in _NUMBERS and str(value).isdecimal() else value


def _switch(on: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "Y" if on else "N"
