"""Under which name a machine counts, however a person, the inventory, a guest or another host writes it.

Locks, connections, places for runs, roles and logins all go by this one spelling: by two, one host would have twice of
each, and by a spelling that is too free, one host would have another one's.
"""

from __future__ import annotations

import unicodedata

LONGEST = 255  # characters of a name of DNS [doc]: RFC 1035


def host_key(name: str) -> str:
    """The spelling by which a name counts.

    Case makes no difference, nor do full-width letters and others that are only another form of a letter (NFKC), nor the dot
    that ends a name of DNS, nor spaces around it. A letter that is another one in some language alone (ı, İ) stays itself:
    it is part of no computer's name here.

    What is longer than any name of DNS is the name of nothing: it stays as it is, so that it counts as no machine's, and nobody
    chooses how long its letters and marks are put in order, for which Python needs the square of their number.
    """
    if len(name) > LONGEST:
        return name
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return plain.strip().removesuffix(".").lower()


def host_parts(name: str) -> tuple[str, str]:
    """Label and domain of a name, as they count; the domain is "" where none is written."""
    label, _, domain = host_key(name).partition(".")
    return label, domain
