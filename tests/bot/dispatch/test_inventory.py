import asyncio
import threading
import unicodedata
from itertools import chain

import pytest

from bot.api.arguments import Target
from bot.config.inventory_file import InventoryFile
from bot.dispatch import inventory
from bot.dispatch.inventory import FRESH_SECONDS, Inventory
from bot.errors import HostNotKnown, NotFound, PolicyViolation, TargetTimeout, UsageError
from bot.transport.client import QueryResult
from bot.transport.routing import Credentials, Router
from bot.transport.turns import RUNS, asking_as

ESTATE = InventoryFile.model_validate({
    "clusters": {
        "Prod": {"domain": "corp.example", "entry_hosts": ["hv01", "hv02"]},
        "branch": {"domain": "corp.example", "entry_hosts": ["br01"]},
    },
    "hosts": {"Backup01": {"domain": "other.example"}},
    "vmm": {
        "VMM": {"server": "sql01.corp.example"},
        "vmm-branch": {"server": "sql02.corp.example", "clusters": ["BRANCH"], "host": "backup01"},
    },
})  # fmt: skip


class Clusters:
    def __init__(self, **nodes):
        self.nodes = nodes
        self.called = {"Prod": "PRODCL", "branch": "BRANCHCL"}  # what clusters, and machines, say they belong to
        self.asked = []
        self.asked_itself = []

    async def answer(self, question, seconds=20.0):
        await asyncio.sleep(0)
        if question.cls == "MSCluster_Cluster":
            return self.itself(question.on)
        self.asked.append(question.on)
        nodes = self.nodes[question.on]
        if isinstance(nodes, Exception):
            raise nodes
        return QueryResult([{"Name": name} for name in nodes], "", "hv01")

    def itself(self, on):
        self.asked_itself.append(on)
        said = self.nodes[on] if isinstance(self.nodes.get(on), Exception) else self.called.get(on)
        if isinstance(said, Exception):
            raise said
        return QueryResult([{"Name": said}] if said else [], "", on)


def directory(clock=lambda: 0.0, **nodes):
    world = Clusters(**{"Prod": ("HV01", "HV02", "HV03"), "branch": ("br01", "br02"), **nodes})
    ways = Router(ESTATE, {"reader": Credentials("ntlm", "u", "p")})
    return Inventory(ESTATE, world, ways, clock=clock), world, ways


@pytest.mark.parametrize(
    "typed",
    [
        ("hv03", "HV03", "hv03.corp.example", "HV03.Corp.Example."),
        ("Prod", "prod", "PROD"),
        ("backup01", "BACKUP01", "Backup01.other.example"),
    ],
)
async def test_what_a_person_names_is_one_target_however_they_type_it(typed):
    """Locks, roles and the keys of what is done there are made of its name: two spellings would be two of each."""
    names, _, _ = directory()
    first, *others = [await names.find(one) for one in typed]
    assert others == [first] * len(others)


async def test_a_target_knows_what_backs_it_up():
    clusters = {"prod": {"domain": "corp.example", "entry_hosts": ["hv01"], "backup": ["veeam"]}}
    hosts = {"backup01": {"domain": "corp.example", "backup": []}}
    estate = InventoryFile.model_validate({"clusters": clusters, "hosts": hosts})
    names = Inventory(estate, Clusters(prod=("hv01", "hv02")), Router(estate, {}))
    found = [await names.find(name) for name in ("prod", "hv02", "backup01")]
    assert [one.backup for one in found] == [("veeam",), ("veeam",), ()]


async def test_a_target_knows_the_hosts_of_a_cluster_that_is_silent_by_now():
    """Those that the inventory writes, and those that it has named before."""
    names, world, _ = directory()
    assert (await names.find("prod")).nodes == ("hv01", "hv02")
    await names.nodes("prod")
    world.nodes["Prod"] = TargetTimeout("prod", "no answer in 20 s.")
    assert (await names.find("prod")).nodes == ("hv01", "hv02", "hv03")


async def test_nodes_are_asked_for_once_in_ten_minutes():
    at = [0.0]
    names, world, ways = directory(lambda: at[0])
    assert await asyncio.gather(names.nodes("prod"), names.nodes("PROD")) == [("hv01", "hv02", "hv03")] * 2
    assert world.asked == ["Prod"]
    assert ways.host("hv03").url == "http://hv03.corp.example:5985/wsman"
    at[0] = FRESH_SECONDS
    world.nodes["Prod"] = ("hv01",)
    assert await names.nodes("prod") == ("hv01",)


async def test_a_silent_cluster_is_asked_again_the_next_time():
    names, world, _ = directory(branch=TargetTimeout("branch", "no answer in 20 s."))
    with pytest.raises(TargetTimeout):
        await names.nodes("branch")
    world.nodes["branch"] = ("br01",)
    assert await names.nodes("branch") == ("br01",)


