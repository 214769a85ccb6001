"""requirements/install.sh: from the lock alone, by its hashes; and uv hears what pip is configured with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASKED = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "SSL_CERT_FILE", "UV_INDEX_STRATEGY")
# A Python and a uv that note how they were called, and with what; of its configuration pip tells what stands in a file.
PYTHON = """#!/bin/sh
case "$*" in *"config get"*) for name in "$@"; do :; done; sed -n "s|^$name=||p" "$NOTES/pip.conf" | grep . ; exit ;; esac
echo "python $*" >>"$NOTES/calls"
for word in "$@"; do [ "$before" = -r ] && cp "$word" "$NOTES/lock"; before=$word; done
case "$*" in *"--no-deps -r"*) cp "$NOTES/uv" "$(dirname "$0")/uv" ;; esac
exit 0
"""
UV = """#!/bin/sh
echo "uv $*" >>"$NOTES/calls"
env >"$NOTES/environment"
"""


@pytest.fixture
def install(tmp_path):
    """A function: run it, and give the calls that it made and the environment that uv had."""

    def run(*words, uv=True, configured=(), **environment):
        binaries = tmp_path / "venv" / "bin"
        binaries.mkdir(parents=True)
        for path, text in ((binaries / "python", PYTHON), (tmp_path / "uv", UV)):
            path.write_text(text, encoding="utf-8")
            path.chmod(0o700)
        if uv:
            (binaries / "uv").write_text(UV, encoding="utf-8")
            (binaries / "uv").chmod(0o700)
        (tmp_path / "pip.conf").write_text("".join(f"{line}\n" for line in configured), encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))}
        clean |= {"NOTES": str(tmp_path), **environment}
        command = ["sh", ROOT / "requirements" / "install.sh", *words, tmp_path / "venv", "python3"]
        subprocess.run(command, check=True, env=clean, capture_output=True, text=True)
        had = tmp_path / "environment"
        told = dict(line.split("=", 1) for line in had.read_text().splitlines() if "=" in line) if had.exists() else {}
        return (tmp_path / "calls").read_text().splitlines(), {name: told.get(name) for name in ASKED}

    return run


@pytest.mark.parametrize("what", ["demo", "test"])
def test_uv_installs_what_the_lock_names_and_nothing_else(install, what):
    calls, environment = install(what)
    lock = ROOT / "requirements" / f"{what}.txt"
    assert calls == [
        f"uv pip install --quiet --require-hashes -r {lock}",
        f"uv pip install --quiet --no-deps --no-build-isolation -e {ROOT} -e {ROOT / 'lab'}",
    ]
    assert environment == dict.fromkeys(ASKED[:4]) | {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_uv_hears_what_pip_is_configured_with(install):
    told = ("global.index-url=https://mirror.example/simple", "install.extra-index-url=https://more.example/simple")
    _, environment = install("demo", configured=(*told, "global.find-links=wheels", "global.cert=ca.pem"))
    assert environment == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://more.example/simple",
        "UV_FIND_LINKS": "wheels",
        "SSL_CERT_FILE": "ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_the_environment_goes_before_pips_files_and_uvs_own_before_both(install):
    _, environment = install(
        "demo",
        configured=("global.index-url=https://file.example/simple", "global.cert=file.pem"),
        PIP_INDEX_URL="https://environment.example/simple",
        SSL_CERT_FILE="own.pem",
    )
    assert environment["UV_DEFAULT_INDEX"] == "https://environment.example/simple"
    assert environment["SSL_CERT_FILE"] == "own.pem"


def test_without_uv_pip_brings_that_alone_by_its_hashes(install, tmp_path):
    calls, _ = install("demo", uv=False)
    first, second, _ = calls
    assert first.startswith("python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r ")
    assert second.startswith("uv pip install --quiet --require-hashes -r ")
    only = (tmp_path / "lock").read_text().splitlines()
    assert [line for line in only if not line.startswith(" ")] == [only[0]]
    assert only[0].startswith("uv==")
    assert all("--hash=sha256:" in line for line in only[1:])


def test_pip_alone_installs_from_the_same_lock_by_its_hashes(install):
    calls, _ = install("test", INSTALLER="pip")
    pip = "python -m pip --disable-pip-version-check install --quiet"
    assert calls == [
        f"{pip} --require-hashes -r {ROOT / 'requirements' / 'test.txt'}",
        f"{pip} --no-deps --no-build-isolation -e {ROOT} -e {ROOT / 'lab'}",
    ]


def test_what_make_starts_writes_bytecode_though_the_environment_forbids_it():
    """Else each of the hundreds of processes that tests start compiles all that it imports."""
    show = ["make", "--no-print-directory", "--eval=show: ; @printenv PYTHONDONTWRITEBYTECODE || echo unset", "show"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    made = subprocess.run(show, check=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.stdout == "unset\n"
