"""Which kind of loop a trail of redirects is. Pure: addresses alone decide whether it is one, never why.

httpRedirect of IIS puts the rest of the request's path behind its destination unless exactDestination is set, and counts
for everything below it unless childOnly is set [doc: httpRedirect]. So a destination without http:// is a path of the same
site, and grows [note]; one below the redirected site redirects itself again. A destination that begins with a slash is right
by itself: the host of the request is put before it [doc: IIS team's page about the module].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.api.web import Url

_LONGEST = 64  # path segments that are compared
_GROWS = 3  # addresses in a row, each with one more repetition than the one before
_HOST = re.compile(
    r"(?i)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.([a-z]{2,24})(?::[0-9]{1,5})?"
)
_FILES = frozenset(
    [
        "asp",
        "aspx",
        "ashx",
        "asmx",
        "svc",
        "axd",
        "cgi",
        "css",
        "csv",
        "dll",
        "do",
        "doc",
        "docx",
        "exe",
        "gif",
        "htm",
        "html",
        "ico",
        "jpeg",
        "jpg",
        "js",
        "jsf",
        "json",
        "jsp",
        "jspx",
        "map",
        "md",
        "mvc",
        "pdf",
        "php",
        "pl",
        "png",
        "svg",
        "txt",
        "wasm",
        "webp",
        "woff",
        "xls",
        "xlsx",
        "xml",
        "zip",
    ]
)


class Kind(StrEnum):
    """What repeats."""

    NO_SCHEME = "no scheme"  # what looks like a host name is appended again and again
    GROWS = "the path grows"
    QUERY_GROWS = "the query grows"
    TLS_TO_ITSELF = "https to itself"
    TO_ITSELF = "to itself"
    SCHEMES = "between http and https"
    HOSTS = "between hosts"
    PATHS = "between paths"


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop.

    Attributes:
        urls: the addresses of one round; of one that grows, those that were compared.
        block: what a growing path repeats: "www.corp.example/app"; "" otherwise.
    """

    kind: Kind
    urls: tuple[Url, ...]
    block: str = ""


def find_loop(asked: Sequence[Url], following: Url) -> Loop | None:
    """The loop that is closed by going on to `following`; None where none is known yet."""
    if following in asked:
        return _circle(tuple(asked[list(asked).index(following) :]))
    last = (*asked, following)[-_GROWS:]
    if len(last) < _GROWS or len({(url.scheme, url.host, url.port) for url in last}) > 1:
        return None
    block = repeated(following.path)
    counts = [_times(block, _segments(url.path)) for url in last]
    if block and 0 < counts[0] < counts[1] < counts[2]:
        kind = Kind.NO_SCHEME if is_like_a_host(block[0]) else Kind.GROWS
        return Loop(kind, last, "/".join(block))
    lengths = [len(url.target) for url in last]
    if len({url.path for url in last}) == 1 and lengths[0] < lengths[1] < lengths[2]:
        return Loop(Kind.QUERY_GROWS, last)
    return None


def _circle(urls: tuple[Url, ...]) -> Loop:
    if len(urls) == 1:
        return Loop(Kind.TLS_TO_ITSELF if urls[0].scheme == "https" else Kind.TO_ITSELF, urls)
    if len({url.host for url in urls}) > 1:
        return Loop(Kind.HOSTS, urls)
    return Loop(Kind.SCHEMES if len({url.scheme for url in urls}) > 1 else Kind.PATHS, urls)


def is_like_a_host(segment: str) -> bool:
    """Whether a part of a path looks like the name of a host, and not like that of a file."""
    found = _HOST.fullmatch(segment)
    return found is not None and (found[1].lower() not in _FILES or segment.lower().startswith("www."))


def repeated(path: str) -> tuple[str, ...]:
    """The segments that a path repeats one after the other, those that cover most of it; () where it repeats none."""
    segments = _segments(path)
    best: tuple[str, ...] = ()
    covered = 0
    for size in range(1, len(segments) // 2 + 1):
        for start in range(len(segments) - 2 * size + 1):
            block = segments[start : start + size]
            length = size * _run(block, segments, start)
            if length > max(size, covered):
                best, covered = block, length
    return best


def _run(block: Sequence[str], segments: Sequence[str], start: int) -> int:
    """How often a block stands there, one after the other."""
    size, count = len(block), 0
    while segments[start + count * size : start + (count + 1) * size] == block:
        count += 1
    return count


def _times(block: tuple[str, ...], segments: tuple[str, ...]) -> int:
    """How often it stands in a row, at most."""
    if not block:
        return 0
    return max((_run(block, segments, start) for start in range(len(segments))), default=0)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)[:_LONGEST]
