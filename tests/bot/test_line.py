"""Where a role must hold for a line."""

from dataclasses import dataclass

import pytest

from bot.authorize import Person
from bot.errors import NotAllowed
from bot.line import Line, places_of, resolve
from bot.parse import parameters
from bot.registry import Command
from bot.vocabulary.arguments import Target, VmmTarget
from bot.vocabulary.command import Diagnostic, Role

VMM = Target("vmm01", "vmm", clusters=("prod", "branch"))


@dataclass(frozen=True)
class Args:
    vmm: VmmTarget


class Names:
    async def find(self, name):
        return VMM


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
    assert places_of(target) == places


@pytest.mark.parametrize(
    ("on", "allowed"), [(("prod",), False), (("prod", "branch"), True), (("*",), True), ((), False)]
)
async def test_who_asks_a_vmm_server_needs_the_role_on_every_cluster_it_manages(on, allowed):
    spec = Diagnostic(Role.VIEWER, Args, None, None)
    typed = Line(Command("find", "Find.", spec, parameters(Args)), {"vmm": "vmm01"})
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(on)})
    if allowed:
        assert (await resolve(Names(), typed, person)).places == ("prod", "branch")
    else:
        with pytest.raises(NotAllowed):
            await resolve(Names(), typed, person)
