"""The head of one answer, read from a row."""

from __future__ import annotations

import pytest

from bot.api.facts import Known, Unknown
from bot.api.rows import CellError
from bot.api.web import Url
from commands.sources.web_server import Certificate, ask_server, ask_url

ROW = {
    "status": 302,
    "reason": "Found",
    "version": "1.1",
    "location": "/manual/",
    "locations": 1,
    "location_cut": False,
    "server": "Microsoft-IIS/10.0",
    "allow": "",
    "login": "",
    "address": "10.1.0.71",
    "port": 443,
    "addresses": ("10.1.0.71", "10.1.0.72"),
    "pinned": False,
    "own_address": "10.1.0.9",
    "tls": "TLSv1.2",
    "certificate": {
        "subject": "intra.corp.example",
        "issuer": "Corp CA",
        "names": ("intra.corp.example",),
        "begins": "2026-01-01T00:00:00+00:00",
        "ends": "2027-01-01T00:00:00+00:00",
        "sha256": "00" * 32,
        "unreadable": False,
    },
}


def test_an_answer_is_read():
    answer = ask_url(Url.parse("https://intra.corp.example/")).read([ROW])
    assert (answer.status, answer.location, answer.redirects) == (302, "/manual/", True)
    assert answer.certificate.covers("INTRA.corp.example.")
    assert answer.addresses == ("10.1.0.71", "10.1.0.72")


@pytest.mark.parametrize(
    ("name", "covered"), [("a.corp.example", True), ("b.a.corp.example", False), ("corp.example", False)]
)
def test_a_wildcard_covers_one_label(name, covered):
    assert Certificate("", "", ("*.corp.example",), None, None, "").covers(name) is covered


@pytest.mark.parametrize("otherwise", [{"status": None}, {"status": 7}, {"status": "x"}, {"location": 3}, {"names": 4}])
def test_nonsense_is_refused(otherwise):
    row = ROW | otherwise
    if "names" in otherwise:
        row = ROW | {"certificate": ROW["certificate"] | {"names": {"a": "b"}}}
    with pytest.raises(CellError):
        ask_server("x", port=80).read([row])
    with pytest.raises(ValueError, match="0 answers"):
        ask_server("x", port=80).read([])


def test_a_url_is_asked_as_a_browser_would():
    params = dict(ask_url(Url.parse("https://www.corp.example:8443/a?b=1")).query.params)
    assert params == {
        "port": 8443,
        "target": "/a?b=1",
        "host": "www.corp.example:8443",
        "version": "1.1",
        "address": "",
        "tls": True,
        "server_name": "www.corp.example",
    }
    assert dict(ask_url(Url.parse("https://10.1.0.71/")).query.params)["server_name"] == ""


async def test_who_does_not_answer_is_unknown(scripted, now):
    ask = scripted({("www", "http get"): [ROW], ("web02", "http get"): Unknown("web02", "no TLS", "no.")})
    assert isinstance(await ask.query(ask_server("www", port=80)), Known)
    assert (await ask.query(ask_server("web02", port=80))).kind == "no TLS"
