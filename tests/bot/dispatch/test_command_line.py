"""Where a role must hold for a line."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.arguments import (
    NO_HOST,
    ClusterTargets,
    HostTarget,
    LoadBalancerTarget,
    NodePair,
    Target,
    VmmTarget,
    VmmTargets,
)
from bot.api.command import Diagnostic, Role
from bot.dispatch import argument_parser
from bot.dispatch.argument_parser import parameters
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import BUILTINS
from bot.dispatch.command_line import CommandLine, EntryPoint, read_line, read_typed, resolve
from bot.dispatch.inventory import scopes_of
from bot.dispatch.registry import Command, Registry
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


@dataclass(frozen=True)
class BalancerArgs:
    load_balancer: LoadBalancerTarget


class Balancers:
    """Names of load balancers stand in the inventory alone: no cluster is asked about them."""

    def load_balancers(self):
        return (Target("LM01", "load balancer"),)


@pytest.mark.parametrize(("on", "allowed"), [(("LM01",), True), (("*",), True), (("prod",), False), ((), False)])
async def test_who_asks_a_load_balancer_needs_the_role_there(on, allowed):
    spec = Diagnostic(Role.VIEWER, BalancerArgs, None, None)
    typed = CommandLine(Command("look", "Look.", spec, parameters(BalancerArgs)), {"load_balancer": "lm01"})
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(on)})
    if allowed:
        line = await resolve(Balancers(), typed, person)
        assert (line.values["load_balancer"].kind, line.scopes) == ("load balancer", ("LM01",))
    else:
        with pytest.raises(PermissionDenied):
            await resolve(Balancers(), typed, person)


async def test_a_name_that_is_no_load_balancer_is_told_which_there_are():
    spec = Diagnostic(Role.VIEWER, BalancerArgs, None, None)
    typed = CommandLine(Command("look", "Look.", spec, parameters(BalancerArgs)), {"load_balancer": "lm02"})
    with pytest.raises(UsageError, match=r"There is no load balancer “lm02” in the inventory\. Load balancers: LM01\."):
        await resolve(Balancers(), typed, None)


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

    with pytest.raises(UsageError, match=r"no VMM server in the inventory"):
        await resolve(Without(), fixing(), None)


INVISIBLE = st.sampled_from(["", *"\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\ufe0f"])
QUOTE = st.sampled_from(["", "```", *"`\"'\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\uff02\uff07"])
DASH = st.sampled_from(list("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"))
SPACE = st.sampled_from([" ", "  ", "\u00a0", "\u202f", "\u3000", "\t", "\n"])
DOORS = ("/hvops", "hvops", "/HVOPS", "@hvops", "/hvops /hvops")
MENTIONS = ("<@U0BOT>", "<@U0BOT|hvops>", "<@U0BOT> hvops")
WAYS = {  # what may stand before a builtin on each entry point; "" where the entry point itself is the front door
    EntryPoint.SLASH: DOORS,
    EntryPoint.MENTION: ("", *DOORS, *MENTIONS),
    EntryPoint.BUTTON: DOORS,
    EntryPoint.MODAL: DOORS,
    EntryPoint.TERMINAL: ("", *DOORS),
}
FIRST = sorted(BUILTINS, key=lambda name: (name != "stop", name))


@st.composite
def decorated(draw, words):
    """The words as chat clients and people who copy them make them: quoted, with what nobody sees, with any dash."""
    made = ["".join(draw(DASH) if letter == "-" else letter for letter in word) for word in words]
    made = [draw(INVISIBLE) + draw(QUOTE) + draw(INVISIBLE) + word + draw(QUOTE) + draw(INVISIBLE) for word in made]
    return draw(QUOTE) + draw(SPACE).join(made) + draw(QUOTE)


@pytest.mark.parametrize("entry", EntryPoint)
@pytest.mark.parametrize("name", FIRST)
@given(data=st.data())
def test_a_builtin_is_known_however_it_is_decorated_wherever_it_is_typed(name, entry, data):
    door = data.draw(st.sampled_from(WAYS[entry]))
    typed = read_typed(data.draw(decorated([*door.split(), name])), entry)
    assert (typed.builtin, typed.name, typed.rest) == (BUILTINS[name], name, "")
    assert typed.text == f"/hvops {name}"


@pytest.mark.parametrize("entry", EntryPoint)
@pytest.mark.parametrize("text", ["/hvops <@U0BOB> go", "hvops <@U0BOB|hvops> stop", "<@U0BOT> <@U0BOB> go"])
def test_what_is_said_to_somebody_else_decides_nothing(text, entry):
    assert read_typed(text, entry).builtin is None


@pytest.mark.parametrize("entry", EntryPoint)
@given(data=st.data())
def test_a_command_and_its_words_are_known_however_they_are_decorated(entry, data):
    door = data.draw(st.sampled_from(["", "hvops", "/hvops"]))
    text = data.draw(
        decorated([*door.split(), "/fix-vm", "crm-01", "--vmm", "vmm02"]).filter(lambda one: "<" not in one)
    )
    typed = read_typed(text, entry)
    assert (typed.name, typed.builtin) == ("fix-vm", None)
    line = read_line(Registry({"fix-vm": replace(fixing().command, name="fix-vm")}), typed)
    assert argument_parser.with_plain_dashes(line.values["vm"][0]) == "crm-01"
    assert line.values["vmm"] == "vmm02"


@pytest.mark.parametrize("entry", EntryPoint)
@given(text=st.text(max_size=200), door=st.sampled_from(["", "/hvops ", "`hvops "]))
def test_what_was_read_reads_the_same_again(entry, text, door):
    """Stored lines are read again for *Check Again* and for /audit's pages."""
    typed = read_typed(f"{door}{text}", entry)
    again = read_typed(typed.text)
    assert (again.builtin, again.name) == (typed.builtin, typed.name) or entry.is_front_door


