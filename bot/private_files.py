"""Files that hvops writes: readable by its own account only, whatever the umask of whoever started it.

Files that it reads: opened without waiting, for a pipe may never have a writer, and read only where they are regular.
And what others could do to a file that hvops goes by: who owns it, who can write it, and who can put another one in its place.
What the kernel would write of hvops, a core dump, has its secrets in it: there is none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from bot.errors import SettingsError

MODE = 0o600
NOT_REGULAR = "this is a pipe, a socket or a device, not a regular file, so hvops can't tell who writes to it."
_MOST_LINKS = 40  # as the kernel follows
_MOUNTS = Path("/proc/self/mountinfo")


def forbid_core_dumps() -> None:
    """Let no crash of this process, or of one that it starts, leave its memory in a file or to a program that collects dumps.

    A limit of 0 keeps the kernel from writing a file, and not from piping the dump to a program. One byte keeps it from both: it
    is less than any dump has, and marks a process of which nothing is piped [src] Linux, fs/coredump.c; [doc] core(5). Where
    0 is all that may be set, it stays.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class NotRegularFileError(OSError):
    """What is named is neither a file nor a directory: a pipe, a device, a socket."""

    def __init__(self, path: Path) -> None:
        """Say so, as each sentence about a file that cannot be read ends."""
        super().__init__(errno.EINVAL, NOT_REGULAR.removesuffix("."), str(path))

    def __str__(self) -> str:
        return NOT_REGULAR.removesuffix(".")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, and wait for no writer of a pipe. Raises OSError, and NotRegularFileError for what may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        _check_kind(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")  # refuses a directory
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """All bytes of a file. Raises OSError, and NotRegularFileError for what may never end."""
    with open_regular(path) as file:
        return file.read()


def check_regular(*paths: Path) -> None:
    """Refuse what a library would wait for, once it opens it by its name; what is not there is for it to say.

    Raises NotRegularFileError.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _check_kind(path.stat(), path)


def check_named(named: Iterable[tuple[str, Path]]) -> None:
    """Refuse pipes and devices as files that libraries open by themselves. Raises SettingsError that names who names it.

    What is at /dev/null is empty at once, and often meant so.

    Args:
        named: what names a file, and the file.
    """
    null = Path(os.devnull).stat().st_rdev
    for name, path in named:
        try:
            if path.exists() and path.stat().st_rdev != null:
                check_regular(path)
        except NotRegularFileError:
            raise SettingsError(f"{path}, which {name}: {NOT_REGULAR}") from None
        except (OSError, ValueError):  # its library says what is wrong with it
            continue


def _check_kind(about: os.stat_result, path: Path) -> None:
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise NotRegularFileError(path)


@contextmanager
def private_text(path: Path) -> Iterator[TextIO]:
    """A text file that is put in place when it is whole; one that was there before is replaced, its mode with it.

    What is no file, such as a pipe or a terminal, is written to as it is.

    Raises:
        OSError: it cannot be written, and what was there is as it was. So also where another account's link or pipe is
            there: in a folder that many write to, it would lead what is written to them, or over a file of ours.
    """
    whole = _place_to_write(path)
    if isinstance(whole, int):
        with os.fdopen(whole, "w", encoding="utf-8", newline="") as file:
            yield file
        return
    descriptor, draft = tempfile.mkstemp(dir=whole.parent, prefix=f".{whole.name}.")
    try:
        os.fchmod(descriptor, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        Path(draft).replace(whole)  # of that name itself: what another account has put there by now is not followed
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _place_to_write(path: Path) -> Path | int:
    """Where a whole file belongs: a name that is not followed again; or what is no file, open for writing.

    Each link is looked at once, by a descriptor, which names what was looked at whatever stands at its name by then: else
    another account could put a link of its own there between the look and its use. Raises OSError.
    """
    for _ in range(_MOST_LINKS):
        place = Path(os.path.realpath(path.parent), path.name)
        try:
            look = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return place
        try:
            about = os.fstat(look)
            if stat.S_ISREG(about.st_mode):
                return place
            _check_planted(about, path)
            if not stat.S_ISLNK(about.st_mode):
                return _opened(look, path)
            if _is_of_kernel(about) and not place.is_file():  # /dev/stdout: its name leads to no place
                return os.open(place, os.O_WRONLY | os.O_CLOEXEC)
            path = place.parent / os.readlink("", dir_fd=look)
        finally:
            os.close(look)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _opened(look: int, path: Path) -> int:
    """The very thing that was looked at, open for writing. Raises OSError that names the path."""
    try:
        return os.open(f"/proc/self/fd/{look}", os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _is_of_kernel(about: os.stat_result) -> bool:
    """Whether a link is one of /proc, where nobody can put one."""
    with contextlib.suppress(OSError):
        return about.st_dev == Path("/proc/self").lstat().st_dev
    return False


def hops(path: Path) -> Iterator[Path]:
    """By what a path leads to its file: each link on the way, of a folder too, and at last the file, which need not be there.

    Whoever can replace one of them chooses the file. Raises OSError for a ring of links.
    """
    left, at, links = list(reversed(path.absolute().parts[1:])), Path("/"), 0
    while left:
        name = left.pop()
        there = at.parent if name == ".." else at / name
        if not there.is_symlink():
            at = there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        yield there
        leads = there.readlink()
        at = Path("/") if leads.is_absolute() else at
        left += reversed(leads.parts[1:] if leads.is_absolute() else leads.parts)
    yield at


def open_to_others(path: Path, writable: int = 0o022, *, is_kept_by_others: bool = False) -> str:
    """How another account of this machine could write a file or put one in its place or beside it, and what to do; "" for not.

    Root may use what belongs to the account whose folder it lies in, so that it can look at the bot's files.

    Args:
        path: the file, which need not be there yet.
        writable: the bits of its mode that nobody may have. An account that a POSIX ACL names has those of the group, at most.
        is_kept_by_others: whether it may be another account's, as an anchor file on a share may.
    """
    try:
        whole = list(hops(path))
        places = dict.fromkeys(place for hop in whole for place in ((hop.parent, True), (hop, False)))
        if not is_kept_by_others and (says := _takes_from_all(whole[-1].parent)):
            return says
        told = (_place_open(*place, writable, is_kept_by_others=is_kept_by_others) for place in places)
        return next(filter(None, told), "")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: who can write there cannot be known: {error.strerror}."


def is_kubelet_volume(folder: Path) -> bool:
    """Whether Kubernetes mounted a folder of a ConfigMap or a Secret there: nobody else writes in it, whatever its mode says.

    It is open to everybody (0777, 1777, 3777, by version), and lies on its node below folders that only root enters [src]
    Kubernetes, pkg/kubelet/kubelet.go. It is a read-only mount of its own, and its files are links by way of `..data`,
    a link to a folder beside it in which root alone writes [src] pkg/volume/util/atomic_writer.go.

    That a mount is read-only says nothing by itself: it is so for this process and its like, as systemd's ProtectSystem= and
    a container's `:ro` make it, and whoever sees the same folder elsewhere writes there.
    """
    data = folder / "..data"
    try:
        if not _is_read_only_mount(folder) or not data.is_symlink():
            return False
        to = data.readlink()
        if len(to.parts) != 1 or not to.name.startswith("..") or to.name == "..":
            return False
        about = (folder / to).lstat()
        owners = {one.lstat().st_uid for one in (folder, data)} | {about.st_uid}
        return stat.S_ISDIR(about.st_mode) and not about.st_mode & 0o022 and owners <= set(_trusted())
    except OSError:
        return False


def read_only_hint(path: Path) -> str:
    """What to add to a command that changes a file: where it can be run, if not here."""
    try:
        is_read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return ""
    return (
        " (it is mounted read-only here but may be writable elsewhere: run the command where it is writable)"
        if is_read_only
        else ""
    )


def _is_read_only_mount(folder: Path) -> bool:
    """Whether something is mounted at a folder itself, for reading alone. Raises OSError."""
    at = os.path.realpath(folder)
    lines = (line.split(" ") for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    told = [fields[5] for fields in lines if len(fields) > 5 and _unescape(fields[4]) == at]  # noqa: PLR2004
    return bool(told) and "ro" in told[-1].split(",")


def _unescape(path: str) -> str:
    """A path as the kernel means it: blanks, line ends and backslashes stand there as octal numbers [doc] proc(5)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def made_by_others(file: Path, *ends: str) -> str:
    """Which file of another account's stands beside a file, and what to do; "" for none.

    What goes by its name there may be read as a part of it. The account of the file itself may have made it, and so may root;
    root may also use what belongs to the account whose folder it is.

    Args:
        file: the file, by whatever link; it need not be there.
        ends: what is added to its name: "-wal".
    """
    try:
        whole = file.resolve()
        own = {*_trusted(), *(_owner(one) for one in (whole, *((whole.parent,) if os.geteuid() == 0 else ())))}
        beside = ((there := whole.with_name(f"{whole.name}{end}"), _owner(there)) for end in ends)
        return next((_says_foreign(there, uid) for there, uid in beside if uid is not None and uid not in own), "")
    except (OSError, RuntimeError) as error:  # a ring of links
        return f"{file}: whose files stand beside it cannot be known: {error}."


def _owner(path: Path) -> int | None:
    """Whose it is, a link by itself; None where it is not there."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def _says_foreign(path: Path, uid: int) -> str:
    return (
        f"{path} belongs to another account (uid {uid}). Find out who made it. If hvops did, under that account, "
        f"run: chown {os.geteuid()} {path}; if not, run: rm {path}"
    )


def _takes_from_all(folder: Path) -> str:
    """Whether everybody can put files into a folder in which nobody replaces what another one made, and what to do."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & 0o002 or not mode & stat.S_ISVTX or is_kubelet_volume(folder):
        return ""
    run = f"chmod o-w {folder}{read_only_hint(folder)}"
    return f"{folder}: every account of this machine can put files in it (mode {mode:04o}). Run: {run}"


def _place_open(place: Path, is_folder: bool, writable: int, *, is_kept_by_others: bool) -> str:  # noqa: FBT001
    about = place.lstat()
    mode = stat.S_IMODE(about.st_mode)
    own = {*_trusted(), *([place.parent.stat().st_uid] if os.geteuid() == 0 and not is_folder else [])}
    is_theirs = about.st_uid not in own and not (is_folder and os.geteuid() == 0)
    where = "" if stat.S_ISLNK(about.st_mode) else read_only_hint(place)
    if is_theirs and not is_kept_by_others:
        run = f"chown {os.geteuid()} {place}{where}"
        return f"{place} belongs to another account (uid {about.st_uid}), which can change it. Run: {run}"
    if stat.S_ISLNK(about.st_mode):
        return ""
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        return f"{place}: {NOT_REGULAR}"
    if is_folder and mode & 0o002 and not mode & stat.S_ISVTX and not is_kubelet_volume(place):
        run = f"chmod o-w {place}{where}"
        return f"{place}: every account of this machine can replace what is in it (mode {mode:04o}). Run: {run}"
    if not is_folder and mode & writable and (mode & 0o022 or not _is_data_of_kubelet(place)):
        does, run = ("write", "chmod go-w") if mode & 0o022 else ("read", "chmod go-rwx")
        return f"{place}: other accounts of this machine can {does} it (mode {mode:04o}). Run: {run} {place}{where}"
    return ""


def _is_data_of_kubelet(file: Path) -> bool:
    """Whether a file is of a ConfigMap or a Secret: who may read it besides root is whose pod it is."""
    return any(is_kubelet_volume(folder) for folder in file.parents)


def _check_planted(there: os.stat_result, path: Path) -> None:
    leads_away = stat.S_ISLNK(there.st_mode) or stat.S_ISFIFO(there.st_mode) or stat.S_ISSOCK(there.st_mode)
    if leads_away and there.st_uid not in _trusted():
        raise PermissionError(errno.EPERM, "another account's link or pipe is there", str(path))


def _trusted() -> tuple[int, ...]:
    """Root, whose links /dev/stdout and the like are, and this account."""
    return (0, os.geteuid())
