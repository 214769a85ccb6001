import time

import pytest

from bot.api.queries import Predicate, Wql
from bot.config.inventory_file import InventoryFile
from bot.errors import PolicyViolation, TargetTimeout
from bot.transport.client import QueryResult, TargetClient
from bot.transport.connection_pool import ConnectionPool, PooledCall
from bot.transport.routing import Credentials, Route, Router

KERBEROS = Credentials("kerberos", "reader@CORP.EXAMPLE")
NTLM = Credentials("ntlm", "CORP\\reader", "secret")
BASIC = Credentials("basic", "reader", "secret")
ESTATE = InventoryFile.model_validate({
    "guest_domains": ["corp.example", "dmz.corp.example"],
    "clusters": {"prod": {"domain": "corp.example", "entry_hosts": ["hv01", "hv02"]}},
    "hosts": {"backup01": {"domain": "other.example"}},
    "endpoints": {"hv02": "http://10.0.0.2:5985/wsman", "app-01": "https://10.0.1.1:5986/wsman", "app-02": "http://10.0.1.2:5985/wsman"},
})  # fmt: skip


def ways(**credentials):
    return Router(ESTATE, credentials)


def test_hosts_by_dns_or_by_endpoint_and_their_service_name():
    plain = ways(reader=KERBEROS)
    assert plain.host("HV01").url == "http://hv01.corp.example:5985/wsman"
    assert plain.host("hv01").service_name == "hv01.corp.example"
    assert plain.host("hv02").url == "http://10.0.0.2:5985/wsman"
    assert plain.host("hv02").service_name == "hv02.corp.example"
    assert plain.host("backup01").url == "http://backup01.other.example:5985/wsman"


SPELLINGS = ("hv03", "HV03", "ＨＶ０３", "hv03.", " hv03 ", "HV03.Corp.Example", "hv03.corp.example.")


def test_every_spelling_of_a_host_is_one_way_and_one_login():
    plain = ways(reader=NTLM, operator=NTLM)
    plain.add_nodes("ＰＲＯＤ", ("ＨＶ０３", "HV04"))
    plain.allow_acts("HV03.corp.example", may=True)
    routes = {plain.host(name, "operator") for name in SPELLINGS}
    assert len(routes) == 1
    assert {(one.key, one.url) for one in routes} == {("hv03", "http://hv03.corp.example:5985/wsman")}
    assert {plain.scope_of(name) for name in SPELLINGS} == {"prod"}
    plain.allow_acts("hv03.", may=False)
    for name in SPELLINGS:
        with pytest.raises(PolicyViolation):
            plain.host(name, "operator")


@pytest.mark.parametrize("name", ["hv03.other.example", "hvо3", "hv03..", "hv03.corp.example.evil.example"])
def test_no_spelling_of_another_name_leads_to_a_host(name):
    plain = ways(reader=NTLM)
    plain.add_nodes("prod", ("hv03",))
    with pytest.raises(PolicyViolation, match="not in the inventory"):
        plain.host(name)


@pytest.mark.parametrize("name", ["hv01", "HV01.corp.example", "crm-01", "guest hv01"])
@pytest.mark.parametrize(
    "fqdn", ["hv01.corp.example", "HV01.Corp.Example.", "crm-01.corp.example", "hv02.corp.example"]
)
def test_no_guest_counts_as_a_host_whatever_it_is_called_and_calls_itself(name, fqdn):
    """It had the host's places, its code page, and its silence was the host's."""
    router = ways(reader=KERBEROS, guest=KERBEROS)
    assert router.guest(name, fqdn).key not in {router.host(host).key for host in ("hv01", "hv02", "backup01")}


def test_a_guest_counts_by_where_it_is_asked():
    router = ways(reader=KERBEROS, guest=KERBEROS)
    assert router.guest("CRM", "CRM-01.corp.example.").key == router.guest("hv01", "crm-01.corp.example").key
    assert router.guest("crm-01", "crm-02.corp.example").key != router.guest("crm-01", "crm-01.corp.example").key


def test_a_guest_that_is_pinned_by_its_name_counts_as_no_other_whose_name_it_gives_itself():
    """It need not prove that name: the address was written down, and the certificate is that address's."""
    router = ways(guest=BASIC, reader=KERBEROS)
    liar, other = router.guest("app-01", "crm-02.corp.example"), ways(guest=KERBEROS).guest("b", "crm-02.corp.example")
    assert liar.url == "https://10.0.1.1:5986/wsman"
    assert liar.key == router.guest("app-01", "app-01.corp.example").key != other.key
    assert router.guest("app-01", "hv01.corp.example").key != router.host("hv01").key


def test_strangers_are_not_reached_until_their_cluster_names_them():
    plain = ways(reader=NTLM)
    with pytest.raises(PolicyViolation, match="not in the inventory"):
        plain.host("hv03")
    assert plain.add_nodes("PROD", ("HV03", "evil.example:80/x", "-o", "")) == ("HV03",)
    assert plain.host("hv03").url == "http://hv03.corp.example:5985/wsman"


def test_basic_and_certificates_go_over_tls_or_not_at_all():
    assert ways(reader=BASIC).host("hv01").url == "https://hv01.corp.example:5986/wsman"
    with pytest.raises(PolicyViolation, match="never sent without TLS"):
        ways(reader=BASIC).host("hv02")
    with pytest.raises(PolicyViolation, match="never sent without TLS"):
        ways(reader=Credentials("certificate")).host("hv02")


