"""Which machines belong to a site with a worker, and what a worker knows of any other place."""

import pytest

from bot.config.inventory_file import InventoryFile
from bot.errors import SettingsError
from bot.transport.sites.membership import homes_of, only

TOLD = {
    "clusters": {
        "prod": {"domain": "corp.example", "entry_hosts": ["hv01"], "nodes": ["hv01", "hv02"]},
        "Branch": {"domain": "corp.example", "entry_hosts": ["br01"]},
    },
    "hosts": {"FS01": {"domain": "corp.example"}, "vmm01": {"domain": "corp.example"}},
    "vmm": {"vmm": {"server": "sql01.corp.example", "host": "vmm01", "clusters": ["prod", "Branch"]}},
    "commvault": {"url": "https://backup.corp.example/api"},
    "load_balancer": [
        {"name": "lm01", "url": "https://lm01.corp.example"},
        {"name": "lm02", "url": "https://lm02.corp.example"},
    ],
    "window": [{"name": "x", "kind": "backup", "from": "22:00", "to": "04:00", "zone": "UTC", "scope": ["prod"]}],
    "service": {"crm": {"places": ["prod", "Branch"]}},
}


def inventory(*members, more=()):
    site = {"Ghent": {"members": list(members)}, **dict(more)}
    return InventoryFile.model_validate({**TOLD, "site": site})


def test_each_member_belongs_to_its_site_in_any_spelling():
    homes = homes_of(inventory("branch", "fs01.corp.example", "lm02", "www.corp.example"), ["ghent"])
    assert {name: homes.get(name) for name in ("branch", "fs01", "lm02", "prod", "lm01", "vmm")} == {
        "branch": "Ghent",
        "fs01": "Ghent",
        "lm02": "Ghent",
        "prod": None,
        "lm01": None,
        "vmm": None,
    }


@pytest.mark.parametrize(
    ("members", "site", "says"),
    [
        (["Branch"], "antwerp", "the inventory has no such site"),
        (["hv02"], "ghent", "its member hv02 is a node of prod"),
        (["hv01.corp.example", "Branch"], "ghent", "Write prod there in its place"),
        (["lic01"], "ghent", "none of its members is a cluster"),
    ],
)
def test_what_cannot_be_a_workers_site_is_refused(members, site, says):
    with pytest.raises(SettingsError, match=says):
        homes_of(inventory(*members), [site])


def test_a_worker_knows_its_own_site_and_no_other():
    own = only(inventory("Branch", "vmm", "vmm01", "lm02"), "ghent")
    assert (list(own.clusters), list(own.hosts), list(own.load_balancers())) == (["branch"], ["vmm01"], ["lm02"])
    assert own.managed_by(own.vmm["vmm"]) == ("Branch",)
    assert (own.commvault, own.service, own.site, own.window) == (None, {}, {}, ())
    assert only(inventory("commvault"), "ghent").commvault is not None
