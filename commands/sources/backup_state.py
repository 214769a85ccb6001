"""Does a backup run on a host? A writer that waits is normal while one does, and stuck when none does.

"No" is a strong word: it needs that every place that could show one was asked, answered, and answered whole. Those are
the guests' own status, the shared volumes, the shadow copies of the host, its waiting writers, and every backup product
that the inventory names. An agent on the host backs it up without a word in the first two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Known, Unknown, value_of
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from bot.api.query_client import QueryClient
from commands.formatting import join_names, pluralize, tell_apart
from commands.sources import commvault
from commands.sources.cluster import Cluster, cluster_groups, cluster_nodes, look_at_host
from commands.sources.commvault import BackupJob, active_jobs, jobs_of, which_machine
from commands.sources.guests import Guest, virtual_machines
from commands.sources.snapshots import Snapshot

# Clients that are looked up at a time: a product can name tens of thousands, and others wait for the threads.
_AT_ONCE = 16
COMMVAULT = "commvault"  # the one product that hvops can ask, as an inventory names it
_WORDS = {
    COMMVAULT: "CommVault",
    "dpm": "DPM",
    "veeam": "Veeam",
    "windows-server-backup": "Windows Server Backup",
}


@dataclass(frozen=True, slots=True)
class BackupProducts:
    """Which products back up a target, and what they say.

    Attributes:
        names: as the inventory writes them; () for none at all, None where it does not say.
        jobs: of CommVault that have not ended; () where the inventory does not name it.
        strangers: clients of jobs that are neither a host or cluster of the inventory nor a guest of the target. A
            virtualization client, or one that stands for a cluster, is a name of the product's own, and may save anything
            [doc: GET virtualization clients].
    """

    names: tuple[str, ...] | None = None
    jobs: tuple[BackupJob, ...] | Unknown = ()
    strangers: frozenset[str] = frozenset()

    @property
    def in_words(self) -> str:
        """Their names as people write them: "CommVault", "none"."""
        return join_names([product_word(name) for name in self.names or ()]) or "none"


NOT_SAID = BackupProducts()


def product_word(name: str) -> str:
    """A product as people write it."""
    return _WORDS.get(name.casefold(), name)


async def ask_backup_products(target: Target, ask: QueryClient) -> BackupProducts:
    """Ask those that can be asked."""
    if COMMVAULT not in map(str.casefold, target.backup or ()):
        return BackupProducts(target.backup)
    jobs = value_of(await ask.query(active_jobs()))
    return BackupProducts(target.backup, jobs, await find_strangers(target, jobs, ask))


async def find_strangers(target: Target, jobs: Sequence[BackupJob] | Unknown, ask: QueryClient) -> frozenset[str]:
    """The clients of jobs of which nobody here knows what they save; hosts are asked for their guests only where there are any."""
    open_ = [] if isinstance(jobs, Unknown) else [job for job in jobs if job.client and not job.has_ended]
    clients = tuple(dict.fromkeys(job.client for job in open_))
    strangers: set[str] = set()
    left = iter(clients)

    async def find() -> None:
        for client in left:
            if isinstance(await ask.find_host(client), Unknown):
                strangers.add(client)

    await asyncio.gather(*(find() for _ in range(min(_AT_ONCE, len(clients)))))
    if not strangers:
        return frozenset()
    guests = await beside(jobs_of, await _guest_names(target, ask), open_)
    return frozenset(strangers) - {job.client for job in guests}


async def _guest_names(target: Target, ask: QueryClient) -> frozenset[str]:
    """The names of all guests that the hosts of a target tell, and of its cluster's roles; jobs of a silent host's stay open."""
    if not target.cluster:
        return _names(await ask.query(virtual_machines(await look_at_host(target.name, ask))))
    nodes, groups = await asyncio.gather(
        ask.query(cluster_nodes(target.cluster)), ask.query(cluster_groups(target.cluster))
    )
    roles = () if isinstance(groups, Unknown) else groups.value
    hosts = () if isinstance(nodes, Unknown) else nodes.value
    told = await ask.query_many({node.name: virtual_machines(node) for node in hosts})
    return frozenset(one.name for one in roles if one.is_guest and one.name).union(*map(_names, told.values()))


def _names(told: Known[tuple[Guest, ...]] | Unknown) -> frozenset[str]:
    return frozenset() if isinstance(told, Unknown) else frozenset(one.name for one in told.value)


@dataclass(frozen=True, slots=True)
class Backup:
    """What speaks for a running backup on one node.

    Attributes:
        runs: False only where nothing is missing; None where something is, and nothing that answered shows one.
        on_hosts: the same without the backup products: what guests, volumes, shadow copies and writers say.
        guests: virtual machines of the node that a backup holds (OperationalStatus 32776).
        volumes: cluster shared volumes with a backup in progress, whichever node makes it.
        copies: when shadow copies were made that last only as long as the program that made them.
        jobs: numbers of jobs that run, of the node, its cluster or its guests.
        unknowns: what is missing, by name.
        asked: what was looked at, in words.
        hint: MSCluster_Cluster.BackupInProgress. It decides nothing: it can be stale.
        products: the names of those that back it up; () for none, None where the inventory does not say.
        by_age: all that is missing is whether a shadow copy is older than the wait of a writer that this answer is the
            first to see: the next answer knows it.
        on_hosts_by_age: the same without the backup products.
    """

    runs: bool | None
    on_hosts: bool | None = None
    guests: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    jobs: tuple[int, ...] = ()
    unknowns: tuple[OpenQuestion, ...] = ()
    asked: str = ""
    hint: bool = False
    products: tuple[str, ...] | None = None
    by_age: bool = False
    on_hosts_by_age: bool = False

    @property
    def where_to_see(self) -> str:
        """Where a person sees whether a backup runs: "in CommVault"; "" where the inventory says that no product makes any."""
        if self.products is None:
            return "in the backup product"
        return f"in {' and in '.join(map(product_word, self.products))}" if self.products else ""

    @property
    def holds_guests(self) -> bool | None:
        """Whether one runs that may hold the Hyper-V writer: a backup of guests shows on their hosts."""
        return self.on_hosts if self.runs is None else self.runs

    @property
    def says(self) -> str:
        """In one or two sentences."""
        hint = " BackupInProgress is set, which can be stale." if self.hint and not self.runs else ""
        if self.runs is None:
            why = "; ".join(one.why.rstrip(".") for one in self.unknowns[:2] if one.why)
            known = (
                "No backup of a guest is running; unknown whether another one is"
                if self.on_hosts is False
                else "Unknown whether a backup is running"
            )
            return f"{known}{f': {why}' if why else ''}.{hint}"
        if not self.runs:
            return f"No backup is running.{hint}"
        return f"A backup is running: {'; '.join(self._signs())}."

    def _signs(self) -> Iterator[str]:
        if self.guests:
            yield f"{pluralize(len(self.guests), 'guest')} backing up ({join_names(self.guests, 4)})"
        if self.volumes:
            yield f"shared volume {join_names(self.volumes, 4)} in backup"
        if self.jobs:
            yield f"{'job' if len(self.jobs) == 1 else 'jobs'} {join_names([str(job) for job in self.jobs], 4)} of CommVault"
        if self.copies:
            copies = "a shadow copy" if len(self.copies) == 1 else f"{len(self.copies)} shadow copies"
            made = join_names([made for made in self.copies if made], 3)
            lasts = "lasts" if len(self.copies) == 1 else "last"
            yield f"{copies}{f' of {made}' if made else ''}, which {lasts} only as long as the program that made it"

    @property
    def detail(self) -> str:
        """What goes beside a sentence that says already whether one runs."""
        said = self.says.removeprefix("No backup is running.").removeprefix("A backup is running: ").strip().rstrip(".")
        return said or (f"asked: {self.asked}" if self.asked else "")


def no_backup_text(node: str, *, on_shared_volumes: bool = False) -> GateText:
    """What that gate says."""
    where = f"{node}{' or on a shared volume' if on_shared_volumes else ''}"
    return GateText(
        f"No backup is running on {where}",
        f"A backup is running on {where}; let it finish first",
        f"It is not known whether a backup is running on {where}",
    )


def no_backup(node: str, backup: Backup, *, on_shared_volumes: bool = True) -> Gate:
    """The one gate of every command that must not come between a backup and its writers."""
    return Gate.of(
        no_backup_text(node, on_shared_volumes=on_shared_volumes),
        GateOutcome.of(None if backup.runs is None else not backup.runs),
        backup.detail,
        unknowns=backup.unknowns if backup.runs is None else (),
    )


def backup_state(
    node: str,
    guests: Sequence[Guest] | Unknown,
    cluster: Cluster | None,
    copies: Sequence[Snapshot] | Unknown,
    products: BackupProducts,
    *,
    waits_anew: Sequence[str] = (),
    since: datetime | None = None,
    recent: datetime | None = None,
) -> Backup:
    """Judge whether a backup runs that may hold this node's writers.

    Args:
        node: as its cluster writes it.
        guests: of the node.
        cluster: None for a host that stands alone.
        copies: every shadow copy of the node.
        products: that back it up.
        waits_anew: writers that wait in another instance than at the answer before.
        since: when hvops first saw the writers wait that wait now.
        recent: where they wait and it never saw them do so, from when on a copy may be of what they wait for.
    """
    names = {} if isinstance(guests, Unknown) else tell_apart((guest.vm_id, guest.name) for guest in guests)
    held = () if isinstance(guests, Unknown) else tuple(names[one.vm_id] for one in guests if one.backing_up)
    volumes = cluster.in_backup if cluster else ()
    alive = (
        () if isinstance(copies, Unknown) else tuple(one for one in copies if one.is_of_a_backup(since, recent=recent))
    )
    running = _running(node, guests, cluster, products.jobs)
    hosts = (
        *_silent_hosts(node, guests, cluster),
        *(aged := tuple(_open_copies(node, copies, since, recent))),
        *(
            OpenQuestion(
                f"why {name} of {node} waits in a new instance",
                f"{name} waits in another instance than at the answer before, so something has begun since",
                "Ask again after two minutes.",
            )
            for name in waits_anew
        ),
    )
    unknowns = (*hosts, *_open_products(node, cluster, products, _own_names(node, guests, cluster)))
    shown = bool(held or volumes or alive)
    ages = since is None and aged == hosts and bool(hosts) and _are_kept(copies)
    asked = ["guests", *(["shared volumes"] if cluster else []), "shadow copies"]
    return Backup(
        runs=True if shown or running else None if unknowns else False,
        on_hosts=True if shown else None if hosts else False,
        guests=held,
        volumes=volumes,
        copies=tuple(f"{one.made:%d %b %H:%M} UTC" if one.made else "" for one in alive),
        jobs=tuple(job.number for job in running),
        unknowns=unknowns,
        asked=f"{', '.join(asked)}; backup products: {products.in_words}",
        hint=cluster.backup_hint is True if cluster else False,
        products=products.names,
        by_age=ages and unknowns == hosts and not shown and not running,
        on_hosts_by_age=ages and not shown,
    )


def _running(
    node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster | None, jobs: Sequence[BackupJob] | Unknown
) -> tuple[BackupJob, ...]:
    """The node's jobs that are under way. One that waits for somebody runs nothing; `no_backup_job` asks for those."""
    if isinstance(jobs, Unknown):
        return ()
    own = jobs_of(_own_names(node, guests, cluster), jobs)
    return tuple(job for job in own if not job.waits and job.status != commvault.UNREADABLE)


