"""The container and Kubernetes files fit the settings. They are read here, not run: that takes a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml
from packaging.requirements import Requirement

from bot.config.inventory_file import load as load_inventory
from bot.config.settings import load
from bot.executor.scheduler import LEAVING_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
STATE, ETC = PurePosixPath("/var/lib/hvops"), PurePosixPath("/etc/hvops")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def made():
    """The objects of the manifest, by kind and name."""
    objects = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


@pytest.fixture(scope="module")
def pod(made):
    return made["Deployment", "hvops"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (one,) = pod["containers"]
    return one


def instructions():
    """The Containerfile as pairs of word and rest, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_only_one_bot_ever_runs(made):
    spec = made["Deployment", "hvops"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_it_has_no_rights_that_it_does_not_need(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    users = [rest.strip() for word, rest in instructions() if word == "USER"]
    assert users == [str(pod["securityContext"]["runAsUser"])]


def test_there_is_time_to_finish_an_act(pod):
    unit = (DEPLOY / "hvops.service").read_text()
    assert pod["terminationGracePeriodSeconds"] > LEAVING_SECONDS
    assert int(re.search(r"TimeoutStopSec=(\d+)", unit)[1]) > LEAVING_SECONDS


def test_every_volume_is_there_and_what_is_written_lies_on_one(made, pod, container, tmp_path, monkeypatch):
    volumes = {one["name"]: one for one in pod["volumes"]}
    mounts = {PurePosixPath(one["mountPath"]): one for one in container["volumeMounts"]}
    assert {one["name"] for one in mounts.values()} == set(volumes)
    claims = {one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "persistentVolumeClaim" in one}
    assert claims == {name for kind, name in made if kind == "PersistentVolumeClaim"}
    assert all(made["PersistentVolumeClaim", one]["spec"]["accessModes"] == ["ReadWriteOnce"] for one in claims)

    settings = loaded(made, tmp_path, monkeypatch)
    for file in (settings.ledger.path, settings.ledger.key_file, settings.ledger.anchor_file):
        mount = mounts[PurePosixPath(file.parent)]
        assert "persistentVolumeClaim" in volumes[mount["name"]]
        assert not mount.get("readOnly")
    assert mounts[ETC]["readOnly"] is True
    assert settings.ledger.anchor_file.parent != settings.ledger.path.parent
    assert settings.inventory == Path(ETC / "inventory.toml")


def test_settings_and_secrets_are_settings_of_ours(made, container, tmp_path, monkeypatch):
    settings = loaded(made, tmp_path, monkeypatch)
    assert settings.need_slack().bot_token.get_secret_value() == "xoxb-replace-me"  # the secret wins over the file
    assert settings.credentials.reader.password.get_secret_value() == "replace-me"
    assert container["envFrom"] == [{"secretRef": {"name": "hvops"}}]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["HVOPS_SETTINGS"] == str(ETC / "settings.toml")
    files = made["ConfigMap", "hvops"]["data"]
    assert PurePosixPath(environment["KRB5_CONFIG"]).name in files
    (tmp_path / "inventory.toml").write_text(files["inventory.toml"])
    assert list(load_inventory(tmp_path / "inventory.toml").clusters) == ["prod"]


def loaded(made, folder, monkeypatch):
    for name, value in made["Secret", "hvops"]["stringData"].items():
        monkeypatch.setenv(name, value)
    (folder / "settings.toml").write_text(made["ConfigMap", "hvops"]["data"]["settings.toml"])
    return load(folder / "settings.toml")


def test_the_image_is_made_of_what_there_is():
    told = instructions()
    for word, rest in told:
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = shlex.split(rest)
            assert all((DEPLOY.parent / source).exists() for source in sources), sources
    environment = dict(pair.split("=", 1) for word, rest in told if word == "ENV" for pair in shlex.split(rest))
    assert environment["HVOPS_SETTINGS"] == str(ETC / "settings.toml")
    assert [json.loads(rest) for word, rest in told if word in ("ENTRYPOINT", "CMD")] == [
        ["/opt/hvops/bin/hvops"],
        ["run"],
    ]
    assert [rest.strip() for word, rest in told if word == "WORKDIR"][-1] == str(STATE)
    ignored = (DEPLOY.parent / ".dockerignore").read_text().split()
    assert not {"bot", "commands", "pyproject.toml", "README.md", "LICENSE"} & set(ignored)
    assert {".git", ".venv", "lab", "settings.toml", "*.key"} <= set(ignored)


def test_the_images_are_named_exactly(container):
    """A tag that moves, or none, is another image tomorrow."""
    told = instructions()
    (base,) = [rest.split("=", 1)[1] for word, rest in told if word == "ARG"]
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+-[\w-]+(@sha256:[0-9a-f]{64})?", base)
    assert {rest.split()[0] for word, rest in told if word == "FROM"} == {"${BASE}"}
    assert re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", container["image"])


LOCKS = DEPLOY.parent / "requirements"


def locked_in(name):
    """Package -> version. Each line of such a file is a package with its version, or a hash of one of its files."""
    found = {}
    for line in (LOCKS / f"{name}.txt").read_text().splitlines():
        if package := re.fullmatch(r"([\w.-]+)==([\w.]+)( ; [^\\]+)? \\", line):
            found[re.sub(r"[-_.]+", "-", package[1]).lower()] = package[2]
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?|#.*", line), line
    return found


@pytest.mark.parametrize("name", ["deploy", "demo", "test"])
def test_what_is_installed_is_locked_by_version_and_hash(name):
    locked = locked_in(name)
    files = [
        DEPLOY.parent / "pyproject.toml",
        *([DEPLOY.parent / "lab" / "pyproject.toml"] if name != "deploy" else []),
    ]
    told = [tomllib.loads(file.read_text()) for file in files]
    wanted = [one for file in told for one in file["project"]["dependencies"]]
    if name != "demo":
        wanted += told[0]["project"]["optional-dependencies"]["postgresql"]
    if name == "test":
        wanted += told[0]["dependency-groups"]["dev"]
    for requirement in map(Requirement, wanted):
        if requirement.name != "hvops":
            at = locked[re.sub(r"[-_.]+", "-", requirement.name).lower()]
            assert requirement.specifier.contains(at), requirement
    assert ("pykerberos" in locked) == (name != "demo")


def test_the_three_locks_agree():
    demo = locked_in("demo")
    for name in ("test", "deploy"):
        assert {package: at for package, at in locked_in(name).items() if package in demo and demo[package] != at} == {}


def test_the_container_installs_what_is_locked():
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert all("--no-deps" in rest for rest in installs)
    assert "--require-hashes" in installs[0]
    assert "deploy.txt" in installs[0]


def test_the_network_policy_lets_nothing_in_and_out_only_to_what_the_rights_name(made, pod):
    policy = made["NetworkPolicy", "hvops"]["spec"]
    labels = made["Deployment", "hvops"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["ingress"] == []
    assert all(rule["to"] and rule["ports"] for rule in policy["egress"])
    ports = {(one["protocol"], one["port"]) for rule in policy["egress"] for one in rule["ports"]}
    network = (DEPLOY / "rights.md").read_text().partition("## Network")[2]
    assert {port for _, port in ports} - {53} <= {int(number) for number in re.findall(r"\b(\d{2,4})\b", network)}
    assert {("TCP", 5985), ("TCP", 443), ("UDP", 53), ("TCP", 88)} <= ports
    wide = [
        rule
        for rule in policy["egress"]
        if any(one.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for one in rule["to"])
    ]
    assert [one["port"] for rule in wide for one in rule["ports"]] == [443]


def test_the_volume_keeps_the_mode_of_the_key(pod):
    """fsGroup alone makes everything on a volume readable and writable by the group, at each start."""
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_unit_says_how_anchors_get_onto_a_share():
    unit = (DEPLOY / "hvops.service").read_text()
    assert "ProtectSystem=strict" in unit
    assert "# ReadWritePaths=" in unit
    assert "LimitCORE=1" in unit


def test_the_licence_of_each_package_in_the_image_is_listed():
    text = (DEPLOY / "licences.md").read_text()
    listed = dict(re.findall(r"(?m)^\| ([\w.-]+) \| (\d[\w.]*) \| .+ \|$", text))
    elsewhere = {"colorama", "sspilib", "tzdata", "pywin32", "winkerberos"}  # for Windows alone
    locked = locked_in("deploy")
    assert {re.sub(r"[-_.]+", "-", name).lower(): at for name, at in listed.items()}.items() <= locked.items()
    assert locked.keys() - {re.sub(r"[-_.]+", "-", name).lower() for name in listed} <= elsewhere
    assert "not stated" not in text
