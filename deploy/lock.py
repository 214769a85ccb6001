"""Write deploy/requirements.lock: what hvops needs, each package with its version and the hash of its file.

    python deploy/lock.py        # or: make lock

Asks pip what it would install on this machine, so run it with the image's Python version and processor type.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-")
WANTED = f"{ROOT}[postgresql]"  # one image for either store


def main() -> None:
    """Resolve, and write."""
    told = subprocess.run([*PIP, WANTED], check=True, capture_output=True, text=True)  # noqa: S603 - pip, and no input
    lines = [
        f"# Made by `make lock` for Python {sysconfig.get_python_version()} on {sysconfig.get_platform()}; do not edit.",
        "# Read by pip: pip install --require-hashes --no-deps -r requirements.lock",
    ]
    for one in sorted(json.loads(told.stdout)["install"], key=lambda one: one["metadata"]["name"].lower()):
        hashes = one["download_info"].get("archive_info", {}).get("hashes", {})
        name, version = one["metadata"]["name"], one["metadata"]["version"]
        if name != "hvops":
            lines.append(f"{name}=={version} --hash=sha256:{hashes['sha256']}")
    (ROOT / "deploy" / "requirements.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
