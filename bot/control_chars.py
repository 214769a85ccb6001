r"""Characters that a person does not see, or takes for others: one place that says which, for Slack, terminal and logs.

`reveal` is for people: "crm-01⟨U+3164⟩". `escape_control_chars` is for machines' formats (JSON, log lines), where
nothing may be lost: "crm-01\u3164". Both mark the same characters. Both mask secrets first: a password with such
a character in it is another text afterwards, which no mask knows.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from bot.redaction import mask_all, mask_all_data

# Controls (C1 too: U+009B begins a control sequence), marks that hide or reorder text, halves of characters, code
# points that are no characters.
_UNSEEN_CATEGORIES = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
# Default_Ignorable_Code_Point of Unicode that the categories leave out (Hangul fillers, variation selectors, joiners),
# then letters and symbols that are drawn as a blank, joiners of other scripts, and lines through and under what they follow.
_UNSEEN = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0),
        *(*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        *(0x1680, 0x2800, 0xFFFC, 0x1D159),  # in many fonts the blank of Ogham is one, and nothing stands for an object
        *(0x16FE4, 0x2D7F, 0x1107F),
        *(0x0332, 0x0333, *range(0x0334, 0x0339), 0x0488, 0x0489, 0x20D2, 0x20D3, *range(0x20D8, 0x20DB)),
        *(*range(0x20DD, 0x20E1), *range(0x20E2, 0x20E7), 0x20EA, 0x20EB),
    )
)
# Phonetic letters and small capitals that look like a Latin one; those of mathematics and others are found by folding them.
_DRAWN_AS_LATIN = frozenset("\u0251\u0261\u0269\u026a\u1d04\u1d0f\u1d1c\u1d20\u1d21\u1d22\ua731\u01c3")
_FULL_WIDTH = range(0xFF00, 0xFFF0)  # wider than what it stands for, and usual in East Asia
# Hyphens and dots of other kinds inside of a name; blanks of other kinds where they are seen as nothing: at an end, or thin.
_ODD_MARKS = re.compile(
    "(?<=[^\\W_])[\u02d7\u2010-\u2012\u2024\u2043\u2212\ufe58\ufe63](?=[^\\W_])|(?<=[^\\W\\d_])\u2013(?=[^\\W_])"
    "|[\u2006-\u2008\u200a]|(?:(?<=\\s)|^)[\u00a0\u2000-\u200a\u202f\u205f\u3000]|[\u00a0\u2000-\u200a\u202f\u205f\u3000](?=\\s|$)"
)
_PERHAPS = re.compile("[^\t\n\x20-\x7e]")
_WORD = re.compile(r"[^\W_]+(?:[-_.@$#]+[^\W_]+)*")
# The n of JSON's "\n" is no letter of the word behind it.
_ESCAPE_OR_WORD = re.compile(rf'\\[\\"/bfnrtu]|{_WORD.pattern}')
_PART = re.compile(r"[^\W_]+")
# What begins a formula in Excel, LibreOffice and others, full-width and small forms too; "|" begins a DDE call.
# Blanks and quotes before it are read once, from where they begin.
_FORMULA = re.compile(
    '(?:(^|[;,|])|(?<![\\s"]))([\\s"]*+)(?=[=+\\-@|\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\uff5c])'
)
_LINE_OR_COLUMN = re.compile("[\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")
# How the names of letters go on behind their script; and which of those are mixed with Latin ones every day, and are wider.
_LETTER = re.compile(r"([A-Z-]+) (?:[A-Z-]+ )*?(?:LETTER|SYLLABICS|SYLLABLE|CHARACTER|SYMBOL|LIGATURE)\b")
_NO_SCRIPTS = frozenset(
    ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "YI", "FULLWIDTH", "HALFWIDTH", "MODIFIER", "MATHEMATICAL")
)
# Scripts with so many letters that are drawn as Latin ones that a whole name can be written in them.
_DRAWN_LIKE_LATIN = frozenset(
    (
        "CHEROKEE",
        "LISU",
        "COPTIC",
        "DESERET",
        "CANADIAN",
        "OLD",
        "OSMANYA",
        "TIFINAGH",
        "CARIAN",
        "LYCIAN",
        "LYDIAN",
        "VAI",
        "GOTHIC",
        "ELBASAN",
        "WARANG",
        "MIAO",
        "BAMUM",
        "MEDEFAIDRIN",
    )
)
# Letters of Cyrillic, Greek and Armenian that look like a Latin one in most fonts: of Unicode's confusables.
_LOOK_LATIN = frozenset("гүҮԌьЬЗбγσϲϳϱϹͿϜϒզգյՕՍՏԼАВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԜѡԝһӏӀνοαρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոցհѵѴ")
# Letters that look like a Latin one or like a digit in some fonts, and stand alone in ordinary words of their language: marked
# only where other parts of the name are Latin ("crm-ഠ1").
_LOOK_LATIN_BESIDE = frozenset(
    "\u0d20\u101d\u0b20\u10ff\u05e1\u05d5\u05d8\u05df\u0627\u0647\u06be\u06c1\u06d5\u07ca\u12d0\u1200\u118cιηκχωτкքռւ"
)
_MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"(?<=[{_MARKS}]{{4}})[{_MARKS}]")  # no language puts more on one letter


def reveal(text: str, *, lines: bool = False) -> str:
    """Show what cannot be seen or passes for something else: "⟨U+200B⟩", "с⟨U+0441⟩rm-01".

    A letter is marked where one word mixes scripts that look alike, or where a part of a name is made of letters that
    all look Latin, and a digit of another script beside Latin letters or digits; a text in one script is left alone.

    Args:
        text: from outside.
        lines: keep line ends; else they become blanks, as tabs do.
    """
    return reveal_masked(mask_all(text), lines=lines)


def reveal_masked(text: str, *, lines: bool = False) -> str:
    """Show the same of a text that was masked."""
    shown = text.replace("\r\n", "\n").replace("\r", "").replace("⟨U+", "⟨U+27E8⟩U+")  # a mark that is none of ours
    shown = shown if lines else shown.replace("\n", " ").replace("\t", " ")
    if shown.isascii():
        return _PERHAPS.sub(_revealed, shown)
    shown = _STACKED.sub(lambda found: _mark(found[0]), shown)
    shown = _WORD.sub(partial(_with_look_alikes, show=_letter_and_mark), _ODD_MARKS.sub(_with_mark, shown))
    return _PERHAPS.sub(_revealed, shown)


@functools.lru_cache(4_096)
def is_unseen(character: str) -> bool:
    """Whether a reader sees nothing of it, or cannot know what it does to the text around it."""
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or ord(character) in _UNSEEN


def escape_control_chars(text: str) -> str:
    r"""The text with each character that `reveal` marks as JSON writes it: "\u001b", or two of them beyond U+FFFF."""
    return escape_masked(mask_all(text))


def json_text(data: Any, **how: Any) -> str:
    """Data as JSON for people and programs, its values masked one by one, and then written as `escape_control_chars` does."""
    return escape_masked(json.dumps(mask_all_data(data), ensure_ascii=False, **how))


def escape_masked(text: str) -> str:
    """Write such characters of a text that was masked: a log line, or JSON, which a mask could take a quote out of."""
    if not text.isascii():
        text = _STACKED.sub(lambda found: _as_json(found[0]), text)
        text = _ESCAPE_OR_WORD.sub(partial(_with_look_alikes, show=_as_json), text)
    return _PERHAPS.sub(_written, text)


def spreadsheet_row(cells: Iterable[str]) -> list[str]:
    """The cells of a line of a CSV file, none of which a spreadsheet runs as a formula.

    Where a locale splits lines at another sign than the comma, a whole line is one cell, which begins with the first one: a
    number with a sign there would begin a formula that the next one goes on with ("-1,2*cmd|'/C …'!A0").
    """
    safe = [spreadsheet_cell(cell) for cell in cells]
    return [f"'{safe[0]}", *safe[1:]] if len(safe) > 1 and safe[0].startswith(("+", "-")) else safe


def spreadsheet_cell(text: str) -> str:
    """A cell of a CSV file that no spreadsheet runs as a formula, whichever separator its locale splits lines at.

    An apostrophe stands before what would begin a formula, at the beginning and behind each separator. Numbers stay
    numbers.
    """
    if _NUMBER.fullmatch(text) or _FORMULA.sub(_as_text, text) == text:
        return text
    return _FORMULA.sub(_as_text, mask_all(text))


def _as_text(found: re.Match[str]) -> str:
    separator, blanks = found.groups()
    return ("" if separator is None else f"{separator}'") + _LINE_OR_COLUMN.sub(r"\g<0>'", blanks)


def _revealed(found: re.Match[str]) -> str:
    if is_unseen(found[0]):
        return _mark(found[0])
    return _with_mark(found) if _is_drawn_as_ascii(found[0]) else found[0]


def _with_mark(found: re.Match[str]) -> str:
    return found[0] + _mark(found[0])


@functools.lru_cache(4_096)
def _is_drawn_as_ascii(character: str) -> bool:
    """Whether it is a letter or a digit that readers take for one of ASCII, in no language that is written so.

    Those of mathematics are drawn as what they are forms of: an omicron in italics as "o".
    """
    if character in _DRAWN_AS_LATIN:
        return True
    if character < "\u0100" or ord(character) in _FULL_WIDTH:
        return False
    folded = unicodedata.normalize("NFKC", character)
    is_form = folded != character and folded in _LOOK_LATIN
    is_one = len(folded) == 1 and (is_form or (folded.isascii() and folded.isalnum()))
    return is_one and unicodedata.category(character) in ("Lu", "Ll", "Nd", "Nl")


def _mark(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _written(found: re.Match[str]) -> str:
    if not is_unseen(found[0]):
        return found[0]
    return "\\u007f" if found[0] == "\x7f" else _as_json(found[0])  # ASCII, so JSON leaves DEL as it is


def _as_json(character: str) -> str:
    return json.dumps(character)[1:-1]


def _letter_and_mark(letter: str) -> str:
    return letter + _mark(letter)


def _with_look_alikes(found: re.Match[str], show: Callable[[str], str]) -> str:
    word = found[0]
    if word.isascii():
        return word
    has_latin = any(_script(one) == "LATIN" for one in word)
    stands_in_a_name = has_latin or any(one.isdigit() or one in "-_.@$#" for one in word)
    if any(one.isascii() and one.isalnum() for one in word):
        word = "".join(show(one) if _is_foreign_digit(one) else one for one in word)
    return _PART.sub(lambda part: _marked(part[0], show, in_name=stands_in_a_name, beside=has_latin), word)


def _marked(part: str, show: Callable[[str], str], *, in_name: bool, beside: bool) -> str:
    scripts = {found for one in part if (found := _script(one))}
    foreign = scripts - {"LATIN"}
    if not foreign:
        return part
    is_mixed = len(scripts) > 1
    looks_latin = in_name and all(
        one in _LOOK_LATIN or _script(one) in _DRAWN_LIKE_LATIN or (beside and one in _LOOK_LATIN_BESIDE)
        for one in part
        if not one.isdigit()
    )
    if not (is_mixed or looks_latin):
        return part
    return "".join(show(one) if _script(one) in foreign else one for one in part)


@functools.lru_cache(4_096)
def _script(character: str) -> str:
    """The script of a letter that can pass for one of another script; "" for all else."""
    if character.isascii():
        return "LATIN" if character.isalpha() else ""
    named = _LETTER.match(unicodedata.name(character, "")) if character.isalpha() else None
    return "" if named is None or named[1] in _NO_SCRIPTS or _is_drawn_as_ascii(character) else named[1]


@functools.lru_cache(4_096)
def _is_foreign_digit(character: str) -> bool:
    """Whether it is a decimal digit of another script: half of them have a zero that is drawn as that of ASCII."""
    is_other = unicodedata.category(character) == "Nd" and not character.isascii()
    return is_other and ord(character) not in _FULL_WIDTH and not _is_drawn_as_ascii(character)