async def test_whoever_asks_for_a_silent_cluster_waits_for_their_own_question_and_for_none_before_it():
    """Sixty wrong names of one person would else make a plan, and each act of a run, wait for several silences in a row."""
    names, world, _ = directory()
    silence = asyncio.Event()

    async def hangs(question, seconds=20.0):
        world.asked.append(question.on)
        await silence.wait()
        raise SILENT

    world.answer = hangs

    async def asking(who):
        with asking_as(who):
            await names.nodes("branch")

    one = [asyncio.create_task(asking("U1")) for _ in range(60)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(asking(who)) for who in ("U2", RUNS)]
    await asyncio.sleep(0.01)
    assert world.asked == ["branch"] * 3
    one[0].cancel()  # who leaves takes nothing from those who wait with them
    silence.set()
    told = await asyncio.gather(*one, *others, return_exceptions=True)
    assert [type(found) for found in told] == [asyncio.CancelledError] + [TargetTimeout] * 61
    with pytest.raises(TargetTimeout):
        await asking("U1")
    assert len(world.asked) == 4


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("prod", Target("Prod", "cluster", "Prod", managers=("VMM",))),
        (" PROD ", Target("Prod", "cluster", "Prod", managers=("VMM",))),
        ("hv01", Target("hv01", "host", "Prod", managers=("VMM",))),
        ("HV03", Target("hv03", "host", "Prod", managers=("VMM",))),
        ("hv03.corp.example", Target("hv03", "host", "Prod", managers=("VMM",))),
        ("ＨＶ０３.corp.example.", Target("hv03", "host", "Prod", managers=("VMM",))),
        ("hv03.", Target("hv03", "host", "Prod", managers=("VMM",))),
        ("BACKUP01", Target("Backup01", "host", "", services_of=("vmm-branch",))),
        ("backup01.other.example", Target("Backup01", "host", "", services_of=("vmm-branch",))),
        ("vmm", Target("VMM", "vmm", clusters=("Prod", "branch"))),
        ("VMM-Branch", Target("vmm-branch", "vmm", clusters=("branch",), host="backup01")),
    ],
)
async def test_find(typed, target):
    names, _, _ = directory()
    assert await names.find(typed) == target


async def test_vmm_servers_are_those_of_the_estate():
    names, world, _ = directory()
    assert names.vmm_servers() == (await names.find("vmm"), await names.find("vmm-branch"))
    assert world.asked == ["Prod", "branch"]  # for `find` alone


async def test_names_of_the_estate_are_found_without_asking():
    names, world, _ = directory()
    await names.find("hv01")
    await names.find("backup01")
    assert world.asked == []


@pytest.mark.parametrize("typed", ["hv04", "hv3", "hv03.evil.example", "", "x" * 4000, "<!channel>", "hv01\n"])
async def test_unknown_names_are_refused_with_near_ones(typed):
    names, _, _ = directory()
    if typed == "hv01\n":
        assert (await names.find(typed)).name == "hv01"
        return
    with pytest.raises(UsageError) as caught:
        await names.find(typed)
    assert len(str(caught.value)) < 300
    if typed.startswith("hv"):
        assert "hv03" in caught.value.suggestions


async def test_nothing_near_is_looked_for_where_a_machine_told_the_name(monkeypatch):
    """A backup product lists thousands of clients that are in no inventory, and each was compared with all hosts."""
    names, _, _ = directory()
    monkeypatch.setattr("difflib.get_close_matches", None)
    assert (await names.find_told("hv03")).name == "hv03"
    with pytest.raises(UsageError, match="There is no cluster or host “hv04” in the inventory") as caught:
        await names.find_told("hv04")
    assert caught.value.suggestions == ()


async def test_hosts_of_the_inventory_are_found_where_there_is_no_cluster():
    file = InventoryFile.model_validate({"hosts": {"Backup01": {"domain": "other.example"}}})
    alone = Inventory(file, Clusters(), Router(file, {}))
    assert (await alone.find("backup01")).name == "Backup01"


async def test_a_silent_cluster_is_named_when_a_name_is_not_found():
    names, _, _ = directory(branch=TargetTimeout("br01", "no answer in 20 s."))
    with pytest.raises(UsageError, match=r"The nodes of branch are not known: br01: no answer in 20 s\."):
        await names.find("br02")
    assert await names.find("hv03") == Target("hv03", "host", "Prod", managers=("VMM",))


async def test_hostile_names_of_nodes_are_not_learnt():
    names, _, _ = directory(branch=("br02", "evil.example:80/", "a b", "", "<!channel>"))
    assert await names.nodes("branch") == ("br02",)


async def test_known_names():
    names, _, _ = directory()
    assert names.known() == ("branch", "prod", "vmm", "vmm-branch", "backup01", "br01", "hv01", "hv02")
    await names.nodes("prod")
    assert "hv03" in names.known()


async def test_a_cluster_cannot_take_over_the_host_of_another_one():
    """With the host would go who may ask it: a viewer of branch alone could look at hv01 of Prod."""
    names, _, ways = directory(branch=("br01", "hv01", "backup01"))
    assert await names.nodes("branch") == ("br01",)
    await names.nodes("prod")
    assert await names.find("hv01") == Target("hv01", "host", "Prod", managers=("VMM",))
    assert await names.find("backup01") == Target("Backup01", "host", "", services_of=("vmm-branch",))
    assert ways.host("backup01").url == "http://backup01.other.example:5985/wsman"


async def test_a_node_that_two_clusters_claim_belongs_to_neither():
    names, _, ways = directory(branch=("br01", "hv03"))
    await names.nodes("branch")
    with pytest.raises(UsageError, match="hv03"):
        await names.find("hv03")
    with pytest.raises(PolicyViolation, match="branch and Prod both call it their node"):
        ways.host("hv03")
    assert await names.find("hv02") == Target("hv02", "host", "Prod", managers=("VMM",))


