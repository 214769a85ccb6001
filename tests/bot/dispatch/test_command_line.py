"""Where a role must hold for a line."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.arguments import Target, VmmTarget, VmmTargets
from bot.api.command import Diagnostic, Role
from bot.dispatch.argument_parser import parameters
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import BUILTINS, CommandLine, read_typed, resolve, scopes_of
from bot.dispatch.registry import Command
from bot.errors import PermissionDenied, UsageError

VMM = Target("vmm01", "vmm", clusters=("prod", "branch"))


@dataclass(frozen=True)
class Args:
    vmm: VmmTarget


SMALL = Target("vmm02", "vmm", clusters=("branch",))


class Vm(str):
    __slots__ = ()
    is_subject = True


@dataclass(frozen=True)
class FixArgs:
    vm: tuple[Vm, ...]
    vmm: VmmTargets = VmmTargets()  # noqa: RUF009 - immutable


class Names:
    async def find(self, name):
        return SMALL if name == "vmm02" else VMM

    def vmm_servers(self):
        return VMM, SMALL


@pytest.mark.parametrize(
    ("target", "places"),
    [
        (Target("hv01", "host", "prod"), ("prod",)),
        (Target("prod", "cluster", "prod"), ("prod",)),
        (Target("backup01", "host"), ("backup01",)),
        (VMM, ("prod", "branch")),
        (Target("vmm02", "vmm"), ("vmm02",)),
    ],
)
def test_a_target_stands_for_its_clusters(target, places):
    assert scopes_of(target) == places


@pytest.mark.parametrize(
    ("on", "allowed"), [(("prod",), False), (("prod", "branch"), True), (("*",), True), ((), False)]
)
async def test_who_asks_a_vmm_server_needs_the_role_on_every_cluster_it_manages(on, allowed):
    spec = Diagnostic(Role.VIEWER, Args, None, None)
    typed = CommandLine(Command("find", "Find.", spec, parameters(Args)), {"vmm": "vmm01"})
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(on)})
    if allowed:
        assert (await resolve(Names(), typed, person)).scopes == ("prod", "branch")
    else:
        with pytest.raises(PermissionDenied):
            await resolve(Names(), typed, person)


def fixing(**values):
    spec = Diagnostic(Role.VIEWER, FixArgs, None, None)
    return CommandLine(Command("fix", "Fix.", spec, parameters(FixArgs)), {"vm": ("crm-01",), **values})


@pytest.mark.parametrize(
    ("typed", "on", "found"),
    [
        ({}, ("*",), "vmm01,vmm02"),
        ({}, ("prod", "branch"), "vmm01,vmm02"),
        ({}, ("branch",), "vmm02"),
        ({}, (), None),
        ({"vmm": "vmm02"}, ("branch",), "vmm02"),
        ({"vmm": "vmm02,vmm01,vmm02"}, ("*",), "vmm02,vmm01"),
        ({"vmm": "vmm02,vmm01"}, ("branch",), None),
    ],
)
async def test_where_no_server_is_named_it_is_all_of_those_where_one_may(typed, on, found):
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(on)})
    if found is None:
        with pytest.raises(PermissionDenied):
            await resolve(Names(), fixing(**typed), person)
        return
    line = await resolve(Names(), fixing(**typed), person)
    assert (str(line), line.target) == (f"/fix crm-01 --vmm {found}", "crm-01")
    assert set(line.scopes) == {place for one in line.values["vmm"] for place in one.clusters}


async def test_the_bot_itself_looks_at_every_server():
    assert (await resolve(Names(), fixing(), None)).values["vmm"] == (VMM, SMALL)


async def test_an_estate_without_a_server_says_so():
    class Without(Names):
        def vmm_servers(self):
            return ()

    with pytest.raises(UsageError, match=r"no VMM server in the estate"):
        await resolve(Without(), fixing(), None)


INVISIBLE = st.sampled_from(["", "\u200b", "\u200d", "\u2060", "\ufeff"])
QUOTE = st.sampled_from(["", "`", '"', "'", "\u201c", "\u201d", "\u2018", "\u2019"])
DASH = st.sampled_from(list("-\u2010\u2011\u2013\u2014\u2212"))
SPACE = st.sampled_from([" ", "  ", "\u00a0", "\t"])


@st.composite
def decorated(draw, words):
    """The words as chat clients and people who copy them make them: quoted, with what nobody sees, with any dash."""
    made = ["".join(draw(DASH) if letter == "-" else letter for letter in word) for word in words]
    made = [draw(INVISIBLE) + draw(QUOTE) + draw(INVISIBLE) + word + draw(QUOTE) + draw(INVISIBLE) for word in made]
    return draw(QUOTE) + draw(SPACE).join(made) + draw(QUOTE)


@pytest.mark.parametrize("name", sorted({"stop", *BUILTINS}, key=lambda name: (name != "stop", name)))
@given(data=st.data())
def test_a_builtin_is_known_however_it_is_quoted(name, data):
    line = f"{data.draw(st.sampled_from(['/hvops', 'hvops', '/HVOPS']))} {data.draw(decorated([name]))}"
    typed = read_typed(line)
    assert (typed.builtin, typed.name, typed.by_front_door, typed.rest) == (name, name, True, typed.rest)
    assert not typed.rest.strip("`\"' \u201c\u201d\u2018\u2019\u200b\u200d\u2060\ufeff")


@given(text=decorated(["fix-vm", "crm-01"]), door=st.sampled_from(["", "/hvops ", "hvops ", "/hvops /"]))
def test_a_command_is_known_however_it_is_quoted(text, door):
    typed = read_typed(f"{door}{text}")
    assert (typed.name, typed.builtin, typed.by_front_door) == ("fix-vm", "", bool(door))


def test_why_everything_is_stopped_keeps_its_apostrophes():
    assert read_typed("/hvops stop we don't know hv03's state").rest == "we don't know hv03's state"


@pytest.mark.parametrize("line", ["/hvops", "hvops", "/hvops `", "/hvops \u200b", "hvops hvops"])
def test_the_front_door_alone_is_help(line):
    assert read_typed(line).builtin == "help"


@pytest.mark.parametrize("line", ["", " ", "/", "`", "/stop", "stop", "help me"])
def test_without_the_front_door_only_audit_is_a_builtin(line):
    assert read_typed(line).builtin == ""
    assert read_typed("/audit prod").builtin == "audit"