@pytest.mark.parametrize(
    ("text", "entry", "plain"),
    [
        ("/hvops", EntryPoint.SLASH, "/hvops"),
        ("<@U0BOT>", EntryPoint.MENTION, "/hvops help"),
        ("", EntryPoint.TERMINAL, "/hvops"),
        ("<@U0BOT> `stop`", EntryPoint.MENTION, "/hvops stop"),
        ("<@U0BOT> check\u2013writers prod", EntryPoint.MENTION, "/check-writers prod"),
        ("/hvops `check-writers prod`", EntryPoint.SLASH, "/hvops check-writers prod"),
        ("\u201c/check-writers\u00a0<http://hv03|hv03>\u201d", EntryPoint.SLASH, "/check-writers hv03"),
        ("/hvops STOP  a &amp; b", EntryPoint.SLASH, "/hvops stop a & b"),
    ],
)
def test_the_text_of_a_line_is_its_plain_form(text, entry, plain):
    assert read_typed(text, entry).text == plain


def test_why_everything_is_stopped_keeps_its_apostrophes():
    assert read_typed("/hvops stop we don't know hv03's state").rest == "we don't know hv03's state"
    assert read_typed("/hvops \u201cstop the hosts' disks\u201d").rest == "the hosts' disks"


@pytest.mark.parametrize("entity", ["&#" + "9" * 5_000 + ";", "&#" + "0" * 5_000])
def test_a_stop_is_read_whatever_number_stands_in_its_reason(entity):
    assert read_typed(f"/hvops stop {entity}").name == "stop"
    assert read_typed(f"<@U1> stop {entity}", EntryPoint.MENTION).name == "stop"


def test_a_member_is_an_id_and_never_the_handle_that_they_chose():
    assert read_typed("/audit --who <@U0OPERATOR|prod>").rest == "--who @U0OPERATOR"
    assert read_typed("/check-writers <@U0EVIL|prod>").rest == "@U0EVIL"


@pytest.mark.parametrize("line", ["/hvops", "hvops", "/hvops `", "/hvops \u200b", "hvops hvops"])
def test_the_front_door_alone_is_help(line):
    assert read_typed(line).builtin is BUILTINS["help"]


