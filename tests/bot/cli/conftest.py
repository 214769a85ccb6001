"""The command line in this process, and a practice estate that answers."""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import dataclass

import pytest
import structlog

from bot.__main__ import main
from lab.plugin import PRACTICE


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch, tmp_path):
    """Eighty columns, no colours, nobody's own settings."""
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def logs_as_before():
    """The command line sends logs to the standard error of its own time; afterwards they go where they went."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def hooks_as_before(monkeypatch):
    """What nobody caught is the tests' again once a command line has ended in this process."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


@pytest.fixture
def hvops(monkeypatch, capsys):
    """A function that runs one command line."""

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hvops", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    """The settings file of a practice estate with the stuck writer."""
    with PRACTICE.start("stuck-writer", tmp_path_factory.mktemp("stuck")) as running:
        yield running.settings_path


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """The settings file of a practice estate where all is well."""
    with PRACTICE.start("healthy", tmp_path_factory.mktemp("healthy")) as running:
        yield running.settings_path
