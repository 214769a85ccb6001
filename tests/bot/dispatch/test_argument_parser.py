"""What people type, as chat clients mangle it."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.arguments import ClusterTarget, Kb, Percent, Size, Target, VmmTarget, VmmTargets
from bot.dispatch import argument_parser
from bot.errors import UsageError


@dataclass(frozen=True)
class Args:
    target: Target
    free: Size = Size(2**30)
    percent: Percent = Percent(10)


@dataclass(frozen=True)
class DriftArgs:
    cluster: ClusterTarget
    kbs: tuple[Kb, ...] = ()


@dataclass(frozen=True)
class VmmArgs:
    vmm: VmmTarget


GUESTS = argument_parser.parameters(Args)
DRIFT = argument_parser.parameters(DriftArgs)


def read(line: str, wanted=GUESTS):
    return argument_parser.bind_arguments("/usage", wanted, argument_parser.tokenize(line))


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("prod", "prod"),
        ("  prod \t", "prod"),
        ("“prod”", "prod"),
        ("'prod'", "prod"),
        ("„prod“", "prod"),
        ("`hv01`", "hv01"),
        ("<http://hv01.corp.example|hv01.corp.example>", "hv01.corp.example"),
        ("<http://hv01.corp.example>", "hv01.corp.example"),
        ("<https://hv01.corp.example/>", "hv01.corp.example"),
        ("https://hv01.corp.example/", "hv01.corp.example"),
        ("hv01\u200b", "hv01"),
    ],
)
def test_a_name_survives_what_chat_clients_do_to_it(typed, target):
    assert read(typed) == {"target": target}


@pytest.mark.parametrize("dash", ["--", "-", "—", "–", "−−", "‑‑"])
def test_an_option_survives_smart_dashes(dash):
    assert read(f"prod {dash}free 2GB {dash}percent=5%") == {"target": "prod", "free": 2 * 2**30, "percent": 5}


def test_a_dash_inside_a_name_is_no_option():
    assert read("test-tfs-01") == {"target": "test-tfs-01"}


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("<https://www.corp.example/>", "https://www.corp.example/"),
        ("<http://www.corp.example/a?b=1&amp;c=2>", "http://www.corp.example/a?b=1&c=2"),
        ("<http://www.corp.example|www.corp.example>", "www.corp.example"),
        ("<http://evil.example/|http://www.corp.example/>", "http://www.corp.example/"),
        ("<mailto:jo@corp.example|jo@corp.example>", "jo@corp.example"),
        ("<mailto:jo@corp.example>", "jo@corp.example"),
    ],
)
def test_an_address_of_the_web_stays_what_was_typed(typed, plain):
    assert argument_parser.tokenize(typed) == [plain]


def test_an_escaped_ampersand_is_the_character():
    assert argument_parser.tokenize("a&amp;b &lt;x&gt;") == ["a&b", "<x>"]


def test_the_rest_takes_what_remains():
    assert read("prod KB2607712 2616676", DRIFT) == {"cluster": "prod", "kbs": ("KB2607712", "KB2616676")}


@pytest.mark.parametrize(
    ("line", "wanted", "says"),
    [
        ("", GUESTS, "<cluster|host> is missing."),
        ("prod hv01", GUESTS, "Unexpected words: “hv01”."),
        ("prod --free plenty", GUESTS, "“plenty” is not a size such as 1GB or 500MB."),
        ("prod --free", GUESTS, "Missing: a size such as 1GB or 500MB."),
        ("prod --percent 101", GUESTS, "“101” is not a percentage from 0 to 100."),
        ("prod --percent -1", GUESTS, "“-1” is not a percentage from 0 to 100."),
        ("prod KBx", DRIFT, "“KBx” is not a KB number such as KB2607712."),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_write(line, wanted, says):
    with pytest.raises(UsageError) as refused:
        read(line, wanted)
    assert str(refused.value) == says
    assert refused.value.usage == "/usage"


def test_a_near_miss_option_is_suggested():
    with pytest.raises(UsageError) as refused:
        read("prod --precent 5")
    assert refused.value.suggestions == ("--percent",)


def test_four_thousand_characters_are_refused_whole():
    with pytest.raises(UsageError, match=r"4,000 characters.*Nothing was run"):
        argument_parser.tokenize("a" * 4_000)


def test_a_long_word_is_not_repeated_whole():
    with pytest.raises(UsageError) as refused:
        read("prod " + "x" * 900)
    assert len(str(refused.value)) < 120


@given(st.text(max_size=1_000))
@settings(max_examples=200)
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        values = read(text)
    except UsageError as error:
        values = {"target": str(error)}
    assert values["target"]


@pytest.mark.parametrize(("word", "size"), [("1GB", 2**30), ("1.5 GB", 3 * 2**29), ("500mb", 500 * 2**20), ("7", 7)])
def test_sizes_are_binary_as_windows_shows_them(word, size):
    assert Size.parse(word) == size
    assert Size.parse(str(Size(size))) == size


def test_a_vmm_server_is_a_target_of_its_own_kind():
    (parameter,) = argument_parser.parameters(VmmArgs)
    assert (parameter.shown, parameter.targets) == ("<vmm>", ("vmm",))
    assert argument_parser.bind_arguments("/x <vmm>", (parameter,), ["vmm"]) == {"vmm": "vmm"}


class Vm(str):
    __slots__ = ()
    is_subject = True


@dataclass(frozen=True)
class FixArgs:
    vm: tuple[Vm, ...]
    vmm: VmmTargets = VmmTargets()  # noqa: RUF009 - immutable


FIX = argument_parser.parameters(FixArgs)


def test_words_without_a_default_are_needed():
    assert [parameter.shown for parameter in FIX] == ["<vm>", "[--vmm <vmm>]"]
    assert [(parameter.is_subject, parameter.takes_several) for parameter in FIX] == [(True, False), (False, True)]
    assert read("My Server --vmm vmm-a,vmm-b", FIX) == {"vm": ("My", "Server"), "vmm": "vmm-a,vmm-b"}
    assert read("crm-01", FIX) == {"vm": ("crm-01",)}
    with pytest.raises(UsageError, match=r"^<vm> is missing\.$"):
        read("--vmm vmm", FIX)


@pytest.mark.parametrize("line", ["crm-01 --vmm", "crm-01 --vmm=,"])
def test_a_server_that_is_not_named_is_missed(line):
    with pytest.raises(UsageError, match="a VMM server, or several with commas"):
        read(line, FIX)


def test_the_usage_line_is_the_dataclass():
    shown = [parameter.shown for parameter in GUESTS]
    assert shown == ["<cluster|host>", "[--free 1GB]", "[--percent 10%]"]
    assert [parameter.shown for parameter in DRIFT] == ["<cluster>", "[KB…]"]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        *((Size, word) for word in ("\u0661GB", "1\u212aB", "9" * 5_000, "\uff11GB")),
        *((Percent, word) for word in ("\u0661\u0660", "1_0", "9" * 5_000, "+5")),
        *(
            (Kb, word)
            for word in ("KB\u0661\u0661\u0661\u0661\u0661\u0661\u0661", "\u212aB2607712", "KB2607712-v" + "1" * 5_000)
        ),
    ],
)
def test_digits_are_those_of_ascii_and_few(kind, word):
    with pytest.raises(ValueError, match=r"."):
        kind.parse(word)
