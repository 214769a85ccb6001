"""The estate: names, addresses, and what may not be written."""

from __future__ import annotations

import pytest

from bot.api.continuity import site_of
from bot.config.inventory_file import InventoryFile, load
from bot.errors import SettingsError

GOOD = """
guest_domains = ["Corp.Example"]
[clusters.Prod]
domain = "corp.example"
entry_hosts = ["hv01", "HV02"]
ops_channel = "C0OPS"
[hosts.backup01]
domain = "corp.example"
[endpoints]
HV01 = "http://127.0.1.1:5985/wsman"
"""


def read(folder, text):
    file = folder / "inventory.toml"
    file.write_text(text)
    return load(file)


def test_an_estate_is_read_and_names_have_no_case(tmp_path):
    estate = read(tmp_path, GOOD)
    assert list(estate.clusters) == ["prod"]
    assert estate.clusters["prod"].name == "Prod"
    assert estate.clusters["prod"].entry_hosts == ("hv01", "HV02")
    assert estate.hosts["backup01"].ops_channel == ""
    assert estate.guest_domains == ("corp.example",)


def test_addresses_are_pinned_or_follow_from_the_name(tmp_path):
    estate = read(tmp_path, GOOD)
    assert estate.endpoint("hv01", "corp.example") == "http://127.0.1.1:5985/wsman"
    assert estate.endpoint("hv02", "corp.example") == "http://hv02.corp.example:5985/wsman"
    assert estate.endpoint("hv02", "corp.example", tls=True) == "https://hv02.corp.example:5986/wsman"
    assert estate.is_pinned("Hv01")
    assert not estate.is_pinned("hv02")


@pytest.mark.parametrize(
    ("prod", "backup01", "commvault", "expected"),
    [
        ("", "", "", (None, None)),
        ("", "", "[commvault]", (("commvault",), ("commvault",))),
        ('backup = ["CommVault", "Veeam", "veeam"]', "backup = []", "[commvault]", (("CommVault", "veeam"), ())),
        ("backup = []", 'backup = ["our own script"]', "", ((), ("our own script",))),
    ],
)
def test_what_backs_up_a_cluster_and_a_host(tmp_path, prod, backup01, commvault, expected):
    address = '\nurl = "https://backup.corp.example/webconsole/api"' if commvault else ""
    text = GOOD.replace('"C0OPS"\n', f'"C0OPS"\n{prod}\n').replace("[endpoints]", f"{backup01}\n[endpoints]")
    estate = read(tmp_path, f"{text}\n{commvault}{address}")
    assert (estate.backup_products("Prod"), estate.backup_products("", "BACKUP01")) == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[hosts.backup01]", "[hosts.prod]"), "prod is both a cluster and a host"),
        (("[hosts.backup01]", "[hosts.hv01]"), "hv01 is an entry host of Prod and a standalone host"),
        (('["hv01", "HV02"]', "[]"), 'Write entry_hosts = ["hv01", "hv02"]'),
        (('["hv01", "HV02"]', '["hv01.corp.example"]'), "[clusters.Prod] entry_hosts (item 1) is wrong"),
        (('"C0OPS"', '"C0OPS"\nbackup = "veeam"'), 'Write backup = ["commvault"]'),
        (('"C0OPS"', '"C0OPS"\nbackup = ["-"]'), "[clusters.Prod] backup (item 1) is wrong"),
        (("entry_hosts", "entry_host"), 'entry_host is not a setting. Did you mean "entry_hosts"?'),
        (("[clusters.Prod]", "[cluster.Prod]"), 'cluster is not a setting. Did you mean "clusters"?'),
        (("[clusters.Prod]", '[clusters."-rf prod"]'), "Write a table [clusters.NAME]"),
        (('"C0OPS"', '"#hv-ops"'), "the id of a channel, not its name"),
        (('"http://127.0.1.1:5985/wsman"', '"127.0.1.1"'), "hv01 is no address of the form http://host:5985/wsman"),
        (("[hosts.backup01]", '[clusters.PROD]\nentry_hosts=["x1"]'), "PROD is written twice"),
        (
            ('domain = "corp.example"\nentry', 'name = "p"\ndomain = "c"\nentry'),
            "[clusters.Prod] name is not a setting",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(tmp_path, change, says):
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, GOOD.replace(*change))
    assert says in str(raised.value)
    assert "inventory.toml" in str(raised.value)


