"""May each guest leave its node? What Hyper-V does to it now, and what binds it to the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from commands.formatting import join_names, tell_apart
from commands.sources.cluster import Resource
from commands.sources.guest_bonds import BUILD_2025, Bond, BondKind, Bonds
from commands.sources.guests import Guest, Power

_MOST = 6
_OFF = (Power.OFF, Power.OFF_CRITICAL)
_WAYS_OUT = {
    BondKind.GPU_PARTITION: "See that another node has the same GPU with a free partition, or shut the guest down.",
    BondKind.REMOTE_FX: "See that another node has a GPU for RemoteFX, or shut the guest down.",
    BondKind.DISC: "Eject the disc, or put the file on a shared volume.",
    BondKind.TPM: "Compare Cert:\\LocalMachine\\Shielded VM Local Certificates on the nodes; a node without the key needs it.",
}


def no_guest_is_busy(node: str, guests: Sequence[Guest] | Unknown) -> Gate:
    """A guest that is exported, merged, checkpointed or migrated does not move, and a move may spoil what is done to it."""
    says = GateText(
        f"No guest on {node} is being exported, merged, checkpointed or migrated",
        f"Guests on {node} are busy; let that finish first",
        f"It is not known whether guests on {node} are being exported, merged, checkpointed or migrated",
    )
    if isinstance(guests, Unknown):
        what = f"what is done to the guests on {node}"
        silent = (OpenQuestion(what, guests.why, guests.remedy),)
        return replace(_open(says, silent, f"{guests.target}: {guests.why}"), answerable=False)
    names = tell_apart((one.vm_id, one.name) for one in guests)
    busy = [f"{names[one.vm_id]}: {', '.join(one.activities)}" for one in guests if one.activities]
    if busy:
        return Gate.of(says, GateOutcome.BLOCKED, join_names(busy, _MOST), answerable=False)
    odd = [one for one in guests if one.unlisted or one.backing_up is None]
    if odd:
        asked = tuple(
            OpenQuestion(
                f"what is done to {names[one.vm_id]}",
                f"OperationalStatus {join_names(map(str, one.unlisted)) or 'was not reported'}",
            )
            for one in odd
        )
        told = join_names([f"{one.what}: {one.why}" for one in asked], _MOST)
        return replace(_open(says, asked, told), answerable=False)  # it may be another running change
    return Gate.of(says, GateOutcome.PASSED)


def guests_reach_their_files(node: str, guests: Sequence[Guest] | Unknown) -> Gate:
    """A guest in a critical state has lost its files and does not move live; one that is off or saved has nothing to lose.

    That it does not move is concluded from its files being out of reach: no page of Microsoft's says it of live migration.
    """
    says = GateText(
        f"No guest on {node} is in a critical state",
        f"Guests on {node} are in a critical state",
        f"It is not known whether guests on {node} are in a critical state",
    )
    if isinstance(guests, Unknown):
        what = f"states of the guests on {node}"
        return _open(says, (OpenQuestion(what, guests.why, guests.remedy),), f"{guests.target}: {guests.why}")
    names = tell_apart((one.vm_id, one.name) for one in guests)
    critical = [one for one in guests if one.is_critical]
    awake = [one for one in critical if not one.power.is_at_rest]
    if awake:
        told = join_names([_critical(one, names) for one in awake], _MOST)
        return Gate.of(says, GateOutcome.BLOCKED, f"{told}: bring the storage of its files back, or shut it down")
    unknown = [one for one in guests if one.is_critical is None and not one.power.is_at_rest]
    if unknown:
        asked = tuple(OpenQuestion(f"state of {names[one.vm_id]}", _untold(one)) for one in unknown)
        return _open(says, asked, join_names([f"{one.what}: {one.why}" for one in asked], _MOST))
    told = join_names([_critical(one, names) for one in critical], _MOST)
    return Gate.of(says, GateOutcome.of(not critical), told, blocks=not critical)


def _critical(guest: Guest, names: Mapping[str, str]) -> str:
    return f"{names[guest.vm_id]} is {guest.power}" + ("" if guest.power.is_critical else ", in critical health")


def _untold(guest: Guest) -> str:
    if guest.power is Power.UNKNOWN:
        return f"it is {guest.power}"
    return "no HealthState" if guest.health is None else f"HealthState {guest.health}"


def guests_are_not_bound(
    node: str,
    build: int | None,
    guests: Sequence[Guest] | Unknown,
    resources: Sequence[Resource] | Unknown,
    bonds: Bonds,
) -> Gate:
    """Every guest that would have to move finds elsewhere what it has here.

    Args:
        node: that is emptied.
        build: of its Windows.
        guests: of the node, those of the cluster. One that is off moves with whatever it has.
        resources: of virtual machines that the node owns: which role a guest is.
        bonds: of the node's guests.
    """
    says = GateText(
        f"No guest on {node} is tied to this node (by a device, a disk, a file or a key)",
        f"Guests on {node} are tied to this node",
        f"It is not known whether guests on {node} are tied to this node by a device, a disk, a file or a key",
    )
    if not bonds.found and not bonds.silent:
        return Gate.of(says, GateOutcome.PASSED)
    if isinstance(guests, Unknown):
        what = f"which guests on {node} move"
        return _open(says, (OpenQuestion(what, guests.why, guests.remedy),), f"{guests.target}: {guests.why}")
    names = tell_apart((one.vm_id, one.name) for one in guests)
    move = {one.vm_id: names[one.vm_id] for one in guests if one.power not in _OFF}
    held = [bond for bond in bonds.found if bond.vm_id in move]
    roles: dict[str, str] = {}
    if not isinstance(resources, Unknown):
        roles = {one.vm_id: one.group.casefold() for one in resources}
    bound = [_words(bond, move) for bond in held if _binds(bond, build, bonds, roles)]
    if bound:
        return Gate.of(says, GateOutcome.BLOCKED, join_names(dict.fromkeys(bound), _MOST))
    open_ = (*_questions(held, move, build, bonds), *_silent(node, bonds))
    if move and open_:
        return _open(says, open_, join_names([one.what + (f": {one.why}" if one.why else "") for one in open_], _MOST))
    return Gate.of(says, GateOutcome.PASSED)


def _binds(bond: Bond, build: int | None, bonds: Bonds, roles: Mapping[str, str]) -> bool:
    """Whether it is known that the guest cannot move with it."""
    match bond.kind:
        case BondKind.DEVICE:  # never moved live [doc]
            return True
        case BondKind.GPU_PARTITION:  # live migration came with 2025, to the same GPU [doc]
            return build is not None and (build < BUILD_2025 or _has_same_gpu(bonds) is False)
        case BondKind.DISK:  # one that is a disk of the cluster in the guest's own role moves with it [doc]
            disks = bonds.roles_with_disks
            return not isinstance(disks, Unknown) and roles.get(bond.vm_id, "") not in disks
        case BondKind.TPM:
            return bool(_without_keys(bonds))
        case _:
            return False


def _without_keys(bonds: Bonds) -> tuple[str, ...]:
    """The nodes that lack a certificate of the host's guardians."""
    if not bonds.keys:
        return ()
    own, *others = bonds.keys.items()
    if isinstance(own[1], Unknown):
        return ()
    return tuple(on for on, keys in others if not isinstance(keys, Unknown) and own[1] - keys)


