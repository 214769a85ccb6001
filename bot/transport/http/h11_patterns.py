"""Patterns of h11 that take a time which grows with what they read alone, in the place of its own.

h11 reads a header as blanks, a value and blanks, the value being one that may be empty: of a line of blanks that ends in what no
header may hold it tries each place in which the value could be [src]. So 50 KB of blanks held the event loop for four seconds,
in a head, behind a body of chunks, or in what stands behind the length of a chunk. The same lines match as before.
"""

from __future__ import annotations

import re

import h11._readers as readers
from h11._abnf import field_name, vchar_or_obs_text

_HEADER = re.compile(
    rf"(?P<field_name>{field_name}):[ \t]*+"
    rf"(?P<field_value>(?:{vchar_or_obs_text}++(?:[ \t]++{vchar_or_obs_text}++)*)?)[ \t]*+".encode("ascii")
)
_CHUNK = re.compile(
    rb"(?P<chunk_size>[0-9A-Fa-f]{1,20})(?:(?P<chunk_ext>;[^\n]*+)(?<=\r)\n|[ \t]*+\r\n)",
)


def make_linear() -> None:
    """Let h11 read by them, in the whole process. Calling it again changes nothing."""
    readers.header_field_re = _HEADER
    readers.chunk_header_re = _CHUNK
