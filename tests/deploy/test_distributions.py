"""Production installs hvops alone; hvops-lab brings the practice environment. Both as built, with the checkout out of sight."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
CASE = """\
title = "Whoever logs in by Kerberos needs it installed."
source = ["made here"]
line = "/check-writers prod"
[settings.credentials.reader]
transport = "kerberos"
username = "reader@CORP.EXAMPLE"
[expect]
says = ["Kerberos is not installed", "hvops[kerberos]"]
"""
NOBODY = "http://127.0.0.1:9/api/"  # the discard port: no Slack answers there


class Installed:
    """An environment of its own, whose libraries are those of this one, or of them those that a lock names; not hvops itself."""

    def __init__(self, directory: Path, lock: Path | None = None):
        self.directory = directory
        venv.create(directory / "venv", with_pip=False)
        self.python = directory / "venv" / "bin" / "python"
        here = Path(sysconfig.get_path("purelib"))
        shared = {path for line in here.glob("*.pth") for path in _folders(line)} | {here}
        (libraries := directory / "libraries").mkdir()
        wanted = None if lock is None else _files_of(lock)
        for path in sorted(one for folder in shared for one in folder.iterdir()):
            if wanted is not None and path.name not in wanted:
                continue
            if not path.name.startswith(("hvops", "_editable_impl_hvops")) and not (libraries / path.name).exists():
                (libraries / path.name).symlink_to(path)
        site = next((directory / "venv" / "lib").glob("python3*/site-packages"))
        (site / "libraries.pth").write_text(f"{libraries}\n")

    def install(self, wheel: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", self.python]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True)

    def hvops(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        away = self.directory / "elsewhere"
        away.mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HVOPS_", "PYTHON"))}
        return subprocess.run(
            [self.python.with_name("hvops"), *arguments],
            cwd=away,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def finds(self, module: str) -> bool:
        # -I: neither PYTHONPATH nor the working directory
        done = subprocess.run([self.python, "-I", "-c", f"import {module}"], capture_output=True, check=False)
        return done.returncode == 0


def _files_of(lock: Path) -> set[str]:
    """What the packages of a lock have beside each other, as far as they are installed here (some are for Windows)."""
    names = re.findall(r"(?m)^([\w.-]+)==", lock.read_text())
    found = [files for name in names for files in [_installed(name)] if files is not None]
    assert len(found) > len(names) - 5
    return {path.parts[0] for files in found for path in files if not path.parts[0].startswith("..")}


def _installed(name: str) -> list[PackagePath] | None:
    try:
        return distribution(name).files
    except PackageNotFoundError:
        return None


def _folders(pth: Path) -> list[Path]:
    """The folders of libraries that a .pth file adds; never a checkout."""
    lines = [Path(line) for line in pth.read_text().splitlines() if line and not line.startswith("import")]
    return [line for line in lines if line.is_dir() and not (line / "bot").is_dir()]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Both wheels, by the name of their distribution."""
    built = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "lab"):
        build = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]
        done = subprocess.run([*build, built, folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return {wheel.name.partition("-")[0]: wheel for wheel in built.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheels):
    made = Installed(tmp_path_factory.mktemp("production"))
    made.install(wheels["hvops"])
    return made


@pytest.mark.parametrize(("name", "rooms"), [("hvops", ("bot", "commands")), ("hvops_lab", ("lab",))])
def test_a_wheel_carries_every_file_of_its_rooms_and_no_other(wheels, name, rooms):
    with ZipFile(wheels[name]) as wheel:
        carried = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = {path for room in rooms for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert carried == {path.relative_to(ROOT).as_posix() for path in files} - {"lab/pyproject.toml"}


def test_production_shows_no_demo_and_works(installed, wheels, tmp_path):
    assert installed.finds("bot")
    assert installed.finds("commands.rules")
    assert not installed.finds("lab")
    helped = installed.hvops("--help")
    assert helped.returncode == 0, helped.stderr
    assert "doctor" in helped.stdout
    assert "demo" not in helped.stdout
    assert "--lab" not in installed.hvops("ask", "--help").stdout

    manifest = installed.hvops("manifest")
    assert manifest.stdout == (ROOT / "deploy" / "slack.yaml").read_text()

    settings = tmp_path / "settings.toml"
    example = (ROOT / "deploy" / "settings.toml").read_text()
    settings.write_text(example.replace("[slack]", f'[slack]\nbase_url = "{NOBODY}"', 1))
    (tmp_path / "inventory.toml").write_text((ROOT / "deploy" / "inventory.toml").read_text())
    doctor = installed.hvops("doctor", "--settings", str(settings))
    assert doctor.returncode == 1, doctor.stderr
    assert "viewer, operator, approver" in doctor.stdout
    assert "FAIL" in doctor.stdout
    assert "Traceback" not in doctor.stdout + doctor.stderr

    # The order is the point: the second distribution is added to the first.
    installed.install(wheels["hvops_lab"])
    assert "demo" in installed.hvops("--help").stdout
    asked = installed.hvops("ask", "--lab", "/check-writers prod")
    assert asked.returncode == 1, asked.stderr  # findings
    assert "LOOKS STUCK on hv03" in asked.stdout


def test_the_demo_and_ntlm_need_no_kerberos(tmp_path, wheels):
    """What `make demo` installs is enough for a whole diagnosis; a login by Kerberos is refused with what to install."""
    demo = Installed(tmp_path, ROOT / "requirements" / "demo.txt")
    demo.install(wheels["hvops"])
    demo.install(wheels["hvops_lab"])
    for compiled in ("kerberos", "krb5", "gssapi"):
        assert not demo.finds(compiled)
    asked = demo.hvops("ask", "--lab", "/check-writers prod")
    assert asked.returncode == 1, asked.stderr  # findings
    assert "LOOKS STUCK on hv03" in asked.stdout
    case = tmp_path / "kerberos.toml"
    case.write_text(CASE)
    played = demo.hvops("ask", "--lab", str(case))
    assert played.returncode == 0, played.stdout + played.stderr
