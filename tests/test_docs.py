"""The docs say what the code has: each word of a verdict and of a ticket, each command line, setting, button and link."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from bot.__main__ import app
from bot.audit import filter_syntax
from bot.config.inventory_file import InventoryFile
from bot.config.settings import Settings
from bot.dispatch.builtins import BUILTINS
from bot.dispatch.registry import Registry
from bot.ledger import OUTCOMES
from bot.ledger.ticket_state import ENDS, TicketState
from commands.vss.writer_verdict import WriterStatus
from tests.pictures.gallery import PARTS, page_of

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
GUIDE = (ROOT / "docs" / "operators-guide.md").read_text("utf-8")
WORD = re.compile(r"[A-Z][A-Z0-9 -]{1,22}")
# Capital letters where findings are made that are no verdict: columns and units of tables, a code page, what a host is asked.
NO_VERDICTS = frozenset({"EFI", "GB", "MB", "KB", "VSS", "OEM "})
COMMANDS = typer.main.get_command(app)
SLASH = {command.name for command in Registry.load()} | {"hvops", "audit"} | {name.split()[0] for name in BUILTINS}
MARKS = frozenset({"cap", "doc", "src", "note", "mem"})  # of where a fact about Windows comes from
PLACEHOLDERS = frozenset({"your-command", "command", "approve"})


def spans(text: str) -> Iterator[str]:
    """What stands in code: between backticks, and each line of a block."""
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    for block in blocks:
        yield from block.splitlines()
    yield from (line for line in text.splitlines() if line.startswith("    "))
    without = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", without)


# words


def verdicts() -> dict[str, str]:
    """Each word with which a finding begins -> a file that has it."""
    found = {word.value: "commands/vss/writer_verdict.py" for word in WriterStatus}
    for path in (*(ROOT / "commands").rglob("*.py"), ROOT / "bot" / "tickets" / "plan_report.py"):
        source = path.read_text("utf-8")
        if not re.search(r"\b(Finding|Healthy)\b", source) and path.parent.name != "host_access":
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
                found[node.value] = path.relative_to(ROOT).as_posix()
    return {word: path for word, path in found.items() if word not in NO_VERDICTS}


def rows(text: str) -> list[list[str]]:
    """The rows of all tables, each as its cells."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]


def guide_words() -> set[str]:
    return {cells[0] for cells in rows(GUIDE) if WORD.fullmatch(cells[0])}


def test_every_word_of_a_verdict_stands_in_the_operators_guide():
    missing = {word: path for word, path in verdicts().items() if word not in guide_words()}
    assert missing == {}, "add a row to docs/operators-guide.md: what it means, and which button next"


def test_the_operators_guide_has_no_word_that_nothing_says():
    said = {*verdicts(), "UNKNOWN", "WARNING"}
    assert guide_words() - said == set()


def test_every_state_and_end_of_a_ticket_stands_in_the_operators_guide():
    states = {cells[0] for cells in rows(GUIDE.split("## States of a ticket")[1])}
    assert {str(state) for state in TicketState} | ENDS <= states


def test_every_row_of_the_guide_says_what_it_means_and_what_to_do():
    for cells in rows(GUIDE):
        assert len(cells) >= 2
        if WORD.fullmatch(cells[0]):
            assert len(cells) == 3
            assert all(cells), cells


def test_every_button_of_the_guide_is_drawn_by_the_bot():
    drawn = "\n".join(path.read_text("utf-8") for path in (ROOT / "bot").rglob("*.py"))
    for label in set(re.findall(r"\*([A-Z][\w ]+…?)\*", GUIDE.split("## States of a ticket")[1])):
        assert f'"{label}"' in drawn or f'"{label}…"' in drawn, label


def test_the_outcomes_of_a_review_stand_in_the_install_guide():
    text = (ROOT / "deploy" / "README.md").read_text("utf-8")
    for word in OUTCOMES:
        assert f"`{word}`" in text or f"*{word}*" in text or f"--outcome {word}`" in text, word


def test_the_glossary_is_in_order_and_says_each_word_once():
    words = [cells[0] for cells in rows((ROOT / "docs" / "glossary.md").read_text("utf-8"))][1:]
    assert words == sorted(set(words), key=str.casefold)


def test_what_troubleshooting_quotes_is_said_by_the_bot_or_by_slack():
    text = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    said = "\n".join(
        path.read_text("utf-8") for room in ("bot", "commands", "lab/slack") for path in (ROOT / room).rglob("*.py")
    )
    said = re.sub(r'"\s*\n\s*f?"', "", said)  # a sentence over two lines
    for cells in rows(text):
        for quoted in re.findall(r"[\"`]([^\"`]+)[\"`]", cells[0].replace('failed with the error "', "")):
            assert quoted.strip('" ') in said, quoted


# the README


def test_the_readme_says_who_may_what_before_any_command():
    text = (ROOT / "README.md").read_text("utf-8")
    order = [
        text.index(one)
        for one in ("**approver**", "docs/approvers.md", "\n## Try it", "\n## Which command", "/check-writers")
    ]
    assert order[:4] == sorted(order[:4])
    assert order[0] < order[4]
    assert text.index("**approver**") < 1_800, "on the first screen"
    assert text.index("## Which command") < text.index("### The field notes")