async def test_a_node_that_moved_to_another_cluster_is_found_there():
    at = [0.0]
    names, world, ways = directory(lambda: at[0])
    assert (await names.find("hv03")).cluster == "Prod"
    world.nodes |= {"Prod": ("hv01", "hv02"), "branch": ("br01", "br02", "hv03")}
    at[0] = FRESH_SECONDS
    await asyncio.gather(names.nodes("prod"), names.nodes("branch"))
    assert (await names.find("hv03")).cluster == "branch"
    assert ways.clusters_of("HV03") == ("branch",)


SILENT = TargetTimeout("prod", "no answer in 20 s.")


async def test_what_clusters_name_to_anybody_says_where_a_role_must_hold():
    """Else acts were let go by the newer list of nodes, and roles and locks went by the older one."""
    names, _, ways = directory()
    assert (await names.find("hv03")).cluster == "Prod"
    ways.add_nodes("prod", ("hv01", "hv02"))
    with pytest.raises(UsageError):
        await names.find("hv03")
    ways.add_nodes("branch", ("br01", "br02", "hv03"))
    assert (await names.find("hv03")).cluster == "branch"
    assert names.scopes()["hv03"] == ("branch",)


async def test_where_a_node_is_now_is_asked_however_lately_it_was_asked():
    names, world, _ = directory()
    await names.find("hv03")
    world.nodes |= {"Prod": ("hv01", "hv02"), "branch": ("br01", "br02", "hv03")}
    assert (await names.find("hv03")).cluster == "Prod"
    del world.asked[:]
    found = await names.find_now(["hv03", "HV03", "hv02"])
    assert {name: target.cluster for name, target in found.items()} == {
        "hv03": "branch",
        "HV03": "branch",
        "hv02": "Prod",
    }
    assert world.asked == ["Prod", "branch"]  # once each, however many hosts
    world.nodes["branch"] = ("br01", "br02")
    assert isinstance((await names.find_now(["hv03"]))["hv03"], UsageError)


async def test_a_cluster_that_does_not_say_where_its_node_is_now_keeps_it():
    names, world, _ = directory()
    await names.find("hv03")
    world.nodes["Prod"] = SILENT
    assert (await names.find_now(["hv03"]))["hv03"].cluster == "Prod"


async def test_an_entry_host_that_says_it_belongs_to_another_cluster_is_nowhere():
    """The inventory was not written anew when it moved."""
    names, world, _ = directory()

    async def now(name):
        return (await names.find_now([name]))[name]

    assert (await now("hv01")).cluster == "Prod"  # which does not say anything
    world.called["hv01"] = "PRODCL"
    assert (await now("hv01.corp.example")).cluster == "Prod"
    world.called["hv01"] = "BRANCHCL"
    assert "the node says that it belongs to “branchcl”" in str(await now("hv01"))
    assert (await now("backup01")).cluster == ""


def claimed(clock=lambda: 0.0, **nodes):
    """branch says that hv05 is its node; hv05 is Prod's, and says so."""
    names, world, ways = directory(clock, **{"branch": ("br01", "br02", "hv05"), **nodes})
    ways._credentials["operator"] = Credentials("ntlm", "op", "p")
    world.called |= {"hv05": "PRODCL", "br02": "BRANCHCL", "hv03": "PRODCL"}
    return names, world, ways


async def refused(names, ways, host, match):
    with pytest.raises(PolicyViolation, match=match):
        await names.prove(host)
    with pytest.raises(PolicyViolation):
        ways.host(host, "operator")


async def test_a_node_that_only_one_cluster_claims_is_not_acted_on_while_another_is_silent():
    names, world, ways = claimed(Prod=SILENT)
    assert (await names.find("hv05")).cluster == "branch"
    doubt = await names.doubt("hv05")
    assert doubt.cluster == "branch"
    assert "Prod, which could own it too, has not answered since hvops started" in doubt.says
    assert "no answer in 20 s." in doubt.says
    assert doubt.do == 'Try again when it answers, or write nodes = ["hv05", …] under [clusters.branch].'
    await refused(names, ways, "hv05", "only branch claims")
    assert "hv05" not in world.asked_itself
    await refused(names, ways, "br02", "only branch claims")  # which may be so, and nobody knows


async def test_where_a_bare_name_is_pinned_clusters_of_other_domains_could_own_it_too():
    clusters = {name: {"domain": f"{name}.example", "entry_hosts": [f"{name}1"]} for name in ("ours", "theirs")}
    estate = InventoryFile.model_validate({"clusters": clusters, "endpoints": {"hv05": "http://10.0.0.5:5985/wsman"}})
    login = Credentials("ntlm", "u", "p")
    world, ways = Clusters(ours=("hv05", "hv06"), theirs=SILENT), Router(estate, {"reader": login, "operator": login})
    world.called = dict.fromkeys(("ours", "hv05", "hv06"), "CLUB")  # which theirs is called, and ours repeats
    names = Inventory(estate, world, ways)
    await names.find("hv05")
    await refused(names, ways, "hv05", "theirs, which could own it too, has not answered")
    await names.prove("hv06")  # ours by its domain, wherever that name leads