def _own_names(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster | None) -> set[str]:
    """What the client of a job may be called that saves something of the node."""
    inside = () if isinstance(guests, Unknown) else guests
    return {node, cluster.name if cluster else "", *(guest.name for guest in inside)} - {""}


def _silent_hosts(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster | None) -> Iterator[OpenQuestion]:
    if isinstance(guests, Unknown):
        yield _unanswered(f"the status of the guests on {node}", guests)
    else:
        names = tell_apart((guest.vm_id, guest.name) for guest in guests)
        for one in (one for one in guests if one.backing_up is None):
            why = f"{node} does not report the OperationalStatus of {names[one.vm_id]}"
            yield OpenQuestion(f"whether {names[one.vm_id]} is in backup", why, "In Hyper-V Manager on the host.")
    if cluster and isinstance(cluster.volumes, Unknown):
        yield _unanswered(f"backups of the shared volumes of {cluster.name}", cluster.volumes)
    elif cluster:
        yield from cluster.open_backups


def _are_kept(copies: Sequence[Snapshot] | Unknown) -> bool:
    """Whether every copy is known to outlive its program, so that its age is all that speaks for a backup."""
    return not isinstance(copies, Unknown) and all(one.persistent for one in copies)


def _open_copies(
    node: str, copies: Sequence[Snapshot] | Unknown, since: datetime | None, recent: datetime | None
) -> Iterator[OpenQuestion]:
    if isinstance(copies, Unknown):
        yield _unanswered(f"the shadow copies of {node}", copies)
        return
    unclear = [one for one in copies if one.is_of_a_backup(since, recent=recent) is None]
    if unclear:
        made = join_names([f"{one.made:%d %b %H:%M} UTC" for one in unclear if one.made], 3)
        yield OpenQuestion(
            f"what made the newest shadow copies of {node}",
            f"{pluralize(len(unclear), 'shadow copy', 'shadow copies')} on {node}{f', made {made},' if made else ''} may belong to a running backup",
            f"On {node}: vssadmin list shadows; and see in the backup software whether it runs.",
        )


