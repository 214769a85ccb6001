from __future__ import annotations

import pytest
from scripted_balancer import LM, BalancerAsk, bound_to, server, service

from bot.api.facts import Unknown
from bot.api.report import Severity
from commands.diagnostics.check_virtual_service import COMMAND, Args
from commands.sources.load_balancer import VirtualService, virtual_services
from commands.virtual_service import facts
from commands.virtual_service.facts import MOST_REQUESTS
from commands.virtual_service.host_names import HostNames, Vs
from commands.virtual_service.verdict import ServerVerdict

A, B = "10.1.0.51", "10.1.0.52"


async def look(services, answers, vs="", hosts="", **more):
    ask = BalancerAsk(services, answers, **more)
    args = Args(LM, tuple(map(Vs, vs.split())), HostNames.parse(hosts) if hosts else HostNames())
    report = COMMAND.evaluate(args, await COMMAND.collect(args, ask))
    look.ask = ask
    return report


def said(report):
    lines = [line for finding in report.findings for _, line in finding.lines]
    return "\n".join((report.title, *(finding.summary for finding in report.findings), *lines, *report.notes))


def down(**over):
    return service(1, "web", server(1, A), server(2, B), **over)


async def test_field_note_host_header_binding_and_the_usual_check():
    """HTTP/1.0 without Host gets 400 from http.sys, and the name that a person gives is answered."""
    report = await look([down()], bound_to("www.shop.lab"), "web", "www.shop.lab")
    assert report.title == "lm01: 2 real servers marked down by the wrong health check"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "WRONG CHECK", "web")
    assert finding.lines[0] == ("Means", "The check sends HEAD / HTTP/1.0 without Host and gets 400.")
    assert finding.lines[1] == ("Because", "HEAD / HTTP/1.1 Host www.shop.lab gets 200.")
    assert finding.lines[2] == ("Do now", "Set the health check to HTTP/1.1, Host www.shop.lab.")
    assert report.remedies[0].line == "/fix-health-check lm01 web --host www.shop.lab"
    assert "Sent from 10.1.0.5, hvops' own machine" in said(report)


async def test_two_names_behind_one_check_need_a_subvs_each():
    report = await look([down()], bound_to("www.shop.lab", "ntrip.shop.lab"), "web", "www.shop.lab,ntrip.shop.lab")
    assert dict(report.findings[0].lines)["Next"] == (
        "www.shop.lab, ntrip.shop.lab all answer, and one check asks for one name. A SubVS for each:"
        " /fix-health-check lm01 web --host www.shop.lab,ntrip.shop.lab shows the steps."
    )
    alone = await look([down()], bound_to("www.shop.lab"), "web", "www.shop.lab,ntrip.shop.lab")
    assert "Next" not in dict(alone.findings[0].lines)


async def test_without_a_name_it_says_what_is_probable_and_how_to_know():
    report = await look([down()], bound_to("www.shop.lab"))
    assert report.title == "lm01: 2 real servers down"
    assert "probably the site is bound to a host name that was not asked for" in said(report)
    assert "/check-virtual-service lm01 web --host" in said(report)
    assert not report.remedies


async def test_a_name_that_the_load_balancer_knows_is_tried_by_itself():
    other = service(2, "sub", server(3, A, "Up"), use_1_1="true", host="www.shop.lab", master="9")
    report = await look([down(), other], bound_to("www.shop.lab"))
    assert report.title == "lm01: 2 real servers marked down by the wrong health check"


async def test_case_39_head_is_refused_and_get_is_not():
    api = service(1, "api", server(1, A), server(2, B), use_1_1="true", host="api.shop.lab", url="/health")
    report = await look([api], lambda address, params, method: 200 if method == "GET" else {A: 405, B: 404}[address])
    assert "Set the health check to GET; the host name is already right." in said(report)
    assert "gets 405, 404" in said(report)
    for never in ("page missing", "set host name", "servers differ", "DIFFERS"):
        assert never not in said(report) + str([finding.status for finding in report.findings])


async def test_down_is_down_whatever_is_asked():
    report = await look([down()], lambda *_: 503, "web", "www.shop.lab")
    assert report.title == "lm01: 2 real servers down"
    assert report.findings[0].status == "DOWN"
    assert not report.remedies
    refused = await look([down()], lambda *_: None)
    assert "connection refused" in said(refused)


async def test_a_nickname_cannot_put_words_into_a_command():
    rows = [service(1, "web --host evil.example", server(1, A), server(2, B))]
    report = await look(rows, bound_to("www.shop.lab"), "1", "www.shop.lab")
    assert report.remedies[0].line == "/fix-health-check lm01 1 --host www.shop.lab"