async def test_when_the_owner_is_back_the_claimed_node_is_nobodys():
    at = [0.0]
    names, world, ways = claimed(lambda: at[0], Prod=SILENT)
    await names.find("hv05")
    await refused(names, ways, "hv05", "only branch claims")
    world.nodes["Prod"] = ("hv01", "hv02", "hv03", "hv05")
    await refused(names, ways, "hv05", "branch and Prod claim it as a node")
    await names.prove("br02")
    assert ways.host("br02", "operator").name == "br02"


async def test_a_cluster_that_answered_once_has_answered():
    at = [0.0]
    names, world, ways = claimed(lambda: at[0])
    await names.find("hv03")
    world.nodes["Prod"] = SILENT
    at[0] = 2 * FRESH_SECONDS
    await names.prove("br02")
    assert ways.host("br02", "operator")


async def test_the_ledger_remembers_where_a_node_was_acted_on():
    names, _, ways = claimed(Prod=SILENT)
    names.was_seen = lambda cluster, node: (cluster, node) == ("branch", "br02")
    await names.prove("br02")
    assert ways.host("br02", "operator")
    await refused(names, ways, "hv05", "only branch claims")


@pytest.mark.parametrize("says", ["PRODCL", None, NotFound("dc01", "there is no such class.", code=1)])
async def test_a_machine_of_the_domain_that_is_no_node_of_it_is_never_acted_on(says):
    """Every cluster answered, and only one of them lies: the machine itself has the last word."""
    names, world, ways = claimed(branch=("br01", "dc01"))
    world.called["dc01"] = says
    await names.find("dc01")
    await refused(names, ways, "dc01", "has not confirmed|says that it belongs to")


@pytest.mark.parametrize("name", ["VMM", "lm01", "commvault", "prod"])
async def test_no_machine_that_is_called_like_what_is_no_host_is_claimed(name):
    """What is no host needs no proof, so under such a name any machine of the domain would have been changed without one."""
    world = Clusters(prod=SILENT, branch=("br01", "br02", name))
    told = ESTATE.model_dump(exclude_unset=True)
    balancer = {"name": "lm01", "url": "https://lm01.corp.example"}
    for table in ({}, {"node_pattern": "*"}):
        told["clusters"]["branch"] |= table
        estate = InventoryFile.model_validate({**told, "load_balancer": [balancer]})
        ways = Router(estate, {"reader": Credentials("ntlm", "u", "p"), "operator": Credentials("ntlm", "o", "p")})
        names = Inventory(estate, world, ways)
        assert await names.nodes("branch") == ("br01", "br02")
        with pytest.raises(UsageError):
            await names.find(f"{name}.corp.example")
        await names.prove(name)  # which a step at its own service asks as well
        with pytest.raises(PolicyViolation, match="not in the inventory"):
            ways.host(name, "operator")


async def test_a_cluster_that_takes_the_name_of_another_one_too_is_not_believed():
    names, world, ways = claimed(branch=("br01", "hv09"))
    world.called |= {"branch": "PRODCL", "hv09": "PRODCL"}
    await names.find("hv09")
    await refused(names, ways, "hv09", "Prod and branch both report the name .prodcl.")


async def test_a_cluster_that_was_renamed_is_asked_again():
    at = [0.0]
    names, world, ways = claimed(lambda: at[0])
    await names.find("hv03")
    await names.prove("hv03")
    world.called |= {"Prod": "NEWCL", "hv03": "NEWCL"}
    at[0] = 61.0
    await names.prove("hv03")
    world.called["Prod"] = "NEWERCL"
    at[0] = 62.0 + FRESH_SECONDS
    await refused(names, ways, "hv03", "its own name as .newercl.; the node says that it belongs to .newcl.")


async def test_a_node_whose_cluster_service_was_stopped_is_still_itself():
    """A step stops the service, and the next one has to start it: who proved itself before is believed then."""
    at = [0.0]
    names, world, ways = claimed(lambda: at[0])
    await names.find("hv03")
    await names.prove("hv03")
    world.called["hv03"] = NotFound("hv03", "there is no such class.", code=1)
    at[0] = 61.0
    await names.prove("hv03")
    assert ways.host("hv03", "operator")


class Stuck(Clusters):
    """Who hangs takes the question and says nothing until it is let go; then it says what it would have said."""

    def __init__(self, **nodes):
        super().__init__(**nodes)
        self.hangs = {}
        self.begun = []
        self.taken = asyncio.Event()  # a question by one that hangs

    async def answer(self, question, seconds=20.0):
        self.begun.append((question.on, question.cls))
        if question.on in self.hangs:
            self.taken.set()
            await self.hangs[question.on].wait()
        return await super().answer(question, seconds)

    def let_hang(self, on):
        self.hangs[on] = asyncio.Event()

    def let_go(self, on):
        self.hangs.pop(on).set()


@pytest.fixture
def beside_branch(monkeypatch):
    """hv03 is Prod's alone and says so; branch, of the same domain, will hang. A wait for it that is bounded is over at once."""
    monkeypatch.setattr(inventory, "_SOON_SECONDS", 0.0)
    world = Stuck(Prod=("HV01", "HV02", "HV03"), branch=("br01", "br02"))
    world.called |= {"hv03": "PRODCL"}
    login = Credentials("ntlm", "u", "p")
    ways, at = Router(ESTATE, {"reader": login, "operator": login}), [0.0]
    return Inventory(ESTATE, world, ways, clock=lambda: at[0]), world, ways, at