def _open_products(
    node: str, cluster: Cluster | None, products: BackupProducts, own: set[str]
) -> Iterator[OpenQuestion]:
    if products.names is None:
        table = f"[clusters.{cluster.name}]" if cluster else f"[hosts.{node}]"
        yield OpenQuestion(
            f"which backup products save {node}",
            f"the inventory does not say which backup products save {node}",
            f'Write backup = ["commvault"] below {table} in inventory.toml, or backup = [] where there is none.',
        )
        return
    for name in products.names:
        if name.casefold() != COMMVAULT:
            word = product_word(name)
            yield OpenQuestion(
                f"backups of {node} by {word}", f"{word} cannot be asked", f"See in {word} that no job of {node} runs."
            )
    if isinstance(products.jobs, Unknown):
        yield _unanswered("the jobs of CommVault", products.jobs)
        return
    mine = frozenset(jobs_of(own, products.jobs))
    for job in products.jobs:
        if job.has_ended or job.waits:
            continue
        if not job.client or (job.client in products.strangers and job not in mine):
            yield which_machine(job)
        elif job.status == commvault.UNREADABLE and job in mine:
            why = f"job {job.number} of CommVault is {commvault.UNREADABLE}"
            yield OpenQuestion(f"whether job {job.number} runs", why, "See in CommVault.")


def _unanswered(what: str, why: Unknown) -> OpenQuestion:
    return OpenQuestion(what, f"{why.target}: {why.why.rstrip('.')}", why.remedy)
