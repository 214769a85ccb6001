"""The practice web servers, asked by curl and by httpx: bindings, redirects, methods, TLS with and without a name."""

from __future__ import annotations

import asyncio
import shutil

import httpx
import pytest

from lab.websites import Binding, Front, HttpRedirect, Page, Site, WebServer, WebServers
from lab.websites.redirect import effective, location
from lab.windows import CertificateAuthority

AUTHORITY = CertificateAuthority()


def http(*hosts):
    return [Binding.read(f"http/*:80:{host}") for host in hosts]


def https(host, *, sni=True):
    return Binding.read(f"https/*:443:{host}", sni=sni)


def serving(*sites, fronts=(), silent=False):
    server = WebServer("web01", "10.1.0.71", list(sites), silent=silent)
    return WebServers([server], fronts, lambda names, expired: AUTHORITY.server_context(*names, expired=expired))


async def curl(servers, url, *options, address="10.1.0.71"):
    """Status line and headers that curl gets; what it says where there are none."""
    port = 443 if url.startswith("https") else 80
    host, at = servers.place(address, port)
    words = ("curl", "-sS", "-i", "-k", "--max-time", "5", "--connect-to", f"::{host}:{at}", *options, url)
    done = await asyncio.create_subprocess_exec(*words, stdout=-1, stderr=-1)
    out, said = await done.communicate()
    return (out or said).decode()


pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ((), "HTTP/1.1 200 OK"),
        (("-H", "Host: other.lab"), "HTTP/1.1 400 Bad Request - Invalid Hostname"),
        (("--http1.0",), "HTTP/1.1 200 OK"),
        (("--http1.0", "-H", "Host:"), "HTTP/1.1 400 Bad Request - Invalid Hostname"),
        (("-H", "Host:"), "HTTP/1.1 400 Bad Request - Invalid Header"),
        (("-I",), "HTTP/1.1 200 OK"),
    ],
)
async def test_a_request_belongs_to_the_site_that_is_bound_to_its_name(options, first):
    async with serving(Site("a", http("www.lab"))) as servers:
        told = await curl(servers, "http://www.lab/", *options)
        assert told.splitlines()[0] == first
        assert ("Microsoft-HTTPAPI/2.0" in told) == (" 400 " in first)


async def test_a_binding_without_a_name_takes_what_no_other_takes():
    sites = (Site("named", http("www.lab")), Site("any", http(""), pages={"/": Page(201)}))
    async with serving(*sites) as servers:
        assert "200 OK" in await curl(servers, "http://www.lab/")
        assert " 201 " in await curl(servers, "http://other.lab/")
        assert " 201 " in await curl(servers, "http://www.lab/", "--http1.0", "-H", "Host:")


async def test_a_refused_method_names_those_that_are_taken():
    async with serving(Site("a", http("www.lab"), pages={"/": Page(methods=("GET",))})) as servers:
        told = await curl(servers, "http://www.lab/", "-I")
        assert told.startswith("HTTP/1.1 405 ")
        assert "Allow: GET" in told


async def test_a_stopped_pool_answers_503_and_a_missing_page_404():
    async with serving(Site("a", http("a.lab"), running=False), Site("b", http("b.lab"))) as servers:
        assert (await curl(servers, "http://a.lab/")).startswith("HTTP/1.1 503 ")
        assert (await curl(servers, "http://b.lab/none")).startswith("HTTP/1.1 404 ")


DEFAULT = HttpRedirect("http://www.contoso.lab/sales")


@pytest.mark.parametrize(
    ("setting", "path", "query", "expected"),
    [
        (DEFAULT, "/", "", "http://www.contoso.lab/sales/"),
        (DEFAULT, "/default.aspx", "a=1", "http://www.contoso.lab/sales/default.aspx?a=1"),
        (DEFAULT, "/about/details.aspx", "", "http://www.contoso.lab/sales/about/details.aspx"),
        (HttpRedirect("http://x.lab/a", exact_destination=True), "/b/c", "q=1", "http://x.lab/a"),
        (HttpRedirect("http://x.lab/", child_only=True), "/b.htm", "", "http://x.lab/b.htm"),
        (HttpRedirect("http://x.lab/", child_only=True), "/b/c.htm", "", None),
        (HttpRedirect("/manual/", child_only=True), "/", "", "http://www.lab/manual/"),
        (HttpRedirect("/manual/", child_only=True), "/manual/", "", None),
        (HttpRedirect("www.x.lab/a"), "/", "", "www.x.lab/a/"),
        (HttpRedirect("http://x.lab/", enabled=False), "/", "", None),
        (HttpRedirect(""), "/", "", None),
    ],
)
def test_a_redirect_leads_where_microsoft_says(setting, path, query, expected):
    assert location(effective({"/": setting}, path), "http", "www.lab", path, query) == expected