async def test_a_stale_up_is_seen():
    report = await look(
        [service(1, "web", server(1, A, "Up"), server(2, B, "Up"))], lambda address, *_: 200 if address == A else 503
    )
    stale = next(one for one in report.findings if one.status == "STALE UP")
    assert stale.summary == "10.1.0.52:80 is up for the load balancer, not for hvops."
    assert "Check again in 17 s" in said(report)  # 9 + 4 × 2
    assert any(one.status == "DIFFERS" for one in report.findings)


async def test_down_for_the_load_balancer_and_well_for_hvops():
    report = await look([down()], lambda *_: 200)
    assert report.title == "lm01: 2 real servers down for the load balancer, up for hvops"
    assert report.findings[0].severity is Severity.WARNING


@pytest.mark.parametrize("kind", ["not allowed", "bad reply"])
async def test_what_hvops_may_not_ask_is_unknown_and_never_down(kind):
    report = await look([down()], lambda address, *_: Unknown(address, kind, "it is in none of the networks."))
    assert not report.findings
    assert report.title == "lm01: nothing found, 2 unknown"
    assert report.answered == 0


async def test_case_21_a_redirect_has_no_real_servers_and_works():
    redirect = service(
        1, "mail - HTTP Redirect", status="Redirect", check_type="none", error_code="301", error_url="https://%h%s"
    )
    parent = service(2, "mail", status="Up", port="443", parts="10", count=None)
    report = await look([redirect, parent], lambda *_: 200)
    assert "mail - HTTP Redirect: redirects every request to https, by design." in report.notes
    for never in ("down", "no real server answers", "status unknown"):
        assert never not in said(report).lower()
    assert not report.has_findings
    assert not report.unanswered


async def test_a_service_without_any_real_server():
    report = await look([service(1, "new")], lambda *_: 200)
    assert report.title == "lm01: 1 virtual service without a real server"


@pytest.mark.parametrize("status", ["Sorry", "Security Down", "WAF Misconfigured"])
async def test_a_status_that_hvops_does_not_know_is_repeated(status):
    report = await look([service(1, "web", server(1, A, "Up"), status=status)], lambda *_: 200)
    assert f"The load balancer says “{status}” of it." in said(report)
    assert report.title.startswith("lm01: ")
    assert report.has_findings


async def test_switched_off_and_unchecked_are_said_and_not_judged():
    rows = [
        service(1, "old", server(1, A, "Disabled", enabled="false"), status="Disabled"),
        service(2, "raw", server(2, B, "Unchecked"), status="Unchecked", check_type="none"),
    ]
    report = await look(rows, lambda *_: 200)
    assert not report.has_findings
    assert "Disabled: old." in report.notes
    assert "No check is set, so their state is not known: raw." in report.notes
    assert look.ask.probes == []


async def test_codes_that_are_set_decide():
    assert (await look([down(codes="403")], lambda *_: 403)).findings[0].status == "DISAGREES"
    report = await look([service(1, "web", server(1, A, "Up"))], lambda *_: 307)
    assert report.findings[0].status == "STALE UP"  # 307 is not among 301, 302 and 401


async def test_a_redirect_that_counts_as_up_is_told():
    report = await look([service(1, "web", server(1, A, "Up"))], lambda *_: "https://login.shop.lab/")
    assert (
        report.findings[0].summary == "A redirect counts as up here, and says nothing about the application behind it."
    )
    assert not report.has_findings


async def test_a_pattern_is_not_read_so_it_is_not_known():
    report = await look([down(method="GET", pattern="healthy")], lambda *_: 200)
    assert not report.findings
    assert "a pattern, headers or data of its own decide" in report.unanswered[0].why


async def test_over_tls_a_server_may_want_the_name_in_the_handshake():
    def answers(address, params, _method):
        return (
            200
            if params["server_name"] == "www.shop.lab"
            else Unknown(address, "no TLS", "it cuts the connection off.")
        )

    secure = service(1, "web", server(1, A, port=443), check_type="https", port="443")
    report = await look([secure], answers, "web", "www.shop.lab")
    assert "HEAD / HTTP/1.0 without Host, no SNI and gets no TLS" in said(report)
    assert "HEAD / HTTP/1.1 Host www.shop.lab, SNI gets 200" in said(report)


