"""A trail of redirects in words: the loop or the end first, then what is odd on the way.

What the addresses show is said as it is. Which setting of the web server causes it cannot be seen from outside: that is a
suspicion, and called so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.report import Finding, Severity
from bot.api.texts import clip_middle
from bot.api.web import Url, read_address
from commands.formatting import join_names, pluralize
from commands.redirects.loops import Kind, Loop, is_like_a_host
from commands.redirects.trail import MOST_HOPS, Hop, Trail
from commands.sources.web_server import WebAnswer

_KERNEL = "Microsoft-HTTPAPI/"  # http.sys answers by itself, before any site [doc: Server header of HTTP Server API]
_PERMANENT = (301, 308)
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _UNAVAILABLE, _CLIENT, _SERVER = 400, 401, 403, 404, 503, 400, 500
_NOT_MODIFIED_AND_CHOICES = range(300, 400)
_LONGEST = 90  # characters of an address in a sentence
_FIX_EVERYWHERE = "Do it on every server behind the name."
_REMEMBERED = "Browsers remember permanent redirects (301, 308): test in a private window."
_LOGIN_PAGES = "the login page itself asks for a login"


def findings_of(trail: Trail, now: datetime) -> tuple[Finding, ...]:
    """Worst first."""
    ends = (_loop(trail, trail.loop),) if trail.loop else _end(trail)
    found = (*ends, *_certificates(trail, now), *_plain_again(trail))
    order = list(Severity)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def verdict(trail: Trail) -> str:
    """How it ends, in a few words behind the address that was asked."""
    last, count = trail.last, _redirects(trail.redirects)
    if trail.loop is not None:
        grows = f" by {_short(trail.loop.block)}" if trail.loop.block else ""
        seen = ", as far as a client without cookies sees" if _has_cookies(trail) else ""
        return f"redirect loop, {_KINDS[trail.loop.kind]}{grows}{seen}"
    if isinstance(last.answer, Unknown):
        did_not = "was not asked" if last.answer.kind == "not allowed" else "did not answer"
        says = f"not known, it {did_not}"
        return says if len(trail.hops) == 1 else f"{count}, then not known: {last.url.authority} {did_not}"
    if last.leads_to is not None:
        return f"still redirecting after {MOST_HOPS} hops"
    return _ending(trail, last, last.answer)


def _ending(trail: Trail, last: Hop, answer: WebAnswer) -> str:
    if last.broken:
        return f"a redirect that leads nowhere (hop {len(trail.hops)})"
    if trail.redirects == 0:
        return f"no redirect, answers {answer.status}"
    return f"{_redirects(trail.redirects)}, ends at {_place(last.url, trail.hops[0].url)} with {answer.status}"


def without_host(trail: Trail) -> str:
    """What the first server answers to HTTP/1.0 without a name, where that is worth a note; else ""."""
    bare = trail.without_host
    if bare is None or trail.loop is not None or trail.last.known is None:
        return ""  # there is worse to read
    if isinstance(bare, Unknown):
        return "What it answers without a Host header (HTTP/1.0) is not known."
    if bare.status == _BAD_REQUEST:
        return "Without a Host header (HTTP/1.0, as some health checks ask) it answers 400: such a check would mark it down."
    host = _host_it_names(trail.hops[0].url, bare)
    if read_address(host) is None or host == trail.hops[0].url.host:
        return ""
    return (
        f"Without a Host header (HTTP/1.0, as some health checks ask) the redirect names the server's own address, {host}."
        " That is normal: the server has no other name then."
    )


def _host_it_names(url: Url, bare: WebAnswer) -> str:
    """The host in the Location of an answer; "" where there is none."""
    try:
        return url.join(bare.location).host if bare.redirects and bare.location else ""
    except ValueError:
        return ""


_KINDS = {
    Kind.NO_SCHEME: "the path grows",
    Kind.GROWS: "the path grows",
    Kind.QUERY_GROWS: "the query grows",
    Kind.TLS_TO_ITSELF: "https to the same https address",
    Kind.TO_ITSELF: "to the same address",
    Kind.SCHEMES: "between http and https",
    Kind.HOSTS: "between hosts",
    Kind.PATHS: "between two paths",
}


def _loop(trail: Trail, loop: Loop) -> Finding:
    """What repeats, what it means, what is suspected and what to do."""
    at = [hop for hop in trail.hops if hop.url in loop.urls] or [trail.last]
    site, cookies = _site(at[-1]), _has_cookies(trail)
    says, suspect, do = _explain(loop, at)
    if cookies:
        means = "hvops sends no cookies, and one is set on the way. If the site only waits for its cookie, browsers get through."
        do = "Try it in a browser's private window before you change anything."
        lines = [("Means", means), ("By hand", do)]
        return Finding(Severity.WARNING, "LOOP WITHOUT COOKIES", site, says, tuple(lines))
    lines = [("Means", "Browsers give up with “too many redirects”: no page is shown.")]
    lines += [("Suspect", suspect), ("By hand", do)]
    lines += [("Next", _REMEMBERED)] if any(hop.known and hop.known.status in _PERMANENT for hop in at) else []
    return Finding(Severity.FAULT, "LOOP", site, says, tuple(lines))


def _explain(loop: Loop, at: Sequence[Hop]) -> tuple[str, str, str]:
    """What repeats; the suspected cause; the fix."""
    url = loop.urls[-1]
    if loop.kind is Kind.NO_SCHEME:
        return (
            f"Each redirect adds {_short(loop.block)} to the path once more.",
            f"The destination of its redirect is written without http:// or https://, so it is read as a path on {url.authority}.",
            (
                f"In IIS Manager, open HTTP Redirect of the site bound to {url.host}, and write http://{_short(loop.block)} (or"
                f" https://). {_FIX_EVERYWHERE}"
            ),
        )
    if loop.kind is Kind.GROWS:
        return (
            f"Each redirect adds /{_short(loop.block)} to the path once more.",
            f"/{_short(loop.block)} lies below the redirected folder and inherits the redirect, so it redirects to itself again.",
            (
                "In IIS Manager, open HTTP Redirect where it is set, and tick “Only redirect requests to content in this"
                " directory (not subdirectories)”; or turn it off for the application it leads to. A destination that begins"
                f" with / is fine. {_FIX_EVERYWHERE}"
            ),
        )
    if loop.kind is Kind.QUERY_GROWS:
        return (
            f"{_short(url.path)} redirects to itself, each time with a longer query.",
            f"Most likely {_LOGIN_PAGES}: anonymous users may not open it.",
            f"Let anonymous users open {_short(url.path)} (authentication and authorization rules of that path).",
        )
    if loop.kind is Kind.TLS_TO_ITSELF:
        return (
            f"{_short(url.shown)} redirects to itself.",
            (
                "A device in front of the server terminates TLS and forwards plain HTTP: the server sees http, and redirects to https again."
                " Less likely: the site's own redirect also applies to the page it leads to."
            ),
            (
                "Redirect http to https on the device that terminates TLS, and remove the redirect from the server; or have the"
                " server's rule read the header that the device sets (X-Forwarded-Proto). If no device terminates TLS there: tick “Only"
                " redirect requests to content in this directory”."
            ),
        )
    if loop.kind is Kind.TO_ITSELF:
        return (
            f"{_short(url.shown)} redirects to itself.",
            "The redirect also applies to the page it leads to: everything below the site inherits it.",
            (
                "In IIS Manager, tick “Only redirect requests to content in this directory (not subdirectories)”, or turn the"
                f" redirect off where it leads to. {_FIX_EVERYWHERE}"
            ),
        )
    return _between(loop, at)


def _between(loop: Loop, at: Sequence[Hop]) -> tuple[str, str, str]:
    """Addresses that send each other the client."""
    names = join_names([_short(one.shown) for one in loop.urls], 4)
    sites = join_names(dict.fromkeys(_site(hop) for hop in at), 4)
    says = f"These send the client in a circle: {names}."
    if loop.kind is Kind.SCHEMES:
        return (
            says,
            (
                "One rule redirects to https, another one back to http: a redirect with http:// in its destination, or a server"
                " behind a device that terminates TLS and builds its own addresses with http."
            ),
            f"Choose one, and remove the other rule: {sites}.",
        )
    if loop.kind is Kind.HOSTS:
        return (
            says,
            "Each of these sites redirects to the other.",
            f"Choose which name stays, and remove its redirect: {sites}.",
        )
    return says, "Two redirects of one site lead to each other.", f"Remove one of them: {sites}."


def _end(trail: Trail) -> tuple[Finding, ...]:
    """What is wrong with how it ends; () where nothing is, or where nobody knows."""
    last, answer = trail.last, trail.last.known
    if answer is None:
        return ()
    site = _site(last)
    if last.leads_to is not None:
        says = f"{MOST_HOPS} redirects and no page; no address came twice. hvops stops here."
        return (Finding(Severity.FAULT, "TOO MANY", site, says, (("Next", "See the hops in the table."),)),)
    if last.broken or answer.status in _NOT_MODIFIED_AND_CHOICES:
        says = last.broken or f"it answers {answer.status}, which is no page"
        return (Finding(Severity.FAULT, "LEADS NOWHERE", site, f"Hop {len(trail.hops)}: {says}."),)
    if answer.status < _CLIENT:
        return ()
    return (_refusal(trail, last, answer, site),)


def _refusal(trail: Trail, last: Hop, answer: WebAnswer, site: str) -> Finding:
    """A page that is an error."""
    wrong = next((part for part in last.url.path.split("/") if is_like_a_host(part)), "")
    says = f"{_short(last.url.shown)} answers {answer.status}."
    lines: tuple[tuple[str, str], ...]
    if wrong and trail.redirects:
        lines = (
            (
                "Suspect",
                f"{wrong} in the path is meant as a host: the destination of the redirect lacks http:// or https://.",
            ),
            (
                "By hand",
                f"In HTTP Redirect of the site bound to {trail.hops[0].url.host}, write the destination with http:// or https://.",
            ),
        )
        return Finding(Severity.FAULT, "WRONG PATH", site, says, lines)
    if answer.server.startswith(_KERNEL) and answer.status == _BAD_REQUEST:
        lines = (
            ("Means", f"Windows answers by itself: no site on {answer.address} is bound to the name {last.url.host}."),
        )
        return Finding(
            Severity.FAULT,
            "NO SUCH SITE",
            site,
            says,
            (*lines, ("By hand", "Check the bindings of the site: name, address and port.")),
        )
    if answer.server.startswith(_KERNEL) and answer.status == _UNAVAILABLE:
        lines = (("Means", "Windows answers by itself: the application pool of that site is stopped."),)
        return Finding(Severity.FAULT, "STOPPED", site, says, lines)
    if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
        wants = f" It wants a login ({answer.login})." if answer.login else ""
        return Finding(
            Severity.NOTE, "LOGIN", site, f"{says}{wants} hvops has none there, so what comes after it is not known."
        )
    severity = Severity.FAULT if answer.status >= _SERVER else Severity.WARNING
    return Finding(severity, "ERROR PAGE", site, says)


def _certificates(trail: Trail, now: datetime) -> tuple[Finding, ...]:
    """Certificates on the way that clients refuse, by what they say of themselves; hvops verifies none."""
    found: dict[str, Finding] = {}
    for hop in trail.hops:
        certificate = hop.known.certificate if hop.known else None
        if certificate is None or hop.url.authority in found:
            continue
        names = join_names(certificate.names, 4) or "no name"
        says = ""
        if certificate.ends is not None and certificate.ends < now:
            says = f"Its certificate expired on {certificate.ends:%d %b %Y}."
        elif certificate.begins is not None and certificate.begins > now:
            says = f"Its certificate is valid from {certificate.begins:%d %b %Y} only."
        elif certificate.ends is not None and not certificate.covers(hop.url.host):
            says = f"Its certificate was made for {names}, not for {hop.url.host}."
        if says:
            found[hop.url.authority] = Finding(
                Severity.WARNING, "CERTIFICATE", _site(hop), f"{says} Browsers stop there first."
            )
    return tuple(found.values())


def _plain_again(trail: Trail) -> tuple[Finding, ...]:
    """Where a redirect leaves TLS, unless that is the loop itself."""
    for hop in trail.hops:
        if (
            hop.leads_to is not None
            and (hop.url.scheme, hop.leads_to.scheme) == ("https", "http")
            and trail.loop is None
        ):
            says = f"{_short(hop.url.shown)} leads to plain http: {_short(hop.leads_to.shown)}."
            return (Finding(Severity.NOTE, "LEAVES TLS", _site(hop), says),)
    return ()


def server_of(answer: WebAnswer) -> str:
    """What answered, and where: "Microsoft-IIS/7.5 at 10.1.0.71"."""
    return f"{answer.server or 'a server without a name'} at {answer.address}"


def _site(hop: Hop) -> str:
    """The site that answered, as clients name it, with what answered."""
    return f"{hop.url.authority} ({server_of(hop.known)})" if hop.known else hop.url.authority


def _has_cookies(trail: Trail) -> bool:
    """Whether a cookie is set on the way, which a browser would send back."""
    return any(hop.known is not None and hop.known.sets_cookie for hop in trail.hops)


def _redirects(count: int) -> str:
    return "one redirect" if count == 1 else pluralize(count, "redirect")


def _place(url: Url, begun: Url) -> str:
    """Where it ends: the path alone where that is on the same site."""
    same = (url.scheme, url.host, url.port) == (begun.scheme, begun.host, begun.port)
    return _short(url.shown.removeprefix(f"{url.scheme}://{url.authority}") if same else url.shown)


def _short(text: str) -> str:
    return clip_middle(text, _LONGEST, _LONGEST // 3)
