"""A bug of ours at a terminal or under systemd: said in a sentence, logged under an id, and without secrets."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

SECRET = "Winter-Tulpe-7713"
SETTINGS = f"""inventory = "inventory.toml"
[credentials.reader]
transport = "ntlm"
username = "CORP\\\\reader"
password = "{SECRET}"
[ledger]
path = "ledger.db"
"""
_BEGINNING = f"""
import sys, threading
import bot.cli.break_glass as break_glass
from bot.__main__ import main
class Driver(Exception): pass
def fails(*_): raise Driver("login failed: PWD={SECRET};")
def fails_in_a_thread(*_):
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    return 0
class Dropped:
    def __del__(self): fails()
def fails_where_nobody_can_catch_it(*_):
    Dropped()
    return 0
"""


def run(tmp_path, replacement, *words):
    """Run a command line whose `hvops runs` is that function."""
    code = f"{_BEGINNING}\nbreak_glass.runs = {replacement}\nsys.argv = {['hvops', *map(str, words)]!r}\nmain()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "inventory.toml").write_text(
        '[clusters.prod]\ndomain = "corp.example"\nentry_hosts = ["hv01"]\n', "utf-8"
    )
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, "utf-8")
    file.chmod(0o600)
    return file


def test_what_nobody_caught_is_said_and_logged_without_secrets(tmp_path, settings):
    ended = run(tmp_path, "fails", "runs", "--settings", settings)
    bug = re.search(r"inside hvops itself \(id ([0-9a-f]{8})\)", ended.stderr)
    assert bug, ended.stderr
    logged = next(line for line in ended.stderr.splitlines() if line.startswith("{"))
    assert bug[1] in logged
    assert "Driver" in logged  # the traceback, in one line of the log
    assert SECRET not in ended.stderr
    assert (ended.returncode, ended.stdout) == (70, "")


@pytest.mark.parametrize("where", ["fails_in_a_thread", "fails_where_nobody_can_catch_it"])
def test_neither_is_it_printed_as_it_is_where_it_ends_nothing(tmp_path, settings, where):
    ended = run(tmp_path, where, "runs", "--settings", settings)
    assert '"bug"' in ended.stderr
    assert "Driver" in ended.stderr
    assert SECRET not in ended.stderr
    assert "Traceback" not in [line.split(" (")[0] for line in ended.stderr.splitlines()]
    assert ended.returncode == 0


def test_before_the_settings_are_read_the_known_spellings_are_masked(tmp_path):
    code = f"{_BEGINNING}\nimport bot.__main__ as line\nline._ready = fails\nsys.argv = ['hvops', 'runs']\nmain()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "inside hvops itself" in ended.stderr
    assert SECRET not in ended.stderr
    assert ended.returncode == 70
