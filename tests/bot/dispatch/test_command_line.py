"""Where a role must hold for a line."""

from dataclasses import dataclass

import pytest

from bot.api.arguments import Target, VmmTarget, VmmTargets
from bot.api.command import Diagnostic, Role
from bot.dispatch.argument_parser import parameters
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import CommandLine, resolve, scopes_of
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
