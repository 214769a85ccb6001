"""/check-redirects: where redirects end, which kind of loop they are, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from bot.api.facts import Known, Unknown
from bot.api.report import Severity
from bot.api.web import Url
from commands.diagnostics.check_redirects import Args, collect, evaluate
from commands.redirects.loops import Kind, find_loop, is_like_a_host, repeated
from commands.redirects.trail import MOST_HOPS

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
ROW = {
    "status": 200,
    "reason": "OK",
    "version": "1.1",
    "location": None,
    "locations": 0,
    "location_cut": False,
    "server": "Microsoft-IIS/10.0",
    "address": "10.1.0.71",
    "port": 80,
    "addresses": ("10.1.0.71",),
    "pinned": False,
    "own_address": "10.1.0.9",
    "tls": "",
    "certificate": None,
}


def to(location, status=302, **more):
    return ROW | {"status": status, "location": location, "locations": 1} | more


class Web:
    """Answers by address: a row, why there is none, or a function of the path."""

    def __init__(self, pages: Mapping[str, object], bare: object = None):
        self.pages = pages
        self.bare = bare or ROW
        self.asked = []

    @property
    def now(self):
        return NOW

    async def query(self, source):
        told = dict(source.query.params)
        if told["host"] is None:
            answer = self.bare
        else:
            url = f"{'https' if told['tls'] else 'http'}://{told['host']}{told['target']}"
            self.asked.append(url)
            answer = self.pages.get(url, self.pages.get("*"))
            answer = answer(url) if callable(answer) else answer
        assert answer is not None, f"nobody scripted {url}"
        return answer if isinstance(answer, Unknown) else Known(source.read([answer]), NOW, NOW)


async def report_of(url, pages, bare=None):
    web = Web(pages, bare)
    args = Args(Url.parse(url))
    return evaluate(args, await collect(args, web)), web


async def test_a_page_that_redirects_nowhere_is_fine():
    report, web = await report_of("intra.lab", {"http://intra.lab/": ROW})
    assert report.title == "http://intra.lab/: no redirect, answers 200"
    assert not report.findings
    assert web.asked == ["http://intra.lab/"]


@pytest.mark.parametrize("location", ["/manual/", "http://intra.lab/manual/", "manual/", "//intra.lab/manual/"])
async def test_a_leading_slash_is_right_and_so_are_other_relative_addresses(location):
    pages = {"http://intra.lab/": to(location), "http://intra.lab/manual/": ROW}
    report, _ = await report_of("http://intra.lab/", pages, bare=to("http://10.1.0.71/manual/"))
    assert report.title == "http://intra.lab/: one redirect, ends at /manual/ with 200"
    assert (report.findings, report.has_unknowns, report.answered) == ((), False, 2)
    assert "10.1.0.71. That is normal" in report.notes[0]


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_destination_without_http_grows_whichever_way_the_server_writes_it(absolute):
    destination = "www.business.lab/surveyors/services"

    def grow(url):
        rest = url.removeprefix("http://www.surveyors.lab/")
        return to(f"{'/' if absolute else ''}{destination}/{rest}")

    report, web = await report_of("http://www.surveyors.lab/", {"*": grow})
    assert report.title == f"http://www.surveyors.lab/: redirect loop, the path grows by {destination}"
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.FAULT, "LOOP")
    assert finding.target == "www.surveyors.lab (Microsoft-IIS/10.0 at 10.1.0.71)"
    told = dict(finding.lines)
    assert f"write http://{destination}" in told["By hand"]
    assert "without http://" in told["Suspect"]
    assert len(web.asked) <= 4


async def test_an_inherited_redirect_grows_by_its_own_folder():
    def grow(url):
        return to("http://mail.lab/owa/" + url.removeprefix("http://mail.lab/"))

    report, _ = await report_of("http://mail.lab/", {"*": grow})
    (finding,) = report.findings
    assert "the path grows by owa" in report.title
    assert "inherits the redirect" in dict(finding.lines)["Suspect"]
    assert "Only redirect requests to content in this directory" in dict(finding.lines)["By hand"]
    assert "without http://" not in str(finding)


async def test_tls_offload_shows_at_one_https_address():
    pages = {"http://shop.lab/": to("https://shop.lab/", 301), "https://shop.lab/": to("https://shop.lab/", 301)}
    report, _ = await report_of("http://shop.lab/", pages)
    (finding,) = report.findings
    assert "https to the same https address" in report.title
    assert "X-Forwarded-Proto" in dict(finding.lines)["By hand"]
    assert "private window" in dict(finding.lines)["Next"]


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ({"http://a.lab/": to("http://a.lab/")}, "to the same address"),
        ({"http://a.lab/": to("https://a.lab/"), "https://a.lab/": to("http://a.lab/")}, "between http and https"),
        ({"http://a.lab/": to("http://b.lab/"), "http://b.lab/": to("http://a.lab/")}, "between hosts"),
        ({"http://a.lab/": to("/x"), "http://a.lab/x": to("/")}, "between two paths"),
        ({"http://a.lab/": to("/in?r=/"), "*": lambda url: to(f"/in?r={url[12:]}")}, "the query grows"),
    ],
)
async def test_loops_are_told_apart(pages, says):
    report, web = await report_of("http://a.lab/", pages)
    assert says in report.title
    assert report.findings[0].severity is Severity.FAULT
    assert len(web.asked) <= 4


async def test_a_loop_beside_a_cookie_is_no_loop_for_browsers():
    report, _ = await report_of("http://a.lab/", {"http://a.lab/": to("/", sets_cookie=True)})
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.WARNING, "LOOP WITHOUT COOKIES")
    assert "IIS Manager" not in str(finding)


async def test_ten_hops_are_enough():
    report, web = await report_of("http://a.lab/0", {"*": lambda url: to(f"/{int(url[13:]) + 1}")})
    assert report.title.endswith("still redirecting after 10 hops")
    assert len(web.asked) == MOST_HOPS
    assert report.table.rows[-1][2] == "not asked"


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (to(None), "LEADS NOWHERE", "has no Location"),
        (to("/a", locations=2), "LEADS NOWHERE", "2 different Locations"),
        (to("/a", location_cut=True), "LEADS NOWHERE", "too long"),
        (to("javascript:alert(1)"), "LEADS NOWHERE", "cannot be followed"),
        (to("http://jo:secret@b.lab/"), "LEADS NOWHERE", "user name"),
        (to("http://b.lab/\r\nX: y"), "LEADS NOWHERE", "control characters"),
        (to("http://127.1/"), "LEADS NOWHERE", "usual spelling"),
        (to("\\\\b.lab\\x"), "LEADS NOWHERE", "backslash"),
        (ROW | {"status": 304}, "LEADS NOWHERE", "304"),
        (ROW | {"status": 400, "server": "Microsoft-HTTPAPI/2.0"}, "NO SUCH SITE", "answers 400"),
        (ROW | {"status": 503, "server": "Microsoft-HTTPAPI/2.0"}, "STOPPED", "answers 503"),
        (ROW | {"status": 401, "login": "Negotiate"}, "LOGIN", "It wants a login (Negotiate)"),
        (ROW | {"status": 404}, "ERROR PAGE", "answers 404"),
        (ROW | {"status": 500}, "ERROR PAGE", "answers 500"),
    ],
)
async def test_ends_that_are_none(answer, status, says):
    report, web = await report_of("http://a.lab/", {"http://a.lab/": answer})
    assert [one.status for one in report.findings] == [status]
    assert says in report.findings[0].summary
    assert "secret" not in str(report)
    assert web.asked == ["http://a.lab/"]


async def test_a_host_name_in_the_path_of_a_missing_page_is_suspected():
    pages = {"http://a.lab/": to("www.b.lab/x/"), "http://a.lab/www.b.lab/x/": ROW | {"status": 404}}
    report, _ = await report_of("http://a.lab/", pages)
    assert report.findings[0].status == "WRONG PATH"
    assert "lacks http://" in dict(report.findings[0].lines)["Suspect"]


@pytest.mark.parametrize(("kind", "says"), [("not allowed", "was not asked"), ("timed out", "did not answer")])
async def test_an_end_that_nobody_knows_is_said(kind, says):
    silent = Unknown("b.lab", kind, "because.")
    report, _ = await report_of("http://a.lab/", {"http://a.lab/": to("http://b.lab/"), "http://b.lab/": silent})
    assert report.title == f"http://a.lab/: one redirect, then not known: b.lab {says}"
    assert report.unanswered == (silent,)
    assert (report.answered, report.asked, report.fine) == (1, 2, ())
    first, _ = await report_of("http://b.lab/", {"http://b.lab/": silent})
    assert first.title == f"http://b.lab/: not known, it {says}"


async def test_what_a_query_holds_is_shown_nowhere():
    pages = {"*": lambda url: to("https://sso.lab/in?SAMLRequest=s3cret&x=y#t0ken") if "a.lab" in url else ROW}
    report, web = await report_of("http://a.lab/?code=pr1vate", pages)
    for secret in ("s3cret", "t0ken", "pr1vate"):
        assert secret not in str(report)
    assert web.asked[1] == "https://sso.lab/in?SAMLRequest=s3cret&x=y"
    assert "https://sso.lab/in?SAMLRequest=…&x=…" in report.title


CERTIFICATE = {
    "subject": "a.lab",
    "issuer": "x",
    "names": ("a.lab",),
    "begins": "2026-01-01T00:00:00+00:00",
    "ends": "2027-01-01T00:00:00+00:00",
    "sha256": "0",
}


@pytest.mark.parametrize(
    ("otherwise", "says"),
    [
        ({}, ""),
        ({"ends": "2026-11-01T00:00:00+00:00"}, "expired on 01 Nov 2026"),
        ({"begins": "2026-12-01T00:00:00+00:00"}, "valid from 01 Dec 2026"),
        ({"names": ("b.lab",)}, "made for b.lab, not for a.lab"),
        ({"names": ("*.lab",)}, ""),
    ],
)
async def test_a_certificate_that_browsers_refuse_is_a_warning(otherwise, says):
    answer = ROW | {"certificate": CERTIFICATE | otherwise, "tls": "TLSv1.2"}
    report, _ = await report_of("https://a.lab/", {"https://a.lab/": answer})
    assert [one.status for one in report.findings] == (["CERTIFICATE"] if says else [])
    assert says in str(report.findings)


async def test_several_addresses_are_said_and_leaving_tls_is_noted():
    pages = {
        "https://a.lab/": to("http://a.lab/x", addresses=("10.1.0.71", "10.1.0.72")),
        "http://a.lab/x": ROW,
    }
    report, _ = await report_of("https://a.lab/", pages)
    assert [(one.status, one.severity) for one in report.findings] == [("LEAVES TLS", Severity.NOTE)]
    assert any("a.lab has 2 addresses; only 10.1.0.71 was asked." in note for note in report.notes)


async def test_hostile_lengths_stay_readable():
    long = "a" * 1_900
    report, _ = await report_of(f"http://a.lab/{long}", {"*": to(f"/{long}b")})
    assert len(report.title) <= 150
    assert all(len(cell) <= 120 for row in report.table.rows for cell in row)
    assert all(len(one.summary) < 400 for one in report.findings)


@pytest.mark.parametrize(
    ("path", "block"),
    [
        ("/a/a/", ("a",)),
        ("/x/a/b/a/b/a/b/index.html", ("a", "b")),
        ("/a/b/c", ()),
        ("/", ()),
        ("/a/a/a/a", ("a",)),
        ("/" + "a/b/" * 500, ("a", "b")),
    ],
)
def test_what_a_path_repeats(path, block):
    assert repeated(path)[: len(block)] == block
    assert bool(repeated(path)) == bool(block)


@pytest.mark.parametrize(
    ("segment", "is_one"),
    [
        *(("www.business.lab", True), ("intra.lab:8080", True), ("www.business.do", True), ("10.1.0.71", False)),
        *(
            ("default.aspx", False),
            ("index.html", False),
            ("owa", False),
            ("a..b", False),
            ("v1.0", False),
            (".lab", False),
        ),
    ],
)
def test_what_looks_like_a_host(segment, is_one):
    assert is_like_a_host(segment) is is_one


def test_two_steps_of_growth_are_no_loop_yet():
    urls = [Url.parse(f"http://a.lab{path}") for path in ("/", "/app/")]
    assert find_loop(urls, Url.parse("http://a.lab/app/app/")) is None
    urls.append(Url.parse("http://a.lab/app/app/"))
    assert find_loop(urls, Url.parse("http://a.lab/app/app/app/")).kind is Kind.GROWS
    assert find_loop(urls, Url.parse("http://b.lab/app/app/app/")) is None