def test_a_missing_login_is_named():
    with pytest.raises(PolicyViolation, match=r"\[credentials.operator\]"):
        ways(reader=NTLM).host("hv01", "operator")


def test_entry_hosts_in_turn_the_last_good_one_first():
    plain = ways(reader=NTLM)
    assert plain.entries("Prod") == ("hv01", "hv02")
    plain.mark_preferred("prod", "hv02")
    assert plain.entries("prod") == ("hv02", "hv01")
    assert plain.entries("hv09") == ("hv09",)


def test_guests_over_kerberos_by_their_own_name():
    way = ways(guest=KERBEROS).guest("SQL Stage", "SQL-02.corp.example.")
    assert way.url == "http://sql-02.corp.example:5985/wsman"
    assert way.service_name == "sql-02.corp.example"
    assert ways(guest=KERBEROS).guest("x", "web.dmz.corp.example").service_name == "web.dmz.corp.example"


@pytest.mark.parametrize(
    "fqdn",
    [
        "",
        "sql-02",
        "sql-02.evil.example",
        "sql-02.corp.example.evil.example",
        "evilcorp.example",
        "corp.example",
        "a.b.corp.example",
        "x@evil.example/.corp.example",
        "evil.example:5985/.corp.example",
        "-o.corp.example",
        "sql 02.corp.example",
        "sql\n.corp.example",
    ],
)
def test_a_guest_cannot_name_itself_out_of_its_domains(fqdn):
    with pytest.raises(PolicyViolation, match="outside of guest_domains"):
        ways(guest=KERBEROS).guest("app-01", fqdn)


def test_other_logins_only_where_the_estate_pins_the_guest_with_tls():
    with pytest.raises(PolicyViolation, match="Kerberos only"):
        ways(guest=NTLM).guest("sql-02", "sql-02.corp.example")
    with pytest.raises(PolicyViolation, match="Kerberos only"):
        ways(guest=NTLM).guest("app-02", "app-02.corp.example")
    assert ways(guest=NTLM).guest("app-01", "app-01.corp.example").url == "https://10.0.1.1:5986/wsman"


def test_a_guest_is_pinned_by_its_fqdn_before_its_name_which_another_may_bear():
    pins = {"app": "https://10.0.1.1:5986/wsman", "app.dmz.corp.example": "https://10.0.1.2:5986/wsman"}
    router = Router(ESTATE.model_copy(update={"endpoints": pins}), {"guest": NTLM})
    assert router.guest("app", "APP.dmz.corp.example.").url == "https://10.0.1.2:5986/wsman"
    assert router.guest("app", "app.corp.example").url == "https://10.0.1.1:5986/wsman"
    with pytest.raises(PolicyViolation, match="Kerberos only"):
        router.guest("web", "web.dmz.corp.example")


def test_a_password_does_not_show():
    assert "secret" not in repr(ways(reader=NTLM).host("hv01"))


def test_the_place_of_a_host_is_where_its_role_is_held():
    plain = ways(reader=NTLM)
    assert [plain.scope_of(name) for name in ("PROD", "HV01", "Backup01", "hv03")] == ["prod", "prod", "backup01", ""]
    plain.add_nodes("prod", ("hv03",))
    assert plain.scope_of("HV03") == "prod"


def test_an_answer_about_some_nodes_does_not_forget_the_others():
    plain = ways(reader=KERBEROS)
    reach = TargetClient(plain)
    every = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",))
    paused = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",), (Predicate("State", "=", 2),))
    reach._learn(every, QueryResult(({"Name": "hv03"},), "", "hv01"))
    reach._learn(paused, QueryResult((), "", "hv01"))
    assert plain.host("hv03").name == "hv03"
    reach.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://10.0.0.2:5985/wsman", "https:// with port 5985, which is WinRM's for plain HTTP: write port 5986"),
        ("http://10.0.0.2:5986/wsman", "http:// with port 5986, which is WinRM's for TLS: write port 5985"),
        ("http://10.0.0.2:5985/wsman", ""),
        ("https://10.0.0.2:5986/wsman", ""),
        ("https://10.0.0.2:8443/wsman", ""),
    ],
)
def test_an_address_with_the_port_of_the_other_scheme_says_so(url, says):
    route = Route("hv02", url, "hv02", KERBEROS)
    assert (says in route.odd_port) if says else not route.odd_port


def test_who_does_not_answer_at_such_an_address_is_told_about_the_port():
    """A plain listener that is sent a TLS greeting may wait for the rest of a request for ever."""
    route = Route("hv02", "https://10.0.0.2:5985/wsman", "hv02", NTLM)
    failed = PooledCall(ConnectionPool(), route, None, None, 0, reads=True)._translated(TimeoutError())
    assert isinstance(failed, TargetTimeout)
    assert "WinRM's for plain HTTP" in failed.hint


@pytest.mark.parametrize(
    ("waited", "says"), [(0.1, "no answer in time."), (0.99, "no answer in 1 s."), (20.2, "no answer in 20 s.")]
)
def test_how_long_was_waited_counts_from_the_question_not_from_its_thread(waited, says):
    job = PooledCall(
        ConnectionPool(),
        Route("hv02", "https://10.0.0.2:5986/wsman", "hv02", NTLM),
        None,
        None,
        time.monotonic() - waited,
        reads=True,
    )
    assert job._translated(TimeoutError()).message == says
