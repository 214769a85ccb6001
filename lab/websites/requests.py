"""The head of a request, as http.sys reads it: what it refuses, it refuses before any site hears of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_HEAD = 16 * 1024  # MaxRequestBytes of http.sys [doc]
_LINE = re.compile(r"([A-Z]{1,20}) (\S{1,8000}) HTTP/1\.([01])")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class BadRequest(ValueError):
    """A head that http.sys answers with 400; the text is the reason that it gives."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        host: the Host header in lower case, without its port; "" where there is none, as HTTP/1.0 allows.
        authority: the same with its port.
    """

    method: str
    path: str
    query: str
    version: str
    host: str
    authority: str
    has_cookie: bool = False


def read(head: bytes) -> Request:
    """Read a head. Raises BadRequest."""
    lines = head.decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(lines[0])
    if found is None:
        raise BadRequest("Invalid Verb" if " HTTP/" in lines[0] else "Bad Request")
    hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
    if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])) or (found[3] == "1" and not hosts):
        raise BadRequest("Invalid Hostname" if hosts else "Invalid Header")
    authority = hosts[0].lower() if hosts else ""
    path, _, query = found[2].partition("?")
    host = authority if authority.startswith("[") else authority.partition(":")[0]
    has_cookie = any(line.lower().startswith("cookie:") for line in lines[1:])
    return Request(found[1], path, query, f"1.{found[3]}", host, authority, has_cookie)
