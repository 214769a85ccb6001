import asyncio

import pytest

from bot.api.arguments import Target
from bot.config.inventory_file import InventoryFile
from bot.dispatch.inventory import FRESH_SECONDS, Inventory
from bot.errors import PolicyViolation, TargetTimeout, UsageError
from bot.transport.client import QueryResult
from bot.transport.routing import Credentials, Router

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
        self.asked = []

    async def answer(self, question, seconds=20.0):
        self.asked.append(question.on)
        await asyncio.sleep(0)
        nodes = self.nodes[question.on]
        if isinstance(nodes, Exception):
            raise nodes
        return QueryResult([{"Name": name} for name in nodes], "", "hv01")


def directory(clock=lambda: 0.0, **nodes):
    world = Clusters(**{"Prod": ("HV01", "HV02", "HV03"), "branch": ("br01", "br02"), **nodes})
    ways = Router(ESTATE, {"reader": Credentials("ntlm", "u", "p")})
    return Inventory(ESTATE, world, ways, clock=clock), world, ways


async def test_a_target_knows_what_backs_it_up():
    clusters = {"prod": {"domain": "corp.example", "entry_hosts": ["hv01"], "backup": ["veeam"]}}
    hosts = {"backup01": {"domain": "corp.example", "backup": []}}
    estate = InventoryFile.model_validate({"clusters": clusters, "hosts": hosts})
    names = Inventory(estate, Clusters(prod=("hv01", "hv02")), Router(estate, {}))
    found = [await names.find(name) for name in ("prod", "hv02", "backup01")]
    assert [one.backup for one in found] == [("veeam",), ("veeam",), ()]


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


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("prod", Target("Prod", "cluster", "Prod", managers=("VMM",))),
        (" PROD ", Target("Prod", "cluster", "Prod", managers=("VMM",))),
        ("hv01", Target("hv01", "host", "Prod", managers=("VMM",))),
        ("HV03", Target("hv03", "host", "Prod", managers=("VMM",))),
        ("hv03.corp.example", Target("hv03", "host", "Prod", managers=("VMM",))),
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
