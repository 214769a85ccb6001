"""The container and Kubernetes files fit the settings. They are read here, not run: that takes a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path, PurePosixPath

import pytest
import yaml

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