def under_way(on):
    return [one for one in asyncio.all_tasks() if one.get_name() in (f"beside a look: {on}", f"nodes of {on}")]


async def ended(on):
    await asyncio.wait(under_way(on))


async def test_a_neighbour_whose_silence_decides_nothing_holds_up_no_plan_and_no_act(beside_branch):
    names, world, ways, at = beside_branch
    await names.find("hv03")  # all have named their nodes
    world.let_hang("branch")
    for at[0] in (0.0, 61.0, 122.0):
        assert await asyncio.wait_for(names.doubt("hv03"), 10.0) is None
    assert world.begun.count(("branch", "MSCluster_Cluster")) == 1  # one question, however many look meanwhile
    world.nodes["branch"] = SILENT
    world.let_go("branch")
    await ended("branch")
    with asking_as(RUNS):
        for at[0] in (200.0, 2 * FRESH_SECONDS):
            world.let_hang("branch")
            await asyncio.wait_for(names.prove("hv03"), 10.0)
    assert ways.host("hv03", "operator")


async def test_an_act_waits_for_the_first_word_of_a_neighbour(beside_branch):
    """What it is called decides, and no later look undoes what was changed."""
    names, world, ways, _ = beside_branch
    await names.find("hv03")
    world.called["branch"] = "PRODCL"
    world.let_hang("branch")
    acting = asyncio.create_task(refused(names, ways, "hv03", "branch and Prod both report the name .prodcl."))
    await world.taken.wait()
    world.let_go("branch")
    await acting


async def test_a_neighbour_that_takes_the_name_late_is_a_doubt_from_then_on(beside_branch):
    """Also within the minute for which the node is believed, and while its own cluster service is stopped."""
    names, world, ways, at = beside_branch
    await names.find("hv03")
    world.let_hang("branch")
    assert await asyncio.wait_for(names.doubt("hv03"), 10.0) is None
    world.called["branch"] = "PRODCL"
    world.let_go("branch")
    await ended("branch")
    await refused(names, ways, "hv03", "branch and Prod both report the name .prodcl.")
    world.called["hv03"] = NotFound("hv03", "there is no such class.", code=1)
    at[0] = 61.0
    await refused(names, ways, "hv03", "branch and Prod both report the name .prodcl.")


async def test_a_neighbour_that_falls_silent_keeps_the_name_that_it_took(beside_branch):
    names, world, ways, at = beside_branch
    await names.find("hv03")
    world.called["branch"] = "PRODCL"
    await refused(names, ways, "hv03", "branch and Prod both report the name .prodcl.")
    world.nodes["branch"] = SILENT
    at[0] = 2 * FRESH_SECONDS
    await refused(names, ways, "hv03", "branch and Prod both report the name .prodcl.")
    del world.nodes["branch"]
    world.called["branch"] = "BRANCHCL"
    await names.prove("hv03")


async def test_no_neighbour_is_waited_for_where_work_was_done_before(beside_branch):
    """It may be silent since the bot started; what it claims when it answers counts from then on."""
    names, world, ways, _ = beside_branch
    names.was_seen = lambda cluster, node: (cluster, node) == ("Prod", "hv03")
    await names.nodes("prod")
    world.let_hang("branch")
    assert await asyncio.wait_for(names.doubt("hv03"), 10.0) is None
    world.nodes["branch"] = ("br01", "hv03")
    world.let_go("branch")
    await ended("branch")
    await refused(names, ways, "hv03", "branch and Prod claim it as a node")


async def test_a_node_that_joins_another_cluster_while_it_is_looked_at_is_nobodys(beside_branch):
    names, world, ways, _ = beside_branch
    await names.find("hv03")
    world.let_hang("hv03")
    looking = asyncio.create_task(names.doubt("hv03"))
    await world.taken.wait()
    ways.add_nodes("prod", ("hv01", "hv02"))
    ways.add_nodes("branch", ("br01", "hv03"))
    world.let_go("hv03")
    assert (await looking).says == "Prod and branch claim it as a node, so its cluster is not known."


async def test_a_node_that_nobody_knows_waits_once_for_a_neighbour_that_never_answered(beside_branch):
    names, world, ways, _ = beside_branch
    await names.nodes("prod")
    world.let_hang("branch")
    looking = asyncio.create_task(names.doubt("hv03"))
    await world.taken.wait()
    world.nodes["branch"] = SILENT
    world.let_go("branch")
    assert "branch, which could own it too, has not answered since hvops started (branch: " in (await looking).says
    world.let_hang("branch")
    await asyncio.wait_for(refused(names, ways, "hv03", "only Prod claims it as a node"), 10.0)  # its silence is known
    world.nodes["branch"] = ("br01",)
    world.let_go("branch")
    await ended("branch")
    await names.prove("hv03")


async def test_entry_hosts_and_hosts_that_stand_alone_are_written_so_they_count():
    names, world, ways = claimed(Prod=SILENT, branch=SILENT)
    for host in ("hv01", "BR01", "backup01", "br01.corp.example"):
        await names.prove(host)
    assert ways.host("backup01", "operator")
    assert ways.host("hv01", "operator")
    assert world.asked == []