def test_an_empty_estate_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="there is no cluster and no host"):
        read(tmp_path, "")


def test_a_missing_estate_says_what_to_copy(tmp_path):
    with pytest.raises(SettingsError, match=r"Copy deploy/inventory\.toml"):
        load(tmp_path / "inventory.toml")


def test_the_backup_product_has_an_address_and_a_name_of_its_own(tmp_path):
    assert read(tmp_path, GOOD).commvault is None
    told = read(tmp_path, GOOD + '[commvault]\nurl = "https://backup.corp.example/webconsole/api/"\n')
    assert told.commvault.url == "https://backup.corp.example/webconsole/api"
    for url in ("backup.corp.example", "ftp://b", "https://u:p@b/api", "https://b/api?x=1"):
        with pytest.raises(SettingsError, match="commvault"):
            read(tmp_path, GOOD + f'[commvault]\nurl = "{url}"\n')
    with pytest.raises(SettingsError, match="rename that cluster or host"):
        read(tmp_path, GOOD.replace("[hosts.backup01]", "[hosts.CommVault]"))


def test_a_vmm_server_manages_all_clusters_unless_it_says_which(tmp_path):
    assert read(tmp_path, GOOD).vmm == {}
    text = GOOD + '[vmm.VMM]\nserver = "sql01.corp.example"\n'
    estate = read(tmp_path, text)
    found = estate.vmm["vmm"]
    assert (found.name, found.port, found.database, found.trust_certificate) == ("VMM", 1433, "VirtualManagerDB", False)
    assert estate.managed_by(found) == tuple(cluster.name for cluster in estate.clusters.values())
    one = read(tmp_path, text + 'clusters = ["prod"]\n')
    assert one.managed_by(one.vmm["vmm"]) == ("Prod",)
    assert (one.managers("Prod"), one.managers("")) == (("VMM",), ())
    assert (found.host, read(tmp_path, text + 'host = "BACKUP01"\n').vmm["vmm"].host) == ("", "BACKUP01")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[vmm.vmm]\nport = 1433\n", "[vmm.vmm] server is missing"),
        ('[vmm.vmm]\nserver = "sql01;UID=sa"\n', "server is wrong"),
        ('[vmm.vmm]\nserver = "sql01"\ninstance = "X;UID=sa"\n', "instance is wrong"),
        ('[vmm.vmm]\nserver = "sql01"\ndatabase = "VMM]; DROP"\n', "database is wrong"),
        ('[vmm.vmm]\nserver = "sql01"\npassword = "x"\n', "password is not a setting"),
        ('[vmm.vmm]\nserver = "sql01"\nclusters = ["other"]\n', "which is no cluster"),
        ('[vmm.vmm]\nserver = "sql01"\nhost = "hv01"\n', "hv01, which is not a standalone host"),
        ('[vmm.vmm]\nserver = "sql01"\nhost = "a b"\n', "host is wrong"),
        ('[vmm.prod]\nserver = "sql01"\n', "is a VMM server and also a cluster or host"),
        ('[vmm.hv01]\nserver = "sql01"\n', "is a VMM server and also a cluster or host"),
    ],
)
def test_what_is_wrong_with_a_vmm_server_is_named(tmp_path, table, says):
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, GOOD + table)
    assert says in str(raised.value)


@pytest.mark.parametrize("name", ["prod", "commvault", "VMM"])
def test_no_node_is_written_under_the_name_of_what_is_no_host(tmp_path, name):
    entries = 'entry_hosts = ["hv01", "HV02"]'
    assert entries in GOOD
    told = GOOD.replace(entries, f'{entries}\nnodes = ["{name}"]') + '[vmm.vmm]\nserver = "sql01"\n'
    with pytest.raises(SettingsError, match=f"{name} is a node of Prod and also something that is no host"):
        read(tmp_path, told)


