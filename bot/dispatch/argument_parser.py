"""Text -> arguments, or a usage line.

Chat clients change what people type: `--free` becomes a dash, quotes become curly, a host name becomes a link,
`&` becomes `&amp;`. All of that is undone here, once. Names of hosts stay words: `discover` knows what they mean.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import GenericAlias
from typing import Any, Literal

from bot.api.arguments import (
    ClusterTarget,
    ClusterTargets,
    HostTarget,
    LoadBalancerTarget,
    NodePair,
    ServiceOrClusterTarget,
    ServiceTarget,
    Target,
    VmmTarget,
    VmmTargets,
)
from bot.api.texts import replace_lone_surrogates, unescape
from bot.errors import UsageError
from bot.redaction import clip

LONGEST = 1_000  # characters of one command line; the longest sensible one is a fifth of that
SHOWN = 60  # characters of somebody's words that an error repeats
# Every dash of Unicode (category Pd) that stands for a hyphen, and the minus signs and bullets that clients make of one.
_DASHES = (
    "-\u02d7\u058a\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212\u2e3a\u2e3b\u301c\u3030"
    "\ufe31\ufe32\ufe58\ufe63\uff0d"
)
_TO_HYPHEN = dict.fromkeys(map(ord, _DASHES), "-")
_OPTION = re.compile(rf"[{_DASHES}]{{1,2}}(?=[A-Za-z])")
# Straight, curly, low, angled, prime and full-width ones, accents that are typed for quotes, and the backtick.
QUOTES = (
    "\"'`\u00b4\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2035\u2036\u2039\u203a"
    "\u275b\u275c\u275d\u275e\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02\uff07\uff40"
)
_QUOTES = dict.fromkeys(map(ord, QUOTES))
_LINK = re.compile(r"<(?:mailto:)?([^|<>]+)(?:\|([^<>]*))?>", re.IGNORECASE)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
# A member as Slack writes one: the id counts, never the handle beside it, which that member chose.
_MEMBER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
# Nothing of these is seen: zero-width characters, marks and overrides of direction, joiners, variation selectors.
_INVISIBLE = dict.fromkeys(
    (
        *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
        *(*range(0xFE00, 0xFE10), *range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0)),
    )
)

_TARGETS: dict[type, tuple[str, tuple[str, ...]]] = {
    Target: ("<cluster|host>", ("cluster", "host")),
    ClusterTarget: ("<cluster>", ("cluster",)),
    HostTarget: ("<host>", ("host",)),
    VmmTarget: ("<vmm>", ("vmm",)),
    LoadBalancerTarget: ("<load-balancer>", ("load balancer",)),
    ServiceTarget: ("<service>", ("service",)),
    ServiceOrClusterTarget: ("<service|cluster>", ("service", "cluster")),
    VmmTargets: ("<vmm>", ("vmm",)),
    ClusterTargets: ("<cluster>", ("cluster",)),
    NodePair: ("<host> <host>", ("host",)),
}
_SEVERAL = (VmmTargets, ClusterTargets, NodePair)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a command's `Args`, as people type it.

    Attributes:
        kind: "word" (required, in order), "option" (`--free 1GB`) or "rest" (all words that remain).
        type: the field's type, or the type of its items.
        shown: its part of the usage line.
        needs_one: of a "rest": it takes one word at least.
        takes_several: whether it is a target that may be several, or left to the inventory.
        is_subject: whether it names what the command is about.
        targets: which kinds of target it takes; () where it is no target.
        default: of an option: what holds where it is left out, as people type it; "" where nothing does.
        words: how many words an option takes at most; with commas between, one is enough.
    """

    name: str
    kind: Literal["word", "option", "rest"]
    type: type
    shown: str
    needs_one: bool = False
    default: str = ""
    takes_several: bool = field(init=False)
    words: int = field(init=False)
    is_subject: bool = field(init=False)
    targets: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read off the type, once for all lines."""
        object.__setattr__(self, "takes_several", self.type in _SEVERAL)
        object.__setattr__(self, "words", getattr(self.type, "words", 1))
        object.__setattr__(self, "is_subject", bool(getattr(self.type, "is_subject", False)))
        object.__setattr__(self, "targets", _TARGETS.get(self.type, ("", ()))[1])

    @property
    def is_required(self) -> bool:
        """Whether a line without it is refused."""
        return self.kind == "word" or self.needs_one

    @property
    def choices(self) -> Mapping[str, str]:
        """The words that it takes, each with what it means, where they are a closed list; else empty."""
        found: Mapping[str, str] = getattr(self.type, "choices", {})
        return found

    @property
    def wants(self) -> str:
        """What it takes, in words: "a size such as 1GB or 500MB"; "" where its name says it."""
        found: str = getattr(self.type, "wants", "")
        return found

    @property
    def names(self) -> str:
        """Which names that were answered before it may be: "guest"; "" where none."""
        found: str = getattr(self.type, "names", "")
        return found

    @property
    def offers(self) -> tuple[str, ...]:
        """Words that a form offers besides: some of those that it takes, never all of them."""
        found: tuple[str, ...] = getattr(self.type, "offers", ())
        return found

    @property
    def label(self) -> str:
        """What a form calls it: "Cluster or host", "Virtual service"."""
        named: str = getattr(self.type, "label", "")
        if not named:
            named = " or ".join(self.targets) if self.targets else self.name.replace("_", " ")
            if self.targets and self.kind == "option" and self.name not in self.targets:
                named = f"{self.name} {named}"  # "to host", "on cluster"
        named = named.replace("vmm", "VMM server")
        return named[:1].upper() + named[1:]


def parameters(args: type[Any]) -> tuple[Parameter, ...]:
    """Read the fields of an `Args` dataclass."""
    hints = typing.get_type_hints(args)
    return tuple(_parameter(one.name, hints[one.name], one.default) for one in fields(args))


def _parameter(name: str, hint: Any, default: object) -> Parameter:
    if isinstance(hint, GenericAlias) or typing.get_origin(hint) is tuple:
        item, needs_one = typing.get_args(hint)[0], default is MISSING
        shown = f"<{name.replace('_', '-')}>" if needs_one else f"[{item.__name__.upper()}…]"
        return Parameter(name, "rest", item, shown, needs_one)
    if default is MISSING:
        shown = _TARGETS[hint][0] if hint in _TARGETS else f"<{name.replace('_', '-')}>"
        return Parameter(name, "word", hint, shown)
    given = _TARGETS[hint][0] if hint in _TARGETS else default
    shown = f"[--{name.replace('_', '-')} {given}]"
    return Parameter(name, "option", hint, shown, default=str(default) if default else "")


def tokenize(text: str) -> list[str]:
    """Split what somebody typed into words, undoing what chat clients did to them.

    Raises:
        UsageError: the text is longer than any command line.
    """
    refuse_too_long(text)
    return split_words(plain_text(text))


def refuse_too_long(text: str) -> None:
    """Raise UsageError where a text is longer than any command line."""
    if len(text) > LONGEST:
        raise UsageError(f"That line has {len(text):,} characters; hvops reads at most {LONGEST:,}. Nothing was run.")


def split_words(plain: str) -> list[str]:
    """Split a plain text into words without quotes; a word of quotes alone is none."""
    return [cleaned for word in plain.split() if (cleaned := without_quotes(word))]


def plain_text(text: str) -> str:
    """What somebody typed, without what a chat client made of it: links, entities, characters that nobody sees, half a character.

    A member becomes "@U0123"; what follows it is a word of its own, whatever invisible character parted the two.
    """
    named = _MEMBER.sub(r"@\1 ", replace_lone_surrogates(text))
    return unescape(_LINK.sub(lambda link: link[2] or link[1], named)).translate(_INVISIBLE)


def words_in(text: str) -> tuple[str, list[tuple[int, str, str]]]:
    """A text in its plain form, and each word of it: where it ends there, as it stands there, and without quotes."""
    plain = plain_text(text)
    return plain, [(found.end(), found[0], without_quotes(found[0])) for found in re.finditer(r"\S+", plain)]


def without_quotes(word: str) -> str:
    """A word without quotes and backticks, straight or curly: people copy commands out of them."""
    return word.translate(_QUOTES)


def with_plain_dashes(word: str) -> str:
    """A name with the hyphens it is written with, whichever dash a client put in their place."""
    return word.translate(_TO_HYPHEN)


def bind_arguments(usage: str, wanted: Iterable[Parameter], typed: list[str]) -> dict[str, Any]:
    """Sort words into parameters. Targets stay names (str); everything else has its type.

    Raises:
        UsageError: a word is missing, left over, or not what its parameter takes.
    """
    options = {parameter.name.replace("_", "-"): parameter for parameter in wanted if parameter.kind == "option"}
    values, plain = _take_options(usage, options, typed)
    for parameter in wanted:
        if parameter.kind == "word":
            if not plain:
                raise UsageError(f"{parameter.shown} is missing.", usage)
            values[parameter.name] = _value(usage, parameter, plain.pop(0))
        elif parameter.kind == "rest":
            if parameter.needs_one and not plain:
                raise UsageError(f"{parameter.shown} is missing.", usage)
            values[parameter.name] = tuple(_value(usage, parameter, word) for word in plain)
            plain = []
    if plain:
        raise UsageError(f"Unexpected words: {quoted(' '.join(plain))}.", usage)
    return values


def field_error(usage: str, parameter: Parameter, text: str) -> str:
    """What is wrong with what somebody wrote into the field of one parameter; "" where it can be read."""
    words = split_words(plain_text(text))
    if not words:
        return f"{parameter.label} is missing." if parameter.is_required else ""
    if parameter.kind == "word" and len(words) > 1:
        return "This takes one word."
    given = (
        words if parameter.kind == "rest" else [_one_word(parameter, words) if parameter.kind == "option" else words[0]]
    )
    for word in given:
        if parameter.kind != "option" and _OPTION.match(word):
            return f"{quoted(word)} is an option. Write it into its own field."
        try:
            _value(usage, parameter, word)
        except UsageError as error:
            return str(error)
    return ""


def is_read_as_itself(parameter: Parameter, name: str) -> bool:
    """Whether a field that holds this name asks for it and nothing else: a line loses blanks, quotes and what cannot be seen."""
    words = split_words(plain_text(name))
    takes_several = parameter.kind == "rest" and not hasattr(parameter.type, "parse")
    return " ".join(words) == name and (takes_several or len(words) == 1) and not _OPTION.match(name)


def line_of(command: str, wanted: Iterable[Parameter], values: Mapping[str, str]) -> str:
    """The line that the fields of a form ask for, each of which `field_error` has passed."""
    plain, options = [], []
    for parameter in wanted:
        words = split_words(plain_text(values.get(parameter.name, "")))
        if words and parameter.kind == "option":
            options.append(f"--{parameter.name.replace('_', '-')}={_one_word(parameter, words)}")
        else:
            plain += words
    return " ".join([f"/{command}", *plain, *options])


def _one_word(parameter: Parameter, words: Iterable[str]) -> str:
    """What was written into the field of an option, as the one word that a line has there: "1.5GB", "hv01,hv02"."""
    return ",".join(word.strip(",") for word in words) if parameter.words > 1 else "".join(words)


def _take_options(usage: str, options: dict[str, Parameter], typed: list[str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    plain: list[str] = []
    rest = iter(typed)
    for word in rest:
        dashes = _OPTION.match(word)
        if not dashes:
            plain.append(word)
            continue
        name, equals, value = word[dashes.end() :].partition("=")
        parameter = options.get(with_plain_dashes(name).casefold())
        if parameter is None:
            near = tuple(f"--{one}" for one in suggest(name, options))
            raise UsageError(f"There is no option --{truncate(name)}.", usage, near)
        given = value if equals else next(rest, "")
        while not equals and given and given.strip(",").count(",") + 1 < parameter.words:
            following = next(rest, "")
            if not following:
                break
            given = f"{given.strip(',')},{following}"
        values[parameter.name] = _value(usage, parameter, given)
    return values, plain


def _value(usage: str, parameter: Parameter, word: str) -> Any:
    try:
        if parameter.targets:
            return _name(word)
        reader = getattr(parameter.type, "parse", parameter.type)
        return reader(word)
    except ValueError:
        wants = getattr(parameter.type, "wants", f"a value for {parameter.shown}")
        hide = getattr(parameter.type, "hide", str)  # what may be somebody's secret is not repeated
        given = f"{quoted(hide(word))} is not" if word else "Missing:"
        raise UsageError(f"{given} {wants}.", usage) from None


def _name(word: str) -> str:
    """A target's name, as it was typed; of an address of the web, its host. Raises ValueError where nothing was typed."""
    name = _SCHEME.sub("", word, count=1).rstrip("/") if _SCHEME.match(word) else word
    if not name.strip(","):
        raise ValueError(word)
    return name


def suggest(name: str, among: Iterable[str]) -> tuple[str, ...]:
    """The names that look most like this one, best first, three at most."""
    folded = {one.casefold(): one for one in among}
    return tuple(folded[one] for one in difflib.get_close_matches(name.casefold()[:SHOWN], folded, n=3, cutoff=0.6))


def truncate(word: str) -> str:
    """Somebody's words, no longer than an error should repeat."""
    return word if len(word) <= SHOWN else f"{clip(word, SHOWN)}… ({len(word):,} characters)"


def quoted(word: str) -> str:
    """Somebody's words in quotes, shortened."""
    return f"“{truncate(word)}”"