def _words(bond: Bond, names: Mapping[str, str]) -> str:
    detail = f" {bond.detail}" if bond.kind is BondKind.DISC else f" ({bond.detail})" if bond.detail else ""
    return f"{names[bond.vm_id]}: {bond.kind}{detail}"


def _questions(
    held: Sequence[Bond], names: Mapping[str, str], build: int | None, bonds: Bonds
) -> Iterator[OpenQuestion]:
    """What would have to be known of the other nodes."""
    for bond in held:
        remedy = _WAYS_OUT.get(bond.kind, "")
        if bond.kind is BondKind.GPU_PARTITION:
            if build is not None and _has_same_gpu(bonds):
                continue
            old = "the Windows of its host is not known" if build is None else "another node needs the same GPU"
            yield OpenQuestion(f"a GPU partition for {names[bond.vm_id]} elsewhere", old, remedy)
        elif bond.kind is BondKind.REMOTE_FX:
            yield OpenQuestion(
                f"a RemoteFX adapter for {names[bond.vm_id]} elsewhere", "another node needs the same GPU", remedy
            )
        elif bond.kind is BondKind.DISC:
            yield OpenQuestion(
                f"{bond.detail} of {names[bond.vm_id]} on the other nodes", "the file is on no shared volume", remedy
            )
        elif bond.kind is BondKind.DISK and isinstance(bonds.roles_with_disks, Unknown):
            yield OpenQuestion(
                f"whether the disk of {names[bond.vm_id]} is one of the cluster", bonds.roles_with_disks.why
            )
        elif bond.kind is BondKind.TPM and (why := _keys_unknown(bonds)):
            yield OpenQuestion(f"the key of the virtual TPM of {names[bond.vm_id]} on the other nodes", why, remedy)


def _has_same_gpu(bonds: Bonds) -> bool | None:
    """Whether another node has a GPU of the same model; None where nobody told. Drivers are not compared."""
    own, *others = bonds.gpus.values() or (None,)
    if own is None or isinstance(own, Unknown) or not own:
        return None
    if any(own & one for one in others if not isinstance(one, Unknown)):
        return True
    return None if any(isinstance(one, Unknown) for one in others) else False


def _keys_unknown(bonds: Bonds) -> str:
    """Why nobody knows whether every other node has the keys; "" where they all have them."""
    silent = [(on, keys) for on, keys in bonds.keys.items() if isinstance(keys, Unknown)]
    if silent:
        on, why = silent[0]
        return f"{on}: {why.why.rstrip('.')}" if isinstance(why, Unknown) else on
    own = next(iter(bonds.keys.values()), frozenset())
    return "" if own else "the host has no local guardian, so its keys may come from a guardian service"


def _silent(node: str, bonds: Bonds) -> Iterator[OpenQuestion]:
    for kind, why in bonds.silent.items():
        yield OpenQuestion(f"{kind} of the guests on {node}", f"{why.target}: {why.why.rstrip('.')}", why.remedy)


def _open(says: GateText, questions: tuple[OpenQuestion, ...], told: str) -> Gate:
    return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {told.rstrip('.')}", unknowns=questions)