LM = '[[load_balancer]]\nname = "LM01"\nurl = "https://lm01.corp.example/"\n'


def test_a_load_balancer_has_an_address_and_a_name_of_its_own(tmp_path):
    assert read(tmp_path, GOOD).load_balancers() == {}
    told = read(tmp_path, GOOD + LM).load_balancers()["lm01"]
    assert (told.name, told.url, told.api, told.networks) == ("LM01", "https://lm01.corp.example", "v1", ())
    for wrong in ('url = "https://lm01/access"', 'url = "lm01"', 'url = "https://u:p@lm01"'):
        with pytest.raises(SettingsError, match="without a path"):
            read(tmp_path, GOOD + LM.replace('url = "https://lm01.corp.example/"', wrong))
    with pytest.raises(SettingsError, match="api"):
        read(tmp_path, GOOD + LM + 'api = "v3"\n')
    for name in ("prod", "hv01", "backup01", "commvault"):
        with pytest.raises(SettingsError, match="is a load balancer and also something else"):
            read(tmp_path, GOOD + LM.replace("LM01", name))
    with pytest.raises(SettingsError, match="also something else"):
        read(tmp_path, GOOD + LM + LM.replace("LM01", "lm01"))


def test_the_real_servers_of_load_balancers_may_be_asked_and_no_others(tmp_path):
    estate = read(tmp_path, GOOD + LM + 'networks = ["10.1.0.0/24"]\n[web]\nnetworks = ["10.2.0.5"]\n')
    assert estate.web_servers().networks == ("10.2.0.5/32", "10.1.0.0/24")
    assert estate.web.networks == ("10.2.0.5/32",)
    for network in ("0.0.0.0/0", "169.254.0.0/16", "10.1.0.1/24", "x"):
        with pytest.raises(SettingsError, match="load_balancer"):
            read(tmp_path, GOOD + LM + f'networks = ["{network}"]\n')


CRM = """
[service.CRM]
places = ["PROD", "backup01"]
rpo_minutes = 15
[[service.CRM.assumption]]
says = "It replicates"
kind = "replication"
target = "crm-01"
owner = "CRM team"
[site.Antwerp]
members = ["prod", "fs01.corp.example"]
"""


def test_a_service_is_at_places_in_their_own_spelling(tmp_path):
    inventory = read(tmp_path, GOOD + CRM)
    (service,) = inventory.services().values()
    assert (service.name, service.places, service.rpo_minutes) == ("CRM", ("Prod", "backup01"), 15)
    assert [(one.says, one.probe, one.owner) for one in service.assumptions] == [
        ("It replicates", "replication", "CRM team")
    ]
    assert inventory.services_at("prod") == (service,)
    assert inventory.services_at("branch") == ()
    assert site_of("FS01", inventory.sites()) == "Antwerp"
    assert site_of("fs02", inventory.sites()) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            CRM.replace("[service.CRM", "[service.Prod").replace("[[service.CRM", "[[service.Prod"),
            "also something else",
        ),
        (CRM.replace('"PROD"', '"nowhere"'), "no cluster or host of the inventory"),
        (CRM.replace('"replication"', '"magic"'), "kind"),
        (CRM.replace('"replication"', '"addresses"'), "needs folders"),
        (CRM.replace('"replication"', '"addresses"\nfolders = ["\\\\\\\\fs01\\\\x"]'), "folders"),
        (CRM.replace('"replication"', '"link"'), "needs to"),
        (CRM.replace('"replication"', '"link"\nto = "branch"'), "needs max_milliseconds"),
        (CRM.replace('"replication"', '"test-failover"'), "needs max_age_days"),
        (CRM.replace('"replication"', '"statement"'), "needs max_age_days"),
        (CRM + '[site.Ghent]\nmembers = ["Prod"]\n', "in two sites"),
        (CRM.replace("rpo_minutes = 15", "rpo_minutes = 0"), "rpo_minutes"),
    ],
)
def test_a_service_that_cannot_be_tested_is_refused(tmp_path, wrong, says):
    with pytest.raises(SettingsError, match=says):
        read(tmp_path, GOOD + wrong)


