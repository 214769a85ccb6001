"""`hvops record`: ask one line of live hosts, and keep what they said, anonymised, for tests to replay.

The line of a remediation is only asked for: what it looks at is kept, nothing is proposed and nothing is done.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path
from typing import Any

from bot.api.texts import unescape
from bot.cli.anonymizer import Anonymiser, common_in, left_in, numbered, occurs
from bot.cli.console import console, styled
from bot.cli.layout import print_text
from bot.cli.os_user import current_user
from bot.config.inventory_file import InventoryFile
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
_GUEST = re.compile(r"<(?:\w+:)?ElementName\b[^<>]*+>([^<]{1,255})</")
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
_NAMEABLE = re.compile(r"[\w.-]{2,64}", re.ASCII)


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
    tags = {tag for one in capture.exchanges for text in (one.request, one.reply) for tag in _IN_TAGS.findall(text)}
    protocol = "\n".join(sorted({_IN_FAULTS.sub("", tag) for tag in tags}))
    kept = sorted(name for name in names if occurs(name, protocol))
    common = {guid for text in capture.texts() for guid in common_in(text)}
    replaced = {name: new for name, new in names.items() if name not in kept}
    anonymiser = Anonymiser(replaced, common)
    mask = Redactor(settings.secrets())
    made = capture.changed(lambda text: anonymiser.text(mask.redact_text(_THUMBPRINT.sub(r"\g<1>", text))))
    texts = [way for text in made.texts() for way in {text, unescape(text)}]
    if left_in(replaced, texts):
        raise UsageError(f"There is no capture: {_STAYS.format('a name')}")
    if any(mask.redact_known(text) != text for text in texts):
        raise UsageError(f"There is no capture: {_STAYS.format('a secret of the settings')}")
    return made, kept


def names_in(made: Services, settings: Settings, heard: Iterable[Exchange]) -> dict[str, str]:
    """Every name of a machine, a domain or an account in inventory, settings and replies, with its replacement."""
    heard = list(heard)
    replies = [unescape(one.reply) for one in heard]
    systems = [one.reply for one in heard if "Msvm_ComputerSystem" in one.request or "enumeration/Pull" in one.request]
    hosts = {one.host for one in heard if any(word in one.request for word in _ONLY_OF_HOSTS)}
    file = made.inventory_file
    hosts |= set(made.inventory.known()) - {*file.clusters, *file.vmm, *file.load_balancers()}
    guests = {unescape(found).strip() for reply in systems for found in _GUEST.findall(reply)}
    machines = {found.strip() for reply in replies for found in _MACHINE.findall(reply)}
    exchanged = {name for reply in replies for found in _EXCHANGED.findall(unescape(reply)) for name in found if name}
    machines |= {name for reply in replies for name in trusted_in(reply)}
    domains = _domains(made.inventory_file, exchanged)
    hosts = {_label(host) for host in hosts}
    guests = {
        name
        for name in {*guests, *map(_label, exchanged), *map(_label, machines), *(one.host for one in heard)}
        if _NAMEABLE.fullmatch(name)
    }
    users = {_user(profile.username) for profile in settings.credentials.profiles().values()} - {""}
    found = numbered({label for domain in domains for label in (domain, domain.partition(".")[0])}, "d{0:02d}.example")
    found = {name: new if "." in name else new.partition(".")[0] for name, new in found.items()}
    found |= numbered(users, "user{0:02d}") | numbered({name.lower() for name in guests} - _lower(hosts), "vm{0:04d}")
    return found | numbered(hosts, "host{0:02d}") | numbered(made.inventory_file.clusters, "cluster{0}")


def trusted_in(reply: str) -> set[str]:
    """The machines that TrustedHosts of winrm/config names; patterns such as "*.corp.example" are no machines."""
    listed = (name.strip() for found in _TRUSTED.findall(reply) for name in found.split(","))
    return {name for name in listed if name and "*" not in name and not re.fullmatch("[0-9.]+", name)}


def _capture(made: Services, answered: AnsweredRequest, heard: list[Exchange]) -> Capture:
    inventory: dict[str, Any] = made.inventory_file.model_dump(
        mode="json", exclude={"endpoints", "vmm", "load_balancer"}
    )
    for part in (*inventory["clusters"].values(), *inventory["hosts"].values()):
        part["ops_channel"] = ""
    return Capture(answered.line, answered.at.isoformat(), inventory, answered.report.title, tuple(heard))


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


def _user(name: str) -> str:
    return name.rpartition("\\")[2].partition("@")[0].lower()


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