def test_what_lies_below_inherits_unless_it_says_otherwise():
    settings = {"/": DEFAULT, "/app/": HttpRedirect("", enabled=False)}
    assert effective(settings, "/other/x") == ("/", DEFAULT)
    assert effective(settings, "/app/x")[0] == "/app/"
    assert effective({"/app": DEFAULT}, "/apple") is None


@pytest.mark.parametrize(
    ("status", "number"), [("Permanent", 301), ("Found", 302), ("Temporary", 307), ("PermRedirect", 308)]
)
async def test_httpx_follows_a_redirect_and_sees_its_status(status, number):
    site = Site(
        "a", http("www.lab"), {"/": HttpRedirect("/manual/", child_only=True, status=status)}, {"/manual/": Page()}
    )
    async with serving(site) as servers, httpx.AsyncClient(follow_redirects=False) as client:
        host, port = servers.place("10.1.0.71", 80)
        answer = await client.get(f"http://{host}:{port}/", headers={"Host": "www.lab"})
        assert (answer.status_code, answer.headers["Location"]) == (number, "http://www.lab/manual/")


async def test_curl_goes_round_in_circles_as_browsers_do():
    site = Site("a", http("www.lab"), {"/": HttpRedirect("www.b.lab/x")})
    async with serving(site) as servers:
        told = await curl(servers, "http://www.lab/", "-L", "--max-redirs", "3")
        assert "Location: www.b.lab/x/www.b.lab/x/" in told
        assert told.count(" 302 ") == 4


@pytest.mark.parametrize(("default", "works"), [(True, True), (False, False)])
async def test_tls_without_a_name_takes_the_default_certificate_or_fails(default, works):
    sites = [Site("a", [https("a.lab")])] + ([Site("d", [https("", sni=False)])] if default else [])
    async with serving(*sites) as servers:
        told = await curl(servers, "https://10.1.0.71/", "-H", "Host: a.lab")  # an address: curl sends no SNI
        assert ("200 OK" in told) is works
        assert "200 OK" in await curl(servers, "https://a.lab/")


async def test_a_device_that_ends_tls_makes_the_https_rule_a_loop():
    front = Front("10.1.0.20", ("shop.lab",), ("10.1.0.71", 80))
    async with serving(Site("shop", http(""), requires_https=True), fronts=[front]) as servers:
        told = await curl(servers, "https://shop.lab/cart?a=1", address="10.1.0.20")
        assert "Location: https://shop.lab/cart?a=1" in told
        assert ("shop.lab", 443) in {(name, port) for name, port, _ in servers.places()}


async def test_a_cookie_ends_the_loop_of_a_site_that_waits_for_one():
    async with serving(Site("a", http("www.lab"), sets_cookie=True)) as servers:
        assert " 302 " in await curl(servers, "http://www.lab/")
        assert "200 OK" in await curl(servers, "http://www.lab/", "-b", "a=b")


async def test_forms_authentication_puts_the_way_back_into_the_query():
    site = Site("a", http("www.lab"), login_page="/in", anonymous=("/open",), pages={"/open": Page()})
    async with serving(site) as servers:
        assert "Location: /in?ReturnUrl=%2Fin%3FReturnUrl%3D%252F" in await curl(
            servers, "http://www.lab/in?ReturnUrl=%2F"
        )
        assert "200 OK" in await curl(servers, "http://www.lab/open")


@pytest.mark.parametrize("text", ["", "ftp/*:21:", "http/*", "http/*:x:", "http/:80:"])
def test_a_binding_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="no binding"):
        Binding.read(text)
