"""A mount that is read-only is so for whoever sees it, and what is mounted there can be written elsewhere.

systemd's ProtectSystem=strict and a container's `:ro` mount settings so. What Kubernetes mounts of a ConfigMap or a Secret is
open to everybody by its mode, and has to be let in all the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot import private_files
from bot.config.settings import load
from bot.errors import LedgerError, SettingsError
from bot.ledger.key import check_places
from bot.private_files import is_kubelet_volume, open_to_others
from bot.transport.sites.keys import read_site_key

GOOD = """
inventory = "inventory.toml"
[credentials.operator]
transport = "certificate"
certificate = "own.pem"
key = "own.key"
ca_file = "ca.pem"
[credentials.reader]
transport = "kerberos"
username = "hvops-reader@CORP.EXAMPLE"
[ledger]
database = "postgresql://hvops@db1/hvops?sslmode=verify-full&sslrootcert={folder}/db-ca.pem"
key_file = "ledger.key"
anchor_file = "anchors.txt"
"""
NAMED = ("inventory.toml", "own.pem", "own.key", "ca.pem", "db-ca.pem")
KEY = "ab" * 32 + "\n"
# As each of hvops' processes begins: the settings are read, then the key of the ledger or of a site.
LOOKS = """
import sys
from pathlib import Path
from bot.config.settings import load
from bot.errors import HvopsError
from bot.transport.sites.keys import read_site_key
try:
    load(Path(sys.argv[1], "settings.toml"))
    read_site_key(Path(sys.argv[1], "site.key"))
except HvopsError as error:
    print(error)
else:
    print("taken")
"""
# The folder as a service sees it; what stands at {other} is the same folder, which others write.
AS_SYSTEMD_DOES = "mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
AS_KUBELET_DOES = (
    "mount -t tmpfs -o mode={mode} kubelet {folder} && mkdir -m 755 {folder}/..2026_11_30_10_00_00.1 && "
    "cp {other}/* {folder}/..2026_11_30_10_00_00.1 && chmod {files} {folder}/..2026_11_30_10_00_00.1/* && "
    "ln -s ..2026_11_30_10_00_00.1 {folder}/..data && for one in $(ls {other}); do ln -s ..data/$one {folder}/$one; done && "
    "chmod {mode} {folder} && mount -o remount,{how} {folder}"
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


def laid_out(folder: Path) -> Path:
    """A folder of settings, with all that they name, for the account of the bot alone."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "settings.toml").write_text(GOOD.format(folder=folder))
    for name in NAMED:
        (folder / name).write_text("")
    (folder / "site.key").write_text(KEY)
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


@pytest.fixture
def read_only(monkeypatch):
    """Every mount is read-only here."""
    told = os.statvfs("/")
    flags = os.statvfs_result((*told[:8], told.f_flag | os.ST_RDONLY, told.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda _path: flags)


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("name", ["settings.toml", *NAMED, "."])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_write_elsewhere_is_refused_on_a_read_only_mount_too(tmp_path, name, mode):
    """The inventory was given to a group that edits it; the unit has /etc read-only, and nobody else has."""
    folder = laid_out(tmp_path / "etc")
    load(folder / "settings.toml")
    (folder / name).chmod((folder / name).stat().st_mode | mode)
    with pytest.raises(
        SettingsError, match=r"can write it .*chmod go-w .*read-only here but may be writable elsewhere"
    ):
        load(folder / "settings.toml")


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [
        ("ledger.key", 0o620, "other accounts of this machine can write it"),
        ("ledger.key", 0o602, "other accounts of this machine can write it"),
        (".", 0o777, "every account of this machine can replace what is in it"),
        (".", 0o1777, "every account of this machine can put files in it"),
    ],
)
def test_the_key_of_the_ledger_is_refused_on_a_read_only_mount_too(tmp_path, name, mode, says):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "ledger.key").write_text(KEY)
    (folder / "ledger.key").chmod(0o600)
    told = (folder / "ledger.db", folder / "ledger.key", tmp_path / "anchors.txt")
    check_places(*told)
    (folder / name).chmod(mode)
    with pytest.raises(LedgerError, match=rf"{says}.*read-only here but may be writable elsewhere"):
        check_places(*told)


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    ("mode", "says"),
    [(0o640, "read it .*Run: chmod go-rwx"), (0o604, "read it"), (0o620, "write it .*Run: chmod go-w")],
)
def test_the_key_of_a_site_is_refused_on_a_read_only_mount_too(tmp_path, mode, says):
    folder = laid_out(tmp_path / "etc")
    assert read_site_key(folder / "site.key").hex() == KEY.strip()
    (folder / "site.key").chmod(mode)
    with pytest.raises(SettingsError, match=f"other accounts of this machine can {says}"):
        read_site_key(folder / "site.key")


@pytest.mark.usefixtures("read_only")
def test_a_file_of_another_account_is_refused_on_a_read_only_mount_too(tmp_path, monkeypatch):
    file = tmp_path / "ledger.key"
    file.write_text(KEY)
    assert open_to_others(file) == ""
    monkeypatch.setattr(private_files, "_trusted", lambda: (0xDEAD,))
    monkeypatch.setattr(os, "geteuid", lambda: 0xDEAD)
    assert "belongs to another account" in open_to_others(file)