WINDOW = {
    "name": "year-end",
    "kind": "freeze",
    "from": "2026-12-20 18:00",
    "to": "2027-01-07 06:00",
    "zone": "Europe/Berlin",
}


def windowed(**more):
    told = {name: value for name, value in (WINDOW | more).items() if value is not None}
    return InventoryFile.model_validate({
        "clusters": {"Prod": {"domain": "corp.example", "entry_hosts": ["hv01"]}},
        "hosts": {"fs01": {"domain": "corp.example"}},
        "vmm": {"vmm": {"server": "sql01.corp.example", "clusters": ["prod"]}},
        "service": {"crm": {"places": ["prod", "fs01"]}},
        "window": [told],
    })  # fmt: skip


def test_a_window_is_about_the_places_where_roles_hold():
    (everywhere,) = windowed().windows()
    assert (everywhere.scope, everywhere.weekdays) == ((), frozenset())
    (window,) = windowed(scope=["PROD", "crm", "vmm"]).windows()
    assert (window.scope, window.shown) == (("prod", "fs01"), "PROD, crm, vmm")
    nightly = {"kind": "backup", "from": "22:00", "to": "04:00", "weekdays": ["mon", "fri"]}
    assert windowed(**nightly).windows()[0].weekdays == {0, 4}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"scope": ["prdo"]}, "prdo is no cluster, host, VMM server, load balancer or service"),
        ({"zone": "Mars/Olympus"}, "is no time zone: write one such as Europe/Berlin"),
        ({"zone": "../../etc/passwd"}, "is no time zone"),
        ({"to": "06:00"}, "either both have a date, or neither"),
        ({"to": "2026-12-01 06:00"}, "to is not after from"),
        ({"from": "2026-02-30 18:00"}, "day is out of range"),
        ({"from": "25:00", "to": "26:00"}, "hour must be in"),
        ({"from": "6 pm"}, "pattern"),
        ({"weekdays": ["mon"]}, "a window with dates is there once"),
        ({"from": "00:00", "to": "00:00"}, "a freeze without an end"),
        ({"kind": "holiday"}, "freeze"),
        ({"until": "x"}, "Extra inputs"),
    ],
)
def test_a_window_that_cannot_be_is_refused_with_what_to_write(more, says):
    with pytest.raises(ValueError, match=says):
        windowed(**more)


PACKAGE = "\n[[update_package]]\nkb = \"KB2607712\"\nbuild = 7601\npath = 'C:\\hvops\\KB2607712.cab'\n"
RULE = '\n[update_rule.Order]\nsays = "one keeps the other out"\nbuilds = [7601]\nsteps = ["remove KB2616676", "add KB2607712", "add KB2616676"]\n'


def test_staged_updates_and_rules_are_read(tmp_path):
    estate = read(tmp_path, GOOD + PACKAGE + RULE)
    assert [(one.kb, one.build, one.path) for one in estate.packages()] == [
        ("KB2607712", 7601, r"C:\hvops\KB2607712.cab")
    ]
    (rule,) = estate.update_rules()
    assert (rule.key, rule.builds, rule.wanted) == ("Order", (7601,), ("KB2607712", "KB2616676"))
    assert [f"{step.does} {step.kb}" for step in rule.steps] == [
        "remove KB2616676",
        "add KB2607712",
        "add KB2616676",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PACKAGE.replace(".cab", ".msu"), "dism takes no .msu online"),
        (PACKAGE.replace(".cab", ".exe"), "it is no .cab and no update.mum"),
        (PACKAGE.replace(r"C:\hvops", r"\\fs01\share"), "path"),
        (PACKAGE + PACKAGE, "KB2607712 is written twice for build 7601"),
        (RULE.replace(', "add KB2616676"', ""), "KB2616676 is removed and never added again"),
        (RULE.replace("add KB2607712", "install KB2607712"), "steps"),
    ],
)
def test_staged_updates_and_rules_that_cannot_be_right_are_refused(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says):
        read(tmp_path, GOOD + text)