@pytest.mark.parametrize("silent", [False, True])
async def test_an_entry_host_that_says_it_belongs_to_another_cluster_is_changed_no_more(silent):
    """Also in a run that goes on. Its silence says nothing: the inventory names it."""
    at = [0.0]
    names, world, ways = claimed(lambda: at[0])
    await names.prove("hv01")
    at[0] += 3_600
    world.called["hv01"] = SILENT if silent else "BRANCHCL"
    if silent:
        await names.prove("hv01")
        assert ways.host("hv01", "operator")
        return
    with pytest.raises(PolicyViolation, match="the node says that it belongs to “branchcl”"):
        await names.prove("hv01")


def written(**tables):
    told = ESTATE.model_dump(exclude_unset=True)
    for name, table in tables.items():
        told["clusters"][name] |= table
    return InventoryFile.model_validate(told)


@pytest.mark.parametrize("table", [{"nodes": ["BR02"]}, {"node_pattern": "br??"}])
async def test_nodes_that_are_written_count_while_a_cluster_is_silent_and_no_others_exist(table):
    world = Clusters(Prod=SILENT, branch=("br01", "br02", "dc01", "hv05"))
    world.called |= {"br02": "BRANCHCL", "dc01": "BRANCHCL"}
    estate = written(branch=table)
    ways = Router(estate, {"reader": Credentials("ntlm", "u", "p"), "operator": Credentials("ntlm", "o", "p")})
    names = Inventory(estate, world, ways)
    assert await names.nodes("branch") == ("br01", "br02")
    await names.prove("br02")
    assert ways.host("br02", "operator")
    for claim in ("dc01", "hv05"):
        with pytest.raises(PolicyViolation, match="not in the inventory"):
            ways.host(claim)  # not even to be read


async def test_what_another_table_writes_cannot_be_claimed():
    world = Clusters(Prod=SILENT, branch=("br01", "hv05", "hv77"))
    estate = written(prod={"node_pattern": "hv0?"})
    ways = Router(estate, {"reader": Credentials("ntlm", "u", "p")})
    assert await Inventory(estate, world, ways).nodes("branch") == ("br01", "hv77")


async def test_a_written_node_has_to_say_its_cluster_as_well():
    world = Clusters(branch=("br01", "br02"))
    world.called["br02"] = "OLDCL"
    estate = written(branch={"nodes": ["br02"]})
    ways = Router(estate, {"reader": Credentials("ntlm", "u", "p"), "operator": Credentials("ntlm", "o", "p")})
    await refused(Inventory(estate, world, ways), ways, "br02", "says that it belongs to .oldcl.")


async def test_a_menu_of_a_thousand_hosts_goes_through_them_once(monkeypatch):
    """Each key that somebody presses in a menu asks for them; host by host, it held the bot for a second."""
    nodes = tuple(f"hv{number:02}" for number in range(1, 65))
    names, _, _ = directory(Prod=nodes)
    await names.find("hv64")
    asked, homes = [], names._homes
    monkeypatch.setattr(names, "_homes", lambda: asked.append(1) or homes())
    names.names.learn("guest", "HV64", ["crm-01", "prod"])
    found = names.suggestions(("cluster", "host"), "guest")
    assert len(asked) <= 2
    assert list(found)[:3] == ["branch", "Prod", "Backup01"]
    assert {name: found[name] for name in ("hv64", "crm-01", "Prod", "Backup01", "br02")} == {
        "hv64": ("Prod",),
        "crm-01": ("Prod",),
        "Prod": ("Prod",),
        "Backup01": ("Backup01",),
        "br02": ("branch",),
    }
    names.names.learn("backup job", "commvault", [("48211", "HV64"), ("48212", "elsewhere")])
    assert names.suggestions((), "backup job") == {"48211": ("Prod",)}  # of no host that is known: of nobody's place
    assert names.suggestions(("vmm",)) == {"VMM": ("Prod", "branch"), "vmm-branch": ("branch",)}
    assert names.scopes()["hv64"] == ("Prod",)


async def test_names_that_are_near_are_looked_for_beside_the_loop(monkeypatch):
    """Of four thousand nodes that takes half a second, for every name that somebody mistypes."""
    loop, threads = threading.get_ident(), []
    near = inventory.difflib.get_close_matches
    monkeypatch.setattr(
        inventory.difflib,
        "get_close_matches",
        lambda *told, **more: threads.append(threading.get_ident()) or near(*told, **more),
    )
    names, _, _ = directory()
    with pytest.raises(UsageError) as caught:
        await names.find("hv0")
    assert "hv03" in caught.value.suggestions
    assert threads
    assert loop not in threads


