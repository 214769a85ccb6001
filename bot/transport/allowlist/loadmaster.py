"""What a LoadMaster tells of its virtual services, and the few fields of a health check that may be changed there.

Commands, fields and values: the vendor's pages and its own Python client, version 1, and a published Go client, version 2 [doc,
src]. Names differ in case between calls and versions, so they are read without it; "Y" and "N" are truth values in version 2.
What is empty is absent in both. Of a field that may hold somebody's secret (headers and data that a check sends) only that it is
set is told.

Never all fields are sent back: a PersistTimeout of 60 or more with persistence off switches it on [src].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from bot.api.queries import Value
from bot.api.rows import Cell, Row
from bot.redaction import clip
from bot.transport.allowlist.definitions import BadOutput, Parameter

Tree = Mapping[str, tuple[Any, ...]]  # name in lower case -> each value of that name: text, or a tree
METHODS = ("HEAD", "GET", "POST")  # by the number in CheckUseGet [src]
_SUBS = 500  # real servers and SubVSs of one service that are read; nobody has as many
_SERVICES = 10_000  # of one load balancer, SubVSs among them; a thousand are many
_LARGEST_INDEX = 2**31
_INDEX = re.compile(r"[0-9]{1,10}")  # ASCII: other scripts have digits as well
_SECONDS = re.compile(r"[0-9]{1,6}")
_LONGEST = 300  # characters of a name or pattern that are kept
_SWITCHES = {"y": "true", "1": "true", "true": "true", "n": "false", "0": "false", "false": "false"}
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]{1,5})?")


def parse_services(data: Tree) -> tuple[Row, ...]:
    """Rows of all virtual services and SubVSs, as `parse_service` makes one. Raises BadOutput."""
    found = tuple(_service(one) for one in _trees(data, "vs"))
    if not found and "vs" in data:
        raise BadOutput("its list of virtual services has none that can be read")
    return found


def parse_service(data: Tree) -> tuple[Row, ...]:
    """One row: all that is read of one service. Raises BadOutput.

    {index, name, address, port, protocol, status, enabled, type, check_type, method, use_1_1, host, url, check_port, codes,
    pattern, has_headers, has_data, interval, timeout, retries, persist, master, parts, error_code, error_url, reencrypts, count,
    servers: ({index, address, port, name, status, enabled}), subs: ({index, name, status})}. Truth values are "true", "false", or
    None where it does not tell; numbers are text; what is empty is "".
    """
    return (_service(data),)


def is_about(data: Tree, index: str) -> bool:
    """Whether the answer about one service is about the one with this index. Raises BadOutput."""
    return _text(data, "index") == index


def parse_check(data: Tree) -> tuple[Row, ...]:
    """One row {vs, host, use_1_1, method}: the fields that may be changed. Raises BadOutput."""
    row = _service(data)
    return ({"vs": row["index"], **{name: row[name] for name in ("host", "use_1_1", "method")}},)


def parse_servers(data: Tree) -> tuple[Row, ...]:
    """Rows {index, address, port, name, status, enabled} of the real servers of one service. Raises BadOutput."""
    servers: tuple[Row, ...] = _service(data)["servers"]
    return servers


def parse_times(data: Tree) -> tuple[Row, ...]:
    """One row {interval, timeout, retries}, of the checks of all services that set none of their own. Raises BadOutput."""
    names = {"interval": "retryinterval", "timeout": "timeout", "retries": "retrycount"}
    row = {name: _text(data, told) for name, told in names.items()}
    if not all(_SECONDS.fullmatch(value) for value in row.values()):
        raise BadOutput("it does not tell how often it checks")
    return (row,)


def parse_version(data: Tree) -> tuple[Row, ...]:
    """One row {version}: "7.2.63.2.24350.RELEASE". Raises BadOutput."""
    version = _text(data, "version")
    if not re.match(r"[0-9]{1,6}\.[0-9]", version):
        raise BadOutput("it does not tell its version")
    return ({"version": clip(version, _LONGEST)},)


def parse_done(data: Tree) -> tuple[Row, ...]:
    """Nothing: a change is judged by the fields afterwards."""
    del data
    return ()


def _service(told: Tree) -> Row:
    index = _text(told, "index")
    if not _INDEX.fullmatch(index) or not 0 < int(index) < _LARGEST_INDEX:
        raise BadOutput("a virtual service has no index")
    method = _text(told, "checkuseget")
    row: dict[str, Cell] = {
        "index": index,
        "name": _text(told, "nickname"),
        "address": _text(told, "vsaddress"),
        "port": _text(told, "vsport"),
        "protocol": _text(told, "protocol"),
        "status": _text(told, "status"),
        "enabled": _switch(told, "enable"),
        "type": _text(told, "vstype"),
        "check_type": _text(told, "checktype"),
        "method": METHODS[int(method)] if method in ("0", "1", "2") else None,
        "use_1_1": _switch(told, "checkuse1.1"),
        "host": _text(told, "checkhost"),
        "url": _text(told, "checkurl"),
        "check_port": _text(told, "checkport"),
        "codes": _text(told, "checkcodes"),
        "pattern": _text(told, "checkpattern"),
        "has_headers": "true" if _text(told, "checkheaders") else "false",
        "has_data": "true" if _text(told, "checkpostdata") else "false",
        "interval": _text(told, "chkinterval"),
        "timeout": _text(told, "chktimeout"),
        "retries": _text(told, "chkretrycount"),
        "persist": _text(told, "persist"),
        "master": _text(told, "mastervsid"),
        "parts": _text(told, "mastervs"),
        "error_code": _text(told, "errorcode"),
        "error_url": _text(told, "errorurl"),
        "reencrypts": _switch(told, "sslreencrypt"),
        "count": _text(told, "numberofrss"),
        "servers": tuple(map(_server, _trees(told, "rs"))),
        "subs": tuple(map(_sub, _trees(told, "subvs"))),
    }
    return row


def _server(told: Tree) -> Row:
    """One real server; `name` is that of DNS where one is set, else address and port."""
    address, port = _text(told, "addr"), _text(told, "port")
    return {
        "name": _text(told, "dnsname") or f"{address}:{port}",
        "index": _text(told, "rsindex"),
        "address": address,
        "port": port,
        "status": _text(told, "status"),
        "enabled": _switch(told, "enable"),
    }


def _sub(told: Tree) -> Row:
    return {"index": _text(told, "vsindex"), "name": _text(told, "name"), "status": _text(told, "status")}


def _trees(told: Tree, name: str) -> Iterator[Tree]:
    """All parts of that name. Raises BadOutput for more than anybody has, and for text in their place."""
    found = told.get(name, ())
    if len(found) > (_SERVICES if name == "vs" else _SUBS):
        of, what = ("it", "virtual services") if name == "vs" else ("a virtual service", "real servers")
        raise BadOutput(f"{of} has {len(found):,} {what}")
    for one in found:
        if not isinstance(one, Mapping):
            raise BadOutput(f"{name} holds text in place of fields")
        yield one


def _text(told: Tree, name: str) -> str:
    """The text of a field; "" where there is none. Raises BadOutput where it is there twice, or holds fields."""
    found = told.get(name, ("",))
    if len(found) != 1 or not isinstance(found[0], str):
        raise BadOutput(f"{name} cannot be read")
    return clip(found[0].strip(), _LONGEST)


def _switch(told: Tree, name: str) -> str | None:
    """Read "true" or "false"; None where it is absent or says neither."""
    return _SWITCHES.get(_text(told, name).casefold())


def _index(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _LARGEST_INDEX:
        raise ValueError("takes the index of a virtual service")
    return str(value)


def _host(value: Value) -> str:
    """A name with a port or without; "" clears it, and None leaves it as it is."""
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not _HOST.fullmatch(value) or ".." in value:
        raise ValueError(f"takes a host name, and {clip(str(value), 60)!a} is none")
    return value


def _yes(value: Value) -> str:
    if value is not None and not isinstance(value, bool):
        raise ValueError("is yes or no")
    return "1" if value else "0"


def _method(value: Value) -> str:
    if value is not None and value not in METHODS:
        raise ValueError(f"takes one of {', '.join(METHODS)}")
    return str(METHODS.index(str(value))) if value else ""


VS = Parameter("vs", _index)
CHANGE = (VS, Parameter("host", _host, None), Parameter("use_1_1", _yes, None), Parameter("method", _method, None))
# What a parameter is called there, and what version 2 takes in place of its text.
NAMES: Mapping[str, tuple[str, Callable[[str], str | int | bool]]] = MappingProxyType(
    {
        "vs": ("vs", str),
        "host": ("CheckHost", str),
        "use_1_1": ("CheckUse1.1", "1".__eq__),
        "method": ("CheckUseGet", int),
    }
)
