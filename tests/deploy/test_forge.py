"""What a public forge reads: workflows, issue forms, updates of dependencies; and that they call what the README says."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORGE = ROOT / ".github"
FORMS = [FORGE / "ISSUE_TEMPLATE" / f"{name}.yml" for name in ("bug", "capture", "case")]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", list((FORGE / "workflows").glob("*.yml"))),
        ("custom.github-workflows-require-timeout", list((FORGE / "workflows").glob("*.yml"))),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [FORGE / "ISSUE_TEMPLATE" / "config.yml"]),
        ("vendor.dependabot", [FORGE / "dependabot.yml"]),
    ],
)
def test_each_file_is_what_its_schema_wants(schema, files):
    check = [sys.executable, "-m", "check_jsonschema", "--no-cache", "--builtin-schema", schema]
    done = subprocess.run([*check, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert files


def test_the_forge_runs_what_has_to_pass_before_a_change_lands():
    (job,) = yaml.safe_load((FORGE / "workflows" / "ci.yml").read_text())["jobs"].values()
    ran = [step["run"] for step in job["steps"] if "run" in step]
    (landing,) = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert ran == [f"{landing} PYTHON=python"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"][0] == oldest


def test_a_hook_runs_only_what_is_installed_here():
    told = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in told["repos"]] == ["local"]
    for hook in told["repos"][0]["hooks"]:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert hook["language"] == "system"
        assert Path(sys.executable).with_name(tool).exists(), tool


def test_a_form_asks_for_nothing_that_hvops_cannot_give():
    asked = "".join(form.read_text() for form in FORMS)
    shown = subprocess.run(
        [Path(sys.executable).with_name("hvops"), "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"hvops \d+\.\d+\.\d+\S*\n", shown.stdout)
    assert "hvops --version" in asked
    assert "hvops record" in asked
    assert json.dumps(asked).isascii()