@pytest.mark.parametrize(
    "clusters", [{"Prod": {"domain": "corp.example", "entry_hosts": ["hv01"], "nodes": ["hv02"]}}, {}]
)
async def test_a_role_that_holds_wherever_the_inventory_says_holds_on_every_name(clusters):
    """What a stop covers: a VMM server, a service and a node are where a role is asked for, or that is itself."""
    file = InventoryFile.model_validate({
        "clusters": clusters,
        "hosts": {"Backup01": {"domain": "other.example"}},
        "vmm": {"VMM": {"server": "sql01.corp.example"}},
        "load_balancer": [{"name": "LM01", "url": "https://lm01.corp.example/"}],
        "service": {"CRM": {"places": [*clusters, "backup01"]}},
        "commvault": {"url": "https://cs01.corp.example/"},
    })  # fmt: skip
    names = Inventory(file, Clusters(), Router(file, {"reader": Credentials("ntlm", "u", "p")}))
    asked = {place.lower() for places in names.scopes().values() for place in places}
    assert asked | {"commvault"} == set(file.role_places())
    assert {*clusters, "vmm", "crm", "lm01", "backup01"} >= {"vmm", "crm", "lm01", "backup01"} <= names.scopes().keys()


MARKS = "a" + "\u0345\u0315\u0300" * 5_000


async def test_a_name_that_is_none_is_read_no_further(monkeypatch):
    """Python puts its marks in order on the loop, which takes the square of their number. It is no node's and no cluster's."""
    read = []
    normalize = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", lambda form, text: (read.append(len(text)), normalize(form, text))[1])
    names, world, ways = directory(Prod=("HV01", "ＨＶ０２", MARKS, "HV03" + " " * 16_000))
    assert await names.nodes("prod") == ("hv01", "hv02")
    with pytest.raises(UsageError, match="no cluster or host"):
        await names.find(MARKS)
    assert ways.scope_of(MARKS) == ""
    # Both say the same of themselves, and neither says a name.
    world.called |= {"Prod": MARKS, "hv09": MARKS}
    world.nodes["Prod"] = ("hv01", "hv09")
    fresh = Inventory(ESTATE, world, ways)
    await refused(fresh, ways, "hv09", "did not report its own name")
    assert max(read) <= 255


class Hanging(Clusters):
    """Clusters of which some take a question and do not answer it, until `ends` is set; then as `nodes` says."""

    def __init__(self, *hanging, **nodes):
        super().__init__(**{"Prod": ("hv01", "hv02", "hv03"), "branch": ("br01", "br07"), **nodes})
        self.hanging, self.ends, self.taken = set(hanging), asyncio.Event(), asyncio.Queue()

    async def answer(self, question, seconds=20.0):
        if question.on in self.hanging:
            asked = self.asked if question.cls == "MSCluster_Node" else self.asked_itself
            asked.append(question.on)
            self.taken.put_nowait(question.on)
            await self.ends.wait()
            asked.remove(question.on)
        return await super().answer(question, seconds)

    async def end(self, **nodes):
        """Let what hangs be answered, and wait until it was taken."""
        self.nodes |= nodes
        self.hanging.clear()
        self.ends.set()
        asked = [task for task in asyncio.all_tasks() if task.get_name().startswith(("nodes of", "name of"))]
        await asyncio.gather(*asked, return_exceptions=True)


def hanging(*which, clock=lambda: 0.0, **nodes):
    world = Hanging(*which, **nodes)
    login = Credentials("ntlm", "u", "p")
    ways = Router(ESTATE, {"reader": login, "operator": login})
    return Inventory(ESTATE, world, ways, clock=clock), world, ways