async def test_a_tcp_check_is_left_to_the_load_balancer():
    rows = [service(1, "sql", server(1, A, "Up", 1433), server(2, B, "Down", 1433), check_type="tcp")]
    report = await look(rows, lambda *_: 200)
    assert look.ask.probes == []
    assert report.fine[0].summary == "by the load balancer alone, not compared"
    assert "its tcp check cannot be repeated by hvops" in report.unanswered[0].why


async def test_one_service_by_its_name_index_or_address():
    rows = [down(), service(2, "mail", server(3, "10.1.0.61", "Up"), address="10.1.0.30")]
    for word in ("mail", "2", "10.1.0.30", "10.1.0.30:80"):
        assert (await look(rows, lambda *_: 200, word)).asked == 1
    missing = await look(rows, lambda *_: 200, "nobody here")
    assert missing.title == "lm01: no virtual service “nobody here”"
    assert missing.notes == ("There are: web, mail.",)


async def test_a_list_that_is_cut_says_so():
    report = await look([down(count="5")], lambda *_: 503)
    assert any(one.kind == "not whole" and "it says 5, and lists 2" in one.why for one in report.unanswered)


async def test_a_look_is_bounded():
    servers = [server(number, f"10.1.{number // 200}.{number % 200 + 1}", "Up") for number in range(1, 400)]
    report = await look([service(1, "web", *servers)], lambda *_: 200)
    assert len(look.ask.probes) == MOST_REQUESTS
    assert any(one.kind == "not asked" and one.target == "159 more real servers" for one in report.unanswered)


async def test_a_load_balancer_that_does_not_answer_and_one_that_tells_little():
    silent = await look(Unknown("lm01", "timed out", "no answer in 20 s."), lambda *_: 200)
    assert silent.title == "lm01: its virtual services are not known"
    told = await look([down(method=None, use_1_1=None)], lambda *_: 200)
    assert not told.findings
    assert told.unanswered
    late = await look(
        [service(1, "web", server(1, A, "Up"))], lambda *_: 503, times=Unknown("lm01", "timed out", "none.")
    )
    assert "Check again in a minute" in said(late)


async def test_firmware_with_known_faults_is_named():
    report = await look([service(1, "web", server(1, A, "Up"))], lambda *_: 200, version="7.2.61.1.1.RELEASE")
    assert "7.2.61.1 has known faults: CVE-2026-8037, CVE-2026-33691." in said(report)


async def test_of_thousands_of_services_each_is_looked_up_and_not_compared_with_all(monkeypatch):
    """A load balancer that listed a thousand with the same server held the loop for five seconds, ten thousand for minutes."""
    looked_at = []
    real = facts._is_host_name
    monkeypatch.setattr(facts, "_is_host_name", lambda name: looked_at.append(name) or real(name))
    for one in (VirtualService, ServerVerdict):
        monkeypatch.setattr(one, "__eq__", lambda *_: pytest.fail("it is compared with others"))
    many = [service(number, f"s{number}.shop.lab", server(1, A)) for number in range(1, 1_001)]
    report = await look(many, bound_to("www.shop.lab"))
    assert report.title == f"lm01: {MOST_REQUESTS} real servers down, {1_001 - MOST_REQUESTS} unknown"
    assert len(looked_at) < 5 * len(many)
    looked_at.clear()
    same = [service(number, "web", server(1, A)) for number in range(1, 1_001)]
    assert (await look(same, bound_to("www.shop.lab"), "web")).title == report.title
    assert len(looked_at) < 5 * len(same)


async def test_names_are_tried_in_the_order_of_the_list_whichever_server_they_share():
    services = [
        service(1, "web", server(1, A), server(2, B)),
        service(2, "b.shop.lab", server(3, B), host="c.shop.lab"),
        service(3, "d.shop.lab", server(4, A), host="C.shop.lab"),
    ]
    rows = (await BalancerAsk(services, bound_to()).query(virtual_services("lm01"))).value
    assert facts.KnownNames(rows).of(rows[0], ("a.shop.lab",)) == (
        "a.shop.lab",
        "c.shop.lab",
        "b.shop.lab",
        "d.shop.lab",
    )


NO_NAMES = ("x:99999999", "a:b:c", "[::1", ":0", "www.shop.lab:80:80", "[fe80::1%eth0]")


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_host_or_an_address_that_is_none_is_told_as_not_compared(name):
    """One such field made the whole answer a bug."""
    well = service(2, "api", server(3, B, "Up"), use_1_1="true", host="api.shop.lab")
    for odd in (down(use_1_1="true", host=name), service(1, "web", server(1, name), use_1_1="true")):
        report = await look([odd, well], bound_to("api.shop.lab"))
        assert report.fine[0].targets == ("api 10.1.0.52:80",)
        assert report.unanswered
