"""Whatever command reads the settings prints none of their secrets from then on."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest
import structlog

from bot.logging_setup import _QUIET
from bot.masked_settings import load_masked
from bot.redaction import mask_all

BOT = Path(__file__).parents[2] / "bot"
# The second makes its own mask, also where no settings can be read; the third plays a case in the practice environment.
MAY_LOAD = {"masked_settings.py", "doctor/runner.py", "cli/case.py"}
SETTINGS = """inventory = "inventory.toml"
[credentials.reader]
transport = "ntlm"
username = "CORP\\\\reader"
password = "of-the-reader-1"
[ledger]
database = "postgresql://hvops:Winter-Tulpe-7713@127.0.0.1:1/hvops"
key_file = "ledger.key"
"""


def test_nobody_reads_the_settings_without_a_mask():
    found = set()
    for path in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_it = isinstance(node, ast.ImportFrom) and node.module == "bot.config.settings"
            if is_it and any(name.name == "load" for name in node.names):
                found.add(path.relative_to(BOT).as_posix())
    assert found == MAY_LOAD


def test_nobody_writes_out_what_nobody_masked():
    """But for log lines, which are masked as a whole."""
    found = set()
    for path in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and any(name.name == "escape_masked" for name in node.names):
                found.add(path.relative_to(BOT).as_posix())
    assert found == {"logging_setup.py"}


@pytest.fixture
def logging_as_it_was():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in _QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_as_it_was")
def test_what_a_database_repeats_is_masked_once_the_settings_were_read(tmp_path):
    (tmp_path / "inventory.toml").write_text('[clusters.prod]\ndomain = "corp.example"\nentry_hosts = ["hv01"]\n')
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    assert load_masked(file).secrets()
    assert mask_all("FATAL: you said Winter-Tulpe-7713 and of-the-reader-1") == "FATAL: you said [masked] and [masked]"
