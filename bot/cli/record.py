"""`hvops record`: ask one line of live hosts, and keep what they said, anonymised, for tests to replay.

The line of a remediation is only asked for: what it looks at is kept, nothing is proposed and nothing is done.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.api.texts import unescape
from bot.api.web import read_address, split_port
from bot.cli.anonymizer import Anonymiser, common_in, left_in, numbered, occurs, readings
from bot.cli.console import console, styled
from bot.cli.layout import print_text
from bot.cli.os_user import current_user
from bot.config.inventory_file import InventoryFile
from bot.config.inventory_strings import Text, change_texts, texts_in, texts_of
from bot.config.settings import Settings
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.errors import UsageError
from bot.redaction import Redactor
from bot.services import Services, build_services
from bot.transport.allowlist import PROGRAMS
from bot.transport.capture import Capture, Exchange, cover_output

# Elements whose text is the name of a machine, and CIM-XML properties that data exchange carries inside of text.
_MACHINE = re.compile(
    r"<(?:\w+:)?(?:CSName|DNSHostName|Computer|OwnerNode|NodeName|HostingComputerSystem)\b[^<>]*+>([^<]{1,255})</"
)
# winrm/config [cap]: names of machines with commas between them, and the thumbprint of the listener's certificate.
_TRUSTED = re.compile(r"<(?:\w+:)?TrustedHosts\b[^<>]*+>([^<]{1,4096})</")
_THUMBPRINT = re.compile(r"(<(?:\w+:)?CertificateThumbprint\b[^<>]*+>)[^<]+")
# Whatever people typed, by the question: the names of machines and snapshots, of roles, of resources, of a cluster.
_ELEMENT_NAME = re.compile(r"<(?:\w+:)?ElementName\b[^<>]*+>([^<]{1,1024})</")
_NAME = re.compile(r"<(?:\w+:)?Name\b[^<>]*+>([^<]{1,1024})</")
_TYPED = (
    (re.compile(r"\bMsvm_(?:ComputerSystem|VirtualSystemSettingData)\b"), _ELEMENT_NAME),
    (re.compile(r"\bMSCluster_(?:ResourceGroup|Resource|Cluster|Group)\b"), _NAME),
    (
        re.compile(r"sValueName>(?:VirtualMachineName|PhysicalHostName|Hostname|ComputerName)<", re.IGNORECASE),
        re.compile(r"<(?:\w+:)?sValue\b[^<>]*+>([^<]{1,1024})</"),
    ),
)
# The same, in every answer: of roles, and of the virtual machine that an event is about [cap].
_TOLD = (
    re.compile(r"<(?:\w+:)?(?:OwnerGroup|VmName)\b[^<>]*+>([^<]{1,1024})</"),
    re.compile(r"""<Data Name=["'](?:VmName|ResourceGroup|ResourceName)["']>([^<]{1,1024})</Data>"""),
)
_CONTEXT = re.compile(r"<(?:\w+:)?EnumerationContext\b[^<>]*+>([^<]{1,255})</")
# What Windows and VMM write around the name of a machine [cap], and what Windows itself calls things [doc].
_AROUND = re.compile(r"(?:Virtual Machine(?: Configuration)? |SCVMM )(.{1,1024})", re.IGNORECASE)
_RESOURCES = re.compile(r"SCVMM (.{1,1024}) (?:Resources|Configuration)", re.IGNORECASE)
_OF_WINDOWS = re.compile(
    r"(?:cluster (?:group|name|disk|virtual disk|ip address|pool)|available storage|file share witness|cloud witness"
    r"|ip address|ipv6 address|virtual machine|virtual machine configuration|virtual machine cluster wmi|network name"
    r"|physical disk|volume ?[0-9]+|task ?scheduler|health|user manager group|sddc group)(?: [0-9a-f.:{}()-]{1,64})?",
    re.IGNORECASE,
)
# Values that mean something to whoever reads an answer: a machine that is called so keeps its name.
_WORDS = frozenset(
    {
        "true",
        "false",
        "yes",
        "no",
        "none",
        "null",
        "nil",
        "ok",
        "on",
        "off",
        "up",
        "down",
        "unknown",
        "error",
        "warning",
    }
    | {
        "running",
        "stopped",
        "paused",
        "saved",
        "stopping",
        "starting",
        "stable",
        "failed",
        "online",
        "offline",
        "pending",
    }
    | {"auto", "automatic", "manual", "disabled", "enabled", "success", "failure", "system", "application", "security"}
    | {"stdout", "stderr", "stdin", "vssadmin", "wevtutil", "windows", "microsoft", "hyper-v", "vmms"}
)
_WORD_OF = re.compile(
    r"<(?:\w+:)?(?:Action|ResourceURI|Channel|Type|Command|sSubKeyName|sValueName|sNames|Filter)\b[^<>]*+>([^<]+)</",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""'[^'\\]*(?:\\.[^'\\]*)*'?|"[^"\\]*(?:\\.[^"\\]*)*"?""", re.DOTALL)
_GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
_UNC = re.compile(r"(?<!\\)\\{2}(?:\\{2})?([A-Za-z0-9_][\w.-]{0,253})\\{1,2}[\w$]")
_EXCHANGED = re.compile(
    r'NAME="Data"[^<>]*+>\s*<VALUE>([^<]{1,255})</VALUE>(?:(?!</INSTANCE>).){0,4096}?<VALUE>(?:FullyQualifiedDomainName)</VALUE>'
    r'|<VALUE>(?:FullyQualifiedDomainName)</VALUE>(?:(?!</INSTANCE>).){0,4096}?NAME="Data"[^<>]*+>\s*<VALUE>([^<]{1,255})</VALUE>',
    re.DOTALL,
)
_ONLY_OF_HOSTS = ("root/MSCluster", "root/virtualization", "vssadmin")  # what guests are never asked
# What has no end is read to the end, once.
_IN_TAGS = re.compile(r"<[^>]*+>?")
_IN_FAULTS = re.compile(r"""\bMachine\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)  # who says it, in every fault [doc]
_COVERING = [(tuple(word for word in one.argv if "{" not in word), one.cover) for one in PROGRAMS.values() if one.cover]
_STAYS = "{} is written in a reply in a way in which it would stay, such as another encoding."
_NAMEABLE = re.compile(r"(?=[0-9.-]{0,63}[^\W0-9])[\w.-]{2,64}")  # what is no address
_SHORTEST = 2


def record(settings: Settings, line: str, output: Path | None = None) -> int:
    """Ask, and write the capture. Returns the exit code. Raises what asking raises.

    Without an `output` it goes into a file of this directory that is not there yet.
    """
    heard, lock = list[Exchange](), threading.Lock()

    def tap(host: str, request: str, reply: str) -> None:
        with lock:
            heard.append(Exchange(host, request, reply))

    person = current_user(settings.roles)
    with build_services(settings, tap) as made:
        answered = asyncio.run(
            _ask(made, Request.of(person, read_typed(line, EntryPoint.TERMINAL), "terminal", socket.gethostname()))
        )
        names = names_in(made, settings, heard)
    heard = list(cover_output(heard, _COVERING))
    capture, kept = anonymised(_capture(made, answered, heard), names, settings)
    output = output or _unused()
    capture.save(output)
    _say(output, capture, kept)
    return 0


async def _ask(made: Services, request: Request) -> AnsweredRequest:
    """The answer of a diagnostic, or what a remediation would propose. Raises HvopsError."""
    if made.pipeline.is_remediation(request.reading):
        return (await made.proposals.preview(request)).answered
    return await made.pipeline.answer(request)


def _unused() -> Path:
    """capture.json, or the next number: a capture of a live host is not to be had twice. It names no host."""
    numbered_names = (Path(f"capture-{number}.json") for number in count(2))
    return next(path for path in chain([Path("capture.json")], numbered_names) if not path.exists())


def anonymised(capture: Capture, names: dict[str, str], settings: Settings) -> tuple[Capture, list[str]]:
    """The capture without secrets and names. Also the names that had to stay: the protocol itself uses them.

    Raises UsageError where a name or a secret would stay: written in a way, or an encoding, in which it was not replaced.
    """
    protocol = _protocol(capture.exchanges)
    kept = sorted(name for name in names if _is_word(name) or occurs(name, protocol))
    common = {guid for text in capture.texts() for guid in common_in(text)}
    replaced = {name: new for name, new in names.items() if name not in kept}
    anonymiser = Anonymiser(replaced, common)
    mask = Redactor(settings.secrets())
    made = capture.changed(lambda text: anonymiser.text(mask.redact_text(_THUMBPRINT.sub(r"\g<1>", text))))
    listed = [text for kind, text in texts_in(made.inventory) if kind is not Text.WORD]
    said = [made.line.partition(" ")[2], made.title, *listed]
    texts = [way for text in (*said, *made.texts()) for way in readings(text)]
    if left_in(replaced, texts):
        raise UsageError(f"There is no capture: {_STAYS.format('a name')}")
    if any(mask.redact_known(text) != text for text in texts):
        raise UsageError(f"There is no capture: {_STAYS.format('a secret of the settings')}")
    return made, kept


def _protocol(exchanges: Iterable[Exchange]) -> str:
    """What the protocol itself says: its tags, and the values by which it names classes, channels, keys and types."""
    texts = {text for one in exchanges for text in (one.request, one.reply)}
    tags = {_IN_FAULTS.sub("", tag) for text in texts for tag in _IN_TAGS.findall(text)}
    words = {_QUOTED.sub("", unescape(word)) for text in texts for word in _WORD_OF.findall(text)}
    return "\n".join(sorted(tags | words))


def _is_word(name: str) -> bool:
    """Whether a name could as well be a value of the protocol: a number, a letter, "true"."""
    is_spelled = any(letter.isalpha() for letter in name)
    return not is_spelled or len(name) < _SHORTEST or name.casefold() in _WORDS or bool(_OF_WINDOWS.fullmatch(name))


def names_in(made: Services, settings: Settings, heard: Iterable[Exchange]) -> dict[str, str]:
    """Every name of a machine, a domain or an account in inventory, settings and replies, with its replacement."""
    heard = list(heard)
    replies = [unescape(one.reply) for one in heard]
    hosts = {one.host for one in heard if any(word in one.request for word in _ONLY_OF_HOSTS)}
    file = made.inventory_file
    listed: dict[Text, set[str]] = {kind: set() for kind in Text}
    for kind, text in texts_of(file):
        listed[kind].add(text)
    hosts |= {*listed[Text.HOST], *made.inventory.known()}
    hosts -= {*file.clusters, *file.vmm, *file.load_balancers(), *file.service}
    typed = typed_in(heard) | listed[Text.GUEST]
    machines = {found.strip() for reply in replies for found in _MACHINE.findall(reply)}
    exchanged = {name for reply in replies for found in _EXCHANGED.findall(unescape(reply)) for name in found if name}
    machines |= {name for reply in replies for name in trusted_in(reply)}
    machines |= {name for reply in replies for name in _UNC.findall(reply)}
    named = {_machine_of(text) for kind in (Text.MACHINE, Text.URL) for text in listed[kind]} - {""}
    users = {profile.username for profile in settings.credentials.profiles().values()}
    domains = _domains(file, {*exchanged, *named}) | {_domain(user) for user in users} - {""}
    hosts = {_label(host) for host in hosts}
    machines = {*map(_label, {*exchanged, *machines, *named}), *(one.host for one in heard)}
    guests = typed | {name for name in machines if _NAMEABLE.fullmatch(name)}
    labels = {label for domain in domains for label in (domain, domain.partition(".")[0])}
    found = numbered(labels, "d{0:02d}.example")
    found = {name: new if "." in name else new.partition(".")[0] for name, new in found.items()}
    found |= numbered({_user(user) for user in users} - {""}, "user{0:02d}")
    found |= numbered({name.lower() for name in guests} - _lower(hosts), "vm{0:04d}")
    found |= numbered(listed[Text.RULE], "rule{0}") | numbered(listed[Text.SITE], "site{0}")
    found |= numbered(listed[Text.SERVICE], "service{0}") | numbered(listed[Text.MANAGER], "vmm{0}")
    found |= numbered(listed[Text.BALANCER], "balancer{0}")
    return found | numbered(hosts, "host{0:02d}") | numbered(file.clusters, "cluster{0}")


def _machine_of(text: str) -> str:
    """The machine in "www.corp.example:443" or in a URL; "" for an address."""
    host = (urlsplit(text).hostname or "") if "://" in text else _host_of(text)
    return "" if read_address(host) is not None or host.lower() == "localhost" else host


def typed_in(heard: Iterable[Exchange]) -> set[str]:
    """What people called virtual machines, snapshots, roles and their resources: any text, told by the answers."""
    found: set[str] = set()
    for question, reply in _answered(heard):
        patterns = [names for asked, names in _TYPED if asked.search(question)]
        found.update(name for pattern in (*patterns, *_TOLD) for name in pattern.findall(reply))
    names = {unescape(unescape(name)).strip() for name in found}
    names = {_bare(name) for name in names}
    return {name for name in names if name and not _GUID.fullmatch(name) and not _OF_WINDOWS.fullmatch(name)}


def _bare(name: str) -> str:
    """The name of a role or a machine within that of its resource."""
    around = _RESOURCES.fullmatch(name) or _AROUND.fullmatch(name)
    return around[1].strip() if around else name


def _answered(heard: Iterable[Exchange]) -> Iterator[tuple[str, str]]:
    """Each reply with the question that it answers, also where it is a later part of an answer."""
    questions: dict[tuple[str, str], str] = {}
    for one in heard:
        of = _CONTEXT.search(one.request)
        question = questions.get((one.host, of[1]), one.request) if of else one.request
        more = _CONTEXT.search(one.reply)
        if more:
            questions[one.host, more[1]] = question
        yield question, one.reply


def trusted_in(reply: str) -> set[str]:
    """The machines that TrustedHosts of winrm/config names; patterns such as "*.corp.example" are no machines."""
    listed = (name.strip() for found in _TRUSTED.findall(reply) for name in found.split(","))
    return {name for name in listed if name and "*" not in name and not re.fullmatch("[0-9.]+", name)}


def _host_of(text: str) -> str:
    try:
        return split_port(text)[0]
    except ValueError:  # a computer's name that no DNS has: "crm_01"
        return text


def _capture(made: Services, answered: AnsweredRequest, heard: list[Exchange]) -> Capture:
    inventory = shared_inventory(made.inventory_file, {one.host for one in heard} | set(made.inventory.known()))
    title = answered.report.title
    for said, new in sorted(_sentences(made.inventory_file).items(), key=lambda one: -len(one[0])):
        title = title.replace(said, new)
    return Capture(answered.line, answered.at.isoformat(), inventory, title, tuple(heard))


def shared_inventory(inventory_file: InventoryFile, hosts: Iterable[str]) -> dict[str, Any]:
    """The inventory without what only those know who wrote it: channels, addresses, what people say in it.

    Nor what a replay does not ask. Names that are replaced elsewhere stand in it as they are; nodes of a pattern are written out.
    """
    sentences = _sentences(inventory_file)

    def change(kind: Text, text: str) -> str:
        if kind is Text.URL:
            return urlsplit(text)._replace(netloc="service.example").geturl()
        return "" if kind is Text.CHANNEL else sentences.get(text, text) if kind is Text.SENTENCE else text

    told = inventory_file.model_dump(mode="json", exclude={"endpoints", "vmm", "load_balancer", "web"})
    for key, cluster in inventory_file.clusters.items():
        if cluster.node_pattern:
            nodes = {*cluster.entry_hosts, *cluster.nodes, *(host for host in hosts if cluster.names(host))}
            told["clusters"][key] |= {"nodes": sorted(_lower(nodes)), "node_pattern": ""}
    places = {*inventory_file.clusters, *inventory_file.hosts}
    windows = [
        (one | {"scope": [place for place in window.scope if place in places]}, bool(window.scope))
        for one, window in zip(told["window"], inventory_file.windows(), strict=True)
    ]
    # One without a scope would be about every place.
    told["window"] = [one for one, is_bound in windows if one["scope"] or not is_bound]
    return change_texts(told, change)


def _sentences(inventory_file: InventoryFile) -> dict[str, str]:
    said = {text for kind, text in texts_of(inventory_file) if kind is Text.SENTENCE and text}
    return {text: f"Text {number}" for number, text in enumerate(sorted(said), 1)}


def _domains(inventory_file: InventoryFile, exchanged: Iterable[str]) -> set[str]:
    named = {*inventory_file.guest_domains, *(cluster.domain for cluster in inventory_file.clusters.values())}
    named |= {host.domain for host in inventory_file.hosts.values()}
    named |= {name.partition(".")[2] for name in exchanged}
    return {domain.lower() for domain in named if domain}


def _say(output: Path, capture: Capture, kept: list[str]) -> None:
    out = console()
    hosts = len({one.host for one in capture.exchanges})
    print_text(out, styled(f"{len(capture.exchanges)} exchanges with {hosts} machines are in {output}.", "bold"))
    print_text(out, styled("Names, GUIDs, addresses and secrets were replaced. Read it before you give it away."))
    if kept:
        print_text(out, styled(f"These names stayed, because Windows uses them as words: {', '.join(kept)}.", "yellow"))


def _label(name: str) -> str:
    return name.partition(".")[0].lower()


def _domain(user: str) -> str:
    return (user.rpartition("\\")[0] or user.partition("@")[2]).lower()


def _user(name: str) -> str:
    return name.rpartition("\\")[2].partition("@")[0].lower()


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