def test_every_page_is_named_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name}" in index or f"{page.name})" in index, page.name


# command lines


@pytest.mark.parametrize("name", NAMES)
def test_every_command_line_of_hvops_exists(name):
    for span in spans((ROOT / name).read_text("utf-8")):
        for found in re.finditer(r"(^|bin/|\s)hvops ([a-z-][^;&|`]*)", span.split(" # ", maxsplit=1)[0]):
            is_meant = found[1] == "bin/" or not span[: found.start()].strip()
            if is_meant or found[2].split()[0] in COMMANDS.commands:
                check_line(found[2], f"{name}: {span}")


def check_line(line: str, where: str) -> None:
    line = re.sub(r"<\(.*?\)|…|<[a-z-]+>", "x", line)
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    command, path = COMMANDS, []
    while words and hasattr(command, "commands"):
        if words[0] in ("x", "--help", "--version"):
            return
        if words[0] not in command.commands:
            assert not path, f"no such command: {where}"
            assert not re.match(r"[a-z-]+$", words[0]), f"no such command: {where}"
            return
        path.append(words[0])
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"}
    for word in words:
        if word.startswith("/"):
            check_slash(word, where)
        elif re.match(r"--?[a-z]", word) and " " not in word:
            assert word.split("=")[0] in known, f"no such option {word}: {where}"


@pytest.mark.parametrize("name", NAMES)
def test_every_slash_command_exists(name):
    for span in spans((ROOT / name).read_text("utf-8")):
        if span.startswith("/") and not re.match(r"/[a-z.]+/|/practice", span):
            check_slash(span, f"{name}: {span}")


def check_slash(line: str, where: str) -> None:
    found = re.match(r"/([a-z][a-z-]*)(?=$|[\s,.;])", line)
    if found is None or found[1] in PLACEHOLDERS or found[1] in ("invite", "remove", "opt", "etc", "tmp"):
        return
    assert found[1] in SLASH, f"no such command: {where}"
    options = set(re.findall(r"(?<=\s)--([a-z]+)", line))
    if found[1] == "audit":
        assert options <= {one.name for one in filter_syntax.PARAMETERS}, where
    elif found[1] != "hvops" and options:
        (command,) = [one for one in Registry.load() if one.name == found[1]]
        assert options <= {one.name.replace("_", "-") for one in command.parameters}, where


# settings


@functools.cache
def keys_of(model: type[BaseModel]) -> frozenset[str]:
    """All keys of a model and of what is in it."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(name)
        for part in parts(field.annotation):
            found |= keys_of(part)
    return frozenset(found)


def parts(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in getattr(annotation, "__args__", ()):
        yield from parts(one)
    if hasattr(annotation, "__value__"):
        yield from parts(annotation.__value__)


NEW = [
    f"docs/{name}.md"
    for name in ("operators-guide", "approvers", "auditors", "troubleshooting", "faq", "glossary", "running")
]


@pytest.mark.parametrize("name", ["README.md", "deploy/README.md", *NEW])
def test_every_setting_exists(name):
    known = keys_of(Settings) | keys_of(InventoryFile)
    for span in spans((ROOT / name).read_text("utf-8")):
        for table in re.findall(r"(?<![\w.])\[\[?([a-z_]+(?:\.[\w*-]+)*)\]\]?(?![(\w])", span):
            if table in MARKS:
                continue
            assert table.split(".")[0] in known, f"no such table: {span}"
            second = table.split(".")[1:2]
            if table.startswith(("roles.", "credentials.")):
                assert second[0] in known | {"*"}, f"no such table: {span}"
        if assigned := re.match(r"\s*([a-z_]+) = \S", span):
            assert assigned[1] in known, f"no such setting: {span}"


# links


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name):
    page = ROOT / name
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        led = (page.parent / path).resolve() if path else page
        assert led.exists(), f"{name}: {target}"
        if anchor and led.suffix == ".md":
            assert anchor in anchors(led), f"{name}: {target}"


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads)


# pictures


def test_the_page_of_pictures_shows_what_is_drawn_at_both_widths_and_they_stay_small():
    folder = ROOT / "docs" / "pictures"
    drawn = sorted(path.name for path in folder.glob("*.png"))
    assert (ROOT / "docs" / "pictures.md").read_text("utf-8") == page_of(folder)
    assert drawn == sorted(f"{one}-{width}.png" for part in PARTS.values() for one in part for width in (390, 1400))
    assert sum(path.stat().st_size for path in folder.glob("*.png")) < 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_no_picture_that_make_pictures_does_not_draw(name):
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", (ROOT / name).read_text("utf-8"))
    drawn = {f"{one}-{width}.png" for part in PARTS.values() for one in part for width in (390, 1400)}
    assert [one for one in shown if Path(one).parent.name != "pictures" or Path(one).name not in drawn] == []
