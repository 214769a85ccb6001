"""The changelog has the form of Keep a Changelog 1.1.0, and its newest version is the one that is installed."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # [doc] keepachangelog.com/en/1.1.0
UNRELEASED = "[Unreleased]"
HEADING = re.compile(r"\[([0-9]+)\.([0-9]+)\.([0-9]+)\] - ([0-9]{4}-[0-9]{2}-[0-9]{2})")


def wrong(text: str, newest: str, today: date) -> list[str]:
    """What in a changelog is not of that form."""
    headings = re.findall(r"(?m)^## (.*)$", text)
    found = [] if text.startswith("# Changelog\n") else ["its first line"]
    if headings[:1] != [UNRELEASED]:
        found.append("it does not begin with [Unreleased]")
    released = [(heading, HEADING.fullmatch(heading)) for heading in headings if heading != UNRELEASED]
    found += [heading for heading, read in released if read is None]
    numbers = [tuple(map(int, read.groups()[:3])) for _, read in released if read]
    days = [date.fromisoformat(read[4]) for _, read in released if read]
    if numbers != sorted(set(numbers), reverse=True) or days != sorted(days, reverse=True):
        found.append("versions are not newest first")
    if numbers and ".".join(map(str, numbers[0])) != newest:
        found.append(f"its newest version is not {newest}")
    found += [f"{day} is to come" for day in days if day > today]
    for heading, body in zip(headings, re.split(r"(?m)^## .*$", text)[1:], strict=True):
        sections = re.findall(r"(?m)^### (.*)$", body)
        found += [f"{heading}: {one}" for one in sections if one not in SECTIONS]
        found += [f"{heading}: twice {one}" for one in set(sections) if sections.count(one) > 1]
        lines = re.findall(r"(?m)^- .+$", body)
        if lines and (not sections or body.index("### ") > body.index("\n- ")):
            found.append(f"{heading}: a line in no section")
        if heading != UNRELEASED and not lines:
            found.append(f"{heading}: it says nothing")
    return found


def test_it_has_the_form_and_the_version_that_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert version("hvops") == project["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert wrong(text, project["version"], datetime.now(UTC).date()) == []


GOOD = "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-11-29\n\n### Added\n\n- All.\n"


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("", "", []),
        ("## [Unreleased]\n\n", "", ["it does not begin with [Unreleased]"]),
        ("## [Unreleased]\n", "## [Unreleased]\n\n- A line.\n", ["[Unreleased]: a line in no section"]),
        ("### Added", "### News", ["[0.1.0] - 2026-11-29: News"]),
        ("2026-11-29", "2026-12-01", ["2026-12-01 is to come"]),
        ("[0.1.0] -", "0.1.0 -", ["0.1.0 - 2026-11-29"]),
        ("0.1.0", "0.2.0", ["its newest version is not 0.1.0"]),
        ("- All.\n", "", ["[0.1.0] - 2026-11-29: it says nothing"]),
        ("### Added\n\n", "### Added\n\n### Added\n\n", ["[0.1.0] - 2026-11-29: twice Added"]),
        ("- All.\n", "- All.\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- More.\n", ["versions are not newest first"]),
    ],
)
def test_what_is_not_of_the_form_is_seen(was, becomes, says):
    assert wrong(GOOD.replace(was, becomes), "0.1.0", date(2026, 11, 30)) == says
