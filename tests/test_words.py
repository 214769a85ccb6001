"""What people read is plain operations English: no pattern of `words.toml` is in any rendered text.

Rendered means: all that `tests/snapshots` keeps, questions before a press among it, the terminal's help, the practice page and its tours, README, docs/ and what
lies in deploy/. The source is free, and so are code, addresses, and what others said.
"""

from __future__ import annotations

import html
import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.scenarios import stories, tour

ROOT = Path(__file__).parents[1]
PATTERNS: list[dict[str, Any]] = tomllib.loads((ROOT / "tests" / "words.toml").read_text("utf-8"))["pattern"]
_CODE = (
    r"(?ms)^ *```.*?^ *```\n?",
    r"(?m)^(?: {4}|\t)\S.*$",  # a block of code, in the docs only
    r"`[^`\n]*`",
    r"https?://\S+",
    r"\btest_\w+",
)


def _plain(text: str, *, marked: bool) -> str:
    """Text as people see it: without code and marks, each run of blanks one blank; a phrase that wraps is found."""
    for code in _CODE if marked else (*_CODE[2:],):
        text = re.sub(code, " ", text)
    return re.sub(r"\s+", " ", re.sub(r"[*_]+", "", text))


def _of_lab(name: str) -> str:
    """A scenario as the page shows it: its sentence in the menu, and the tour."""
    steps = (f"{step.title} {step.says}" for step in tour(name))
    return " ".join((stories()[name], *steps))


@cache
def rendered() -> dict[str, str]:
    """Where -> what people read there."""
    docs = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")]
    docs = [path for path in docs if path.name != "licences.md"]
    kept = sorted((ROOT / "tests" / "snapshots").rglob("*.txt"))
    sent = sorted((ROOT / "tests" / "snapshots").rglob("*.json"))
    config = [ROOT / "deploy" / name for name in ("settings.toml", "inventory.toml", "slack.yaml")]
    found = {path.relative_to(ROOT).as_posix(): _plain(path.read_text("utf-8"), marked=True) for path in docs}
    found |= {path.relative_to(ROOT).as_posix(): _plain(path.read_text("utf-8"), marked=False) for path in kept}
    found |= {path.relative_to(ROOT).as_posix(): _sentences(json.loads(path.read_text("utf-8"))) for path in sent}
    found |= {path.relative_to(ROOT).as_posix(): _comments(path.read_text("utf-8")) for path in config}
    found |= {f"lab/scenarios/{name}": _plain(_of_lab(name), marked=False) for name in stories()}
    found |= {path.relative_to(ROOT).as_posix(): _strings(path.read_text("utf-8")) for path in _pages()}
    return found


def _pages() -> Iterator[Path]:
    yield from sorted((ROOT / "lab" / "slack" / "page").glob("*.js"))
    yield from sorted((ROOT / "lab" / "slack" / "page").glob("*.html"))


def _strings(source: str) -> str:
    """The sentences of a page: quoted text with a blank in it, and what stands between tags; no comments."""
    source = re.sub(r"(?s)/\*.*?\*/|<!--.*?-->|(?<!:)//[^\n]*", "", source)
    source = re.sub(r"\$\{[^{}]*\}", "…", source)
    quoted = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'|`([^`]*)`|>([^<>{}]*)<", source)
    return _plain(" . ".join(text for groups in quoted for text in groups if " " in text.strip()), marked=False)


def _sentences(sent: Any) -> str:
    """What a message or window says in all of its parts, in questions before a press and hints, too, which no picture shows."""
    if isinstance(sent, str):
        return _plain(html.unescape(sent), marked=False) if " " in sent.strip() else ""
    parts = sent.values() if isinstance(sent, dict) else sent if isinstance(sent, list) else ()
    return " . ".join(told for told in map(_sentences, parts) if told)


def _comments(text: str) -> str:
    """What a configuration file says in its comments and descriptions."""
    lines = (line.partition("#")[2] if "#" in line else line for line in text.splitlines())
    return _plain("\n".join(lines), marked=False)


def found_in(pattern: dict[str, Any], where: str, text: str) -> list[str]:
    """Each place of a text where a pattern is found, with words around it; without those that are excepted."""
    if where and not fnmatch(where, pattern.get("in", "*")):
        return []
    free = [one["text"] for one in pattern.get("except", ()) if fnmatch(where, one["in"])]
    hits = []
    for hit in re.finditer(pattern["finds"], text):
        around = text[max(0, hit.start() - 60) : hit.end() + 40]
        if not any(one in around for one in free):
            hits.append(f"{where}: …{around}…")
    return hits


@pytest.mark.parametrize("pattern", PATTERNS, ids=[one["name"] for one in PATTERNS])
def test_no_text_that_people_read_has_it(pattern):
    hits = [hit for where, text in rendered().items() for hit in found_in(pattern, where, text)]
    assert not hits, f"{pattern['why']}; say instead: {pattern['say']}\n" + "\n".join(hits)


@pytest.mark.parametrize("pattern", PATTERNS, ids=[one["name"] for one in PATTERNS])
def test_each_pattern_finds_what_it_is_there_for(pattern):
    for bad in pattern["bad"]:
        assert found_in(pattern, "", _plain(bad, marked=False)), bad
    for good in pattern["good"]:
        assert not found_in(pattern, "", _plain(good, marked=False)), good


def test_each_exception_is_still_needed():
    """An exception whose text is gone would let the next one through."""
    for pattern in PATTERNS:
        for one in pattern.get("except", ()):
            places = [text for where, text in rendered().items() if fnmatch(where, one["in"])]
            assert any(one["text"] in text for text in places), (pattern["name"], one)
