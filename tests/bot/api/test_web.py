"""Addresses of the web: what is read, what is refused, and that nothing secret is shown."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.web import LONGEST_URL, Url, is_name, read_address, split_port


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("www.corp.example", "http://www.corp.example/"),
        ("HTTPS://WWW.corp.Example:443/a?b=c#d", "https://www.corp.example/a?b=c"),
        ("http://www.corp.example:8080", "http://www.corp.example:8080/"),
        ("http://www.corp.example?b=c", "http://www.corp.example/?b=c"),
        ("http://www.corp.example./", "http://www.corp.example/"),
        ("http://[fd12::1]:81/", "http://[fd12::1]:81/"),
        ("http://10.1.0.71/", "http://10.1.0.71/"),
        ("http://xn--mnchen-3ya.example/", "http://xn--mnchen-3ya.example/"),
    ],
)
def test_an_address_is_read(typed, read):
    assert str(Url.parse(typed)) == read
    assert str(Url.parse(read)) == read


@pytest.mark.parametrize(
    "typed",
    [
        *("", "http://", "http:///x", "//www.corp.example/", "ftp://x/", "javascript:alert(1)", "file:///etc/passwd"),
        *("http://jo@x/", "http://jo:pw@x/", "jo:pw@x", "http://x%2f@y/", "http://x\\@y/", "http://x/\\y"),
        *("http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/", "http://1.2.3.4.5/"),
        *("http://::1/", "http://[fe80::1%25eth0]/", "http://[::ffff:127.0.0.1]/", "http://[1.2.3.4]/", "http://[x]/"),
        *("http://m\u00fcnchen.example/", "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/"),
        *("http://x/\r\nHost: y", "http://x/a b", "http://x\x00/", "http://x:0/", "http://x:99999/", "http://x:y/"),
        *("http://a..b/", "http://-a/", "http://" + "a" * 64 + "/", "http://x/" + "a" * LONGEST_URL, "http://x%40y/"),
    ],
)
def test_what_others_read_differently_is_refused(typed):
    with pytest.raises(ValueError, match=r".") as told:
        Url.parse(typed)
    assert "pw" not in str(told.value)


@pytest.mark.parametrize("typed", ["http://jo:pw1@x/", "jo:pw1@x/y", "http://pw1@x", "http://a@pw1@x/?t=pw1#pw1"])
def test_an_error_repeats_no_secret(typed):
    assert "pw1" not in Url.hide(typed)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/manual/", "http://www.lab/manual/"),
        ("www.b.lab/z", "http://www.lab/x/www.b.lab/z"),
        ("//c.lab/q", "http://c.lab/q"),
        ("https://d.lab", "https://d.lab/"),
        ("?a=1", "http://www.lab/x/y?a=1"),
        ("../..", "http://www.lab/"),
        ("#top", "http://www.lab/x/y?q=1"),
        (" /\u00e4 ", "http://www.lab/%C3%A4"),
        ("http://h/?t=1#id_token=2", "http://h/?t=1"),
    ],
)
def test_a_location_leads_where_browsers_go(location, leads_to):
    assert str(Url.parse("http://www.lab/x/y?q=1").join(location)) == leads_to


@pytest.mark.parametrize(
    "location", ["", "javascript:x", "mailto:a@b", "\\\\e\\f", "/a b", "/a\x01", "http://u:p@h/", "/%00"]
)
def test_a_location_that_clients_read_differently_leads_nowhere(location):
    with pytest.raises(ValueError, match=r"."):
        Url.parse("http://www.lab/x/y").join(location)


SAFE = set(string.ascii_letters + string.digits + string.punctuation)


@given(st.text(max_size=80), st.sampled_from(["", "http://", "https://", "http://www.lab/", "//", "http://[", "/"]))
def test_whatever_is_read_can_be_sent_in_one_line(text, before):
    for read in (lambda: Url.parse(before + text), lambda: Url.parse("http://www.lab/a").join(before + text)):
        try:
            url = read()
        except ValueError:
            continue
        assert set(str(url)) <= SAFE
        assert url.target.startswith("/")
        assert is_name(url.host) or read_address(url.host) is not None
        assert "@" not in url.authority
        assert Url.parse(str(url)) == url


@given(st.text(max_size=40))
def test_hosts_and_ports_never_raise_anything_else(text):
    with contextlib.suppress(ValueError):
        split_port(text)
    is_name(text)
    read_address(text)