@pytest.mark.parametrize("entry", [EntryPoint.SLASH, EntryPoint.BUTTON, EntryPoint.MODAL])
@pytest.mark.parametrize("line", ["", " ", "/", "`", "/stop", "stop", "help me", "/stopp", "/hvops stopp"])
def test_without_the_front_door_only_audit_is_a_builtin(line, entry):
    assert read_typed(line, entry).builtin is None
    assert read_typed("/audit prod", entry).builtin is BUILTINS["audit"]


@pytest.mark.parametrize(
    ("servers", "says"),
    [((VMM,), "VMM servers with a [vmm.NAME] table: vmm01."), ((), "Add a [vmm.NAME] table to it.")],
)
async def test_a_name_that_is_no_vmm_server_is_told_where_those_stand(servers, says):
    class Estate:
        async def find(self, name):
            if name == "prod":
                return Target("prod", "cluster", "prod")
            raise UsageError(f"There is no cluster or host {name}. Clusters: prod.", "", ("prod",))

        def vmm_servers(self):
            return servers

    command = Command("find", "Find.", Diagnostic(Role.VIEWER, Args, None, None), parameters(Args))
    with pytest.raises(UsageError, match="There is no VMM server \u201cvmm\u201d in the inventory") as unknown:
        await resolve(Estate(), CommandLine(command, {"vmm": "vmm"}), None)
    assert says in str(unknown.value)
    assert unknown.value.suggestions == ()
    with pytest.raises(UsageError, match="prod is a cluster; this command takes a VMM server") as cluster:
        await resolve(Estate(), CommandLine(command, {"vmm": "prod"}), None)
    assert says in str(cluster.value)


HERE, THERE = Target("hv01", "host", "prod"), Target("br01", "host", "branch")
CLUSTERS = (Target("branch", "cluster", "branch"), Target("prod", "cluster", "prod"))


@dataclass(frozen=True)
class MoveArgs:
    vm: Vm
    between: NodePair = NodePair()  # noqa: RUF009 - immutable
    to: HostTarget = NO_HOST
    on: ClusterTargets = ClusterTargets()  # noqa: RUF009 - immutable


class Everywhere:
    async def find(self, name):
        return {one.name: one for one in (HERE, THERE, *CLUSTERS)}[name]

    def clusters(self):
        return CLUSTERS


def moving(words):
    spec = Diagnostic(Role.VIEWER, MoveArgs, None, None)
    command = Command("move", "Move.", spec, parameters(MoveArgs))
    return CommandLine(command, argument_parser.bind_arguments("", command.parameters, words.split()))


@pytest.mark.parametrize("words", ["crm --between hv01 br01", "crm --between hv01,br01", "--between=hv01,br01 crm"])
async def test_two_nodes_are_one_option(words):
    line = await resolve(Everywhere(), moving(words), None)
    assert line.values["between"] == (HERE, THERE)
    assert (line.target, str(line)) == ("crm", "/move crm --between hv01 br01 --on branch,prod")
    assert str(await resolve(Everywhere(), moving(str(line).removeprefix("/move ")), None)) == str(line)


@pytest.mark.parametrize("words", ["crm --between hv01", "crm --between hv01,hv01", "crm --between hv01,br01,prod"])
async def test_one_node_or_three_are_no_pair(words):
    with pytest.raises(UsageError):
        await resolve(Everywhere(), moving(words), None)


@pytest.mark.parametrize(
    ("roles", "clusters"),
    [(("*",), ("branch", "prod")), (("prod",), ("prod",)), (("branch",), ("branch",)), ((), None)],
)
async def test_a_guest_is_looked_for_where_whoever_asks_may_ask(roles, clusters):
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(roles)})
    if clusters is None:
        with pytest.raises(PermissionDenied):
            await resolve(Everywhere(), moving("crm"), person)
        return
    line = await resolve(Everywhere(), moving("crm"), person)
    assert tuple(one.name for one in line.values["on"]) == line.scopes == clusters
    assert "to" not in line.values, "the command's own default stands"


async def test_a_node_that_is_named_needs_the_role_too():
    person = Person("U1", "viewer", {Role.VIEWER: frozenset(["prod"])})
    with pytest.raises(PermissionDenied):
        await resolve(Everywhere(), moving("crm --to br01"), person)
