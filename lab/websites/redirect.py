"""The Location that httpRedirect answers with.

Enabled, with a destination: the rest of the request's path below the redirected directory is put behind the destination,
unless exactDestination is set [doc]. A destination with a scheme is used as it stands, one that begins with a slash gets the
scheme and the host of the request before it [doc: IIS team's page about the module, K. Singla]. One with neither stays as it
is: clients take it for a path relative to where they are, which grows with each redirect [note: the three-fold path there].
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.websites.model import HttpRedirect


def effective(redirects: Mapping[str, HttpRedirect], path: str) -> tuple[str, HttpRedirect] | None:
    """The directory whose setting counts for a path, and the setting: the nearest above it."""
    above = [where for where in redirects if path.startswith(_directory(where)) or path == where.rstrip("/")]
    return max(((where, redirects[where]) for where in above), key=lambda found: len(found[0]), default=None)


def location(found: tuple[str, HttpRedirect] | None, scheme: str, host: str, path: str, query: str) -> str | None:
    """Where a request is sent; None where it is not.

    Args:
        found: what `effective` answered.
        scheme: over which the server sees the request.
        host: the Host header; without one, the server's own address.
        path: of the request.
        query: of the request, without its question mark.
    """
    if found is None or not found[1].enabled or not found[1].destination:
        return None
    where, setting = found
    rest = path.removeprefix(_directory(where)) if path.startswith(_directory(where)) else ""
    if setting.child_only and "/" in rest:
        return None
    target = setting.destination
    if target.startswith("/"):
        target = f"{scheme}://{host}{target}"
    if not setting.exact_destination:
        target = target.rstrip("/") + "/" + rest
        target += f"?{query}" if query else ""
    return target


def _directory(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"