def own_mounts(script: str, *arguments: str) -> str | None:
    """What a process says that has mounts of its own; None where the kernel lets this account have none."""
    for how in (["unshare", "-m"], ["unshare", "-Urm"]):
        tried = [*how, "sh", "-c", "mount -t tmpfs none /tmp"]
        if shutil.which("unshare") and subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            done = subprocess.run(
                [*how, "sh", "-ec", f'mount --make-rprivate /; {script}; exec "$@"', "sh", *arguments],
                capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
            )  # fmt: skip
            return done.stdout.strip()
    return None


def seen(folder: Path, mounts: str) -> str | None:
    """What hvops says about settings as it sees them behind mounts of its own."""
    return own_mounts(mounts, sys.executable, "-c", LOOKS, str(folder))


@pytest.mark.parametrize("name", ["inventory.toml", "."])
def test_a_process_whose_own_mount_is_read_only_refuses_what_others_write(tmp_path, name):
    """As systemd and a container make it; where no mounts may be made, the tests above stand for it."""
    folder = laid_out(tmp_path / "etc")
    mounts = AS_SYSTEMD_DOES.format(folder=folder)
    assert seen(folder, mounts) in ("taken", None)
    (folder / name).chmod(0o777 if name == "." else 0o666)
    says = seen(folder, mounts)
    assert says is None or "other accounts of this machine can write it" in says


@pytest.mark.parametrize(("mode", "files"), [("0777", "0644"), ("3777", "0440"), ("2777", "0640")])
def test_what_kubernetes_mounts_is_taken(tmp_path, mode, files):
    """Of ConfigMap and Secret, by version and with fsGroup, also the key of a site that its group can read."""
    other, folder = laid_out(tmp_path / "other"), tmp_path / "etc"
    folder.mkdir()
    (other / "settings.toml").write_text(GOOD.format(folder=folder))
    mounts = AS_KUBELET_DOES.format(folder=folder, other=other, mode=mode, files=files, how="ro")
    assert seen(folder, mounts) in ("taken", None)


@pytest.mark.parametrize(
    ("mode", "files", "how"), [("0777", "0440", "rw"), ("0777", "0666", "ro"), ("0777", "0460", "ro")]
)
def test_what_only_looks_like_it_is_refused(tmp_path, mode, files, how):
    other, folder = laid_out(tmp_path / "other"), tmp_path / "etc"
    folder.mkdir()
    (other / "settings.toml").write_text(GOOD.format(folder=folder))
    says = seen(folder, AS_KUBELET_DOES.format(folder=folder, other=other, mode=mode, files=files, how=how))
    assert says is None or "other accounts of this machine can write it" in says


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """A ConfigMap as the kubelet lays it out."""
    folder = tmp_path / "a volume"
    (folder / "..2026").mkdir(parents=True)
    (folder / "..2026").chmod(0o755)
    (folder / "..data").symlink_to("..2026")
    (folder / "settings.toml").symlink_to("..data/settings.toml")
    (folder / "..2026" / "settings.toml").write_text("")
    folder.chmod(0o777)
    monkeypatch.setattr(private_files, "_MOUNTS", tmp_path / "mountinfo")
    mount(folder)
    return folder


def mount(at: Path, options: str = "ro,relatime") -> None:
    """Have the kernel say that something is mounted there, as it writes it."""
    named = str(at).replace(" ", r"\040")
    lines = f"22 1 0:20 / / rw - overlay overlay rw\n23 22 8:1 /pods/1/x {named} {options} - ext4 /dev/sda1 rw\n"
    private_files._MOUNTS.write_text(lines)


def replaced(path, target):
    path.unlink()
    path.symlink_to(target)


def test_a_volume_of_the_kubelets_is_known(volume):
    assert is_kubelet_volume(volume)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: mount(folder, "rw,relatime"),
        lambda folder: mount(folder.parent),  # as ProtectSystem= makes all of /etc read-only
        lambda folder: mount(folder / "..2026"),
        lambda _: private_files._MOUNTS.unlink(),
        lambda folder: (folder / "..data").unlink(),
        lambda folder: replaced(folder / "..data", folder.parent),
        lambda folder: replaced(folder / "..data", "../a volume/..2026"),
        lambda folder: replaced(folder / "..data", ".."),
        lambda folder: replaced(folder / "..data", "..gone"),
        lambda folder: ((folder / "..2026").rename(folder / "here"), replaced(folder / "..data", "here")),
        lambda folder: (folder / "..2026").chmod(0o775),
        lambda folder: (folder / "..2026").chmod(0o757),
    ],
    ids=[
        "writable",
        "around it",
        "in it",
        "no list",
        "no data",
        "away",
        "by above",
        "above",
        "gone",
        "name",
        "775",
        "757",
    ],
)
def test_what_is_no_volume_of_the_kubelets_is_not_taken_for_one(volume, change):
    change(volume)
    assert not is_kubelet_volume(volume)


def test_a_volume_whose_links_are_anothers_is_none(volume, monkeypatch):
    monkeypatch.setattr(private_files, "_trusted", lambda: (0xDEAD,))
    assert not is_kubelet_volume(volume)
