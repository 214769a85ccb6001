from __future__ import annotations

import pytest

from lab.cases.case import load

HEAD = """\
title = "It is so."
source = ["a test"]
line = "/check-writers prod"
"""
END = """
[expect]
exit = 0
"""


@pytest.fixture
def written(tmp_path):
    """A function: a case file with this in it, `top` before its tables."""

    def write(body: str = "", top: str = "", end: str = END):
        file = tmp_path / "case.toml"
        file.write_text(f"{HEAD}{top}\n{body}{end}", encoding="utf-8")
        return file

    return write


@pytest.fixture
def loaded(written):
    return lambda *args, **options: load(written(*args, **options))
