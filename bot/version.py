"""Which code this is: the version, and a digest of every file that decides what a plan does.

An approval signs it. A plan that was approved before an upgrade, or before somebody edited a rule, is not the plan
that would run now, even where it reads the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points, version
from pathlib import Path

from bot.dispatch.registry import ENTRY_POINTS

_KINDS = frozenset({".py", ".toml"})


@cache
def code_version() -> str:
    """The version of what runs here: "0.1.0+3f9a12cd04"."""
    packages = [Path(__file__).parent]
    for entry in entry_points(group=ENTRY_POINTS):
        packages += [Path(folder) for folder in entry.load().__path__]
    return f"{version('hvops')}+{files_digest(packages)[:10]}"


def files_digest(folders: Iterable[Path]) -> str:
    """SHA-256 over names and bytes of all code and rules below those folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(one for one in folder.rglob("*") if one.suffix in _KINDS and one.is_file()):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
