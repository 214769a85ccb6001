"""Every incident of this folder, over the wire. What hvops gets wrong today is expected to be wrong, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import lab_plugin
from bot.cli.case import play
from lab.cases.schema import read

HERE = Path(__file__).parent


def every():
    for file in sorted(HERE.glob("*.toml")):
        known = read(file).wrong_today
        marks = [pytest.mark.xfail(reason=known, strict=True, raises=AssertionError)] if known else []
        yield pytest.param(file, id=file.stem, marks=marks)


@pytest.mark.parametrize("file", list(every()))
def test_it_is_answered_rightly(file):
    played = play(lab_plugin.read_case(lab_plugin.find(), file))
    assert not played.wrong, "\n".join(played.wrong)
