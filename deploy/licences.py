"""Write deploy/licences.md: the licence of each package that the container installs.

    python deploy/licences.py        # make lock does it

Reads what each package says of itself, as installed here; a package for another system is not installed, and not listed.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "deploy.txt"
HEAD = """\
# Licences of what the container installs

hvops itself is under the MIT licence. The Python packages of `requirements/deploy.txt`, as each names its own licence; made by
`make lock`. Debian's packages in the image have theirs in `/usr/share/doc/*/copyright` there.

| Package | Version | Licence |
|---|---|---|
"""


def main() -> None:
    """Look each package up, and write."""
    rows = []
    for name, version in re.findall(r"(?m)^([\w.-]+)==([\w.]+)", LOCK.read_text(encoding="utf-8")):
        try:
            told = metadata(name)
        except PackageNotFoundError:
            continue
        rows.append(f"| {name} | {version} | {licence(told)} |\n")
    (ROOT / "deploy" / "licences.md").write_text(HEAD + "".join(rows), encoding="utf-8")


def licence(told: PackageMetadata) -> str:
    """As an expression of SPDX where the package has one, else by its classifiers, else in its own words."""
    if expression := told.get("License-Expression"):
        return expression
    classifiers = [
        one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith("License ::")
    ]
    return ", ".join(classifiers) or (told.get("License") or "").partition("\n")[0].strip() or "not stated"


if __name__ == "__main__":
    main()