async def told(names, *strangers, find="find_told"):
    """What is said of names that nobody typed, all at once. Whoever waits for a silent cluster does not come back."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*map(getattr(names, find), strangers), return_exceptions=True)


async def test_a_silent_cluster_holds_up_no_stranger_of_anybodys_longer_than_a_moment(monkeypatch):
    """One entry host that hung kept each question of two people and each check of a run waiting, for every 16 names anew."""
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", 0.05)
    names, world, _ = hanging("branch")

    async def asks(who):
        with asking_as(who):
            return [one for at in range(3) for one in await told(names, *(f"laptop-{at}{n}" for n in range(16)))]

    found = await asyncio.gather(*map(asks, ("U1", "U2", RUNS)))
    assert [type(one) for one in chain(*found)] == [HostNotKnown] * 144
    assert str(found[0][0]) == (
        "Cluster branch has not answered, so it is not known whether “laptop-00” is a host. branch: it has not answered yet."
    )
    assert sorted(world.asked) == ["Prod", "branch"]
    await world.end()
    assert (await names.find_told("br07")).cluster == "branch", "what it said meanwhile counts"
    (stranger,) = await told(names, "laptop-00")
    assert (type(stranger), str(stranger)) == (
        UsageError,
        "There is no cluster or host “laptop-00” in the inventory.",
    )
    assert sorted(world.asked) == ["Prod", "branch"]


@pytest.mark.parametrize("find", ["find_told", "find_planned"])
async def test_a_cluster_that_was_silent_is_not_waited_for_at_all_and_asked_meanwhile(monkeypatch, find):
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", float(10**6))
    at = [0.0]
    names, world, _ = hanging(clock=lambda: at[0], branch=TargetTimeout("br01", "no answer in 20 s."))
    (first,) = await told(names, "laptop-1", find=find)
    assert str(first).endswith("branch: br01: no answer in 20 s.")
    assert [type(one) for one in await told(names, "laptop-2", "laptop-3", find=find)] == [HostNotKnown] * 2
    assert world.asked == ["Prod", "branch"], "it has just been asked"
    at[0] = 11.0
    world.hanging.add("branch")
    assert [type(one) for one in await told(names, "laptop-2", "laptop-3", find=find)] == [HostNotKnown] * 2
    assert await world.taken.get() == "branch"
    assert world.asked == ["Prod", "branch", "branch"]
    await world.end(branch=("br01", "br07"))
    assert [one.cluster for one in await told(names, "br07", find=find)] == ["branch"]


async def test_a_silence_long_ago_is_no_knowledge(monkeypatch):
    """Else the first question about a cluster that has come back would be told that it is silent."""
    at = [0.0]
    names, world, _ = hanging(clock=lambda: at[0], branch=TargetTimeout("br01", "no answer in 20 s."))
    await told(names, "br07")
    world.nodes["branch"] = ("br01", "br07")
    at[0] = inventory.SILENT_SECONDS
    assert [one.cluster for one in await told(names, "br07")] == ["branch"]


async def test_what_a_person_types_is_asked_for_as_long_as_it_may_take(monkeypatch):
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", 0.05)
    names, world, _ = hanging("branch")
    await told(names, "laptop-1")
    await world.taken.get()
    with asking_as("U1"):
        asking = asyncio.create_task(names.find("br07"))
    await world.taken.get()
    assert not asking.done()
    await world.end()
    assert (await asking).cluster == "branch"


async def test_a_host_of_a_plan_is_waited_for_until_each_cluster_was_asked_once():
    """After a restart nobody knows its host, and an act at a stranger would fail."""
    names, world, _ = hanging("Prod", "branch")
    asking = asyncio.create_task(told(names, "hv03", find="find_planned"))
    assert [await world.taken.get(), await world.taken.get()] == ["Prod", "branch"]
    assert not asking.done()
    await world.end(branch=TargetTimeout("br01", "no answer in 20 s."))
    assert [one.cluster for one in await asking] == ["Prod"]


async def test_a_node_whose_cluster_is_known_to_whoever_asks_waits_for_no_other_one():
    """A site's worker waited, with each question about a node, for the silent cluster beside its own."""
    names, world, _ = hanging("branch")
    async with asyncio.timeout(30):
        assert (await names.find_of("hv03", "prod")).cluster == "Prod"
    assert world.asked == ["Prod"]


async def test_a_host_that_its_cluster_does_not_name_or_that_another_one_claims_is_none():
    names, _, _ = hanging(branch=("br01", "hv03"))
    for name, cluster in (("hv99", "prod"), ("hv99", "nowhere")):
        with pytest.raises(UsageError, match="There is no cluster or host"):
            await names.find_of(name, cluster)
    with pytest.raises(UsageError, match="There is no cluster or host"):
        await names.find_of("hv03", "prod")  # both have named it by now


async def test_one_cluster_alone_is_not_believed_before_the_others_were_asked():
    """A machine's word gives a host to a cluster as little as a person's does."""
    names, world, _ = hanging("Prod", branch=("br01", "hv03"))
    await names.nodes("branch")
    asking = asyncio.create_task(told(names, "hv03"))
    assert await world.taken.get() == "Prod"
    await world.end()
    assert [type(one) for one in await asking] == [UsageError], "both claim it"


async def test_for_the_name_of_what_is_no_host_no_cluster_is_asked():
    """A step that waits for a backup job asks the product by its name in every round."""
    names, world, _ = hanging("branch")
    assert [type(one) for one in await told(names, "commvault", find="find_planned")] == [UsageError]
    assert world.asked == []


async def test_the_silence_of_a_cluster_that_could_own_a_node_lets_nothing_act_there_however_short_it_was_waited_for(
    monkeypatch,
):
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", 0.05)
    names, world, ways = hanging(branch=("br01", "hv05"), Prod=SILENT)
    world.called |= {"hv05": "BRANCHCL"}
    await told(names, "hv05", "laptop-1")
    world.hanging.add("Prod")
    async with asyncio.timeout(30):
        await refused(names, ways, "hv05", "only branch claims it as a node, and Prod, which could own it too")
        await refused(names, ways, "hv05", "has not answered since hvops started")
    assert world.asked.count("Prod") == 2
    await world.end(Prod=("hv01", "hv02", "hv05"))
    await refused(names, ways, "hv05", "branch and Prod claim it as a node")


async def test_another_cluster_that_does_not_say_its_name_holds_up_an_act_once(monkeypatch):
    """It is asked at each act whether it has the same name; while it is silent, the name that it said last counts."""
    at = [0.0]
    names, world, ways = hanging(clock=lambda: at[0])
    world.called |= {"hv03": "PRODCL"}
    await names.find("hv03")
    await names.prove("hv03")
    world.nodes["branch"] = TargetTimeout("br01", "no answer in 20 s.")
    at[0] = FRESH_SECONDS + 1
    await names.prove("hv03")
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", 0.05)
    world.hanging.add("branch")
    at[0] += 61.0
    async with asyncio.timeout(30):
        await names.prove("hv03")
    assert ways.host("hv03", "operator")
    world.called |= {"Prod": "BRANCHCL", "hv03": "BRANCHCL"}
    at[0] += FRESH_SECONDS - 100
    names._called.pop("prod")
    async with asyncio.timeout(30):
        await refused(names, ways, "hv03", "branch and Prod both report the name .branchcl.")
    await world.end()
