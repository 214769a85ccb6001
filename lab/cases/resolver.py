"""Names for which the resolver has no answer. The one thing of a case that no server can say: a resolver is the machine's own.

So it is said where Python asks it, in `socket.getaddrinfo`, for these names alone, and for as long as a case is played.
Numbers and texts: getaddrinfo of glibc [doc].
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

ERRORS = {
    "does not answer": (socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "knows no such name": (socket.EAI_NONAME, "Name or service not known"),
}


@contextmanager
def without_answer(names: Mapping[str, str]) -> Iterator[None]:
    """Let the resolver fail for these names (name -> a key of ERRORS), in any case; all others are resolved as ever."""
    if not names:
        yield
        return
    real, low = socket.getaddrinfo, {name.casefold(): ERRORS[why] for name, why in names.items()}

    def asked(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        found = low.get(name.casefold().rstrip("."))
        if found is not None:
            raise socket.gaierror(*found)
        return real(host, *args, **options)

    with patch.object(socket, "getaddrinfo", asked):
        yield
