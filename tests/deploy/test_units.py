"""The systemd units and the Kubernetes manifests, judged by systemd's own tool and by Kubernetes' own schema."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
MOST_EXPOSED = 2.0  # of 10, by systemd-analyze security: nobody's judgement of ours


@pytest.fixture
def unit(request, need_tool, tmp_path):
    """The unit as it stands, but for the program: that is installed by whoever follows the guide."""
    need_tool("systemd-analyze")
    text, replaced = re.subn(r"(?m)^(ExecStart=)\S+", r"\1/bin/true", request.param.read_text())
    assert replaced == 1
    made = tmp_path / request.param.name
    made.write_text(text)
    return made


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name, indirect=True)
def test_systemd_finds_nothing_wrong_with_a_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name, indirect=True)
def test_a_unit_exposes_little(unit):
    asked = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    (exposed,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposed) <= MOST_EXPOSED, done.stdout


@pytest.mark.parametrize("manifest", sorted(DEPLOY.glob("kubernetes*.yaml")), ids=lambda path: path.name)
def test_kubernetes_schema_takes_the_manifest_and_knows_every_property(manifest):
    asked = [Path(sys.executable).with_name("kubernetes-validate"), "--strict", manifest]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed for resource deployment/" in done.stdout + done.stderr
