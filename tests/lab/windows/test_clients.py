"""Real clients, as people use them, get what they would get from Windows."""

from __future__ import annotations

import pytest
import winrm
from winrm.exceptions import InvalidCredentialsError

from lab.windows.machine import Output


def session(up, password, transport="ntlm", user="CORP\\reader", **more):
    more.setdefault("ca_trust_path", None)  # else pywinrm warns of what the environment trusts
    return winrm.Session(up.url("127.0.9.1"), auth=(user, password), transport=transport, **more)


def test_pywinrm_runs_a_program_over_sealed_ntlm(up, machine, password):
    machine.programs["vssadmin"] = Output("Schreiber für Hyper-V €\r\n", "über\r\n", 3)
    result = session(up, password).run_cmd("vssadmin", ["list", "writers"])
    # pywinrm opens its shells with code page 437, which lacks the euro
    assert result.std_out == b"Schreiber f\x81r Hyper-V ?\r\n"
    assert result.std_err == b"\x81ber\r\n"
    assert result.status_code == 3
    assert machine.runs == [["vssadmin", "list", "writers"]]


def test_a_wrong_password_is_refused(up):
    with pytest.raises(InvalidCredentialsError):
        session(up, "wrong").run_cmd("vssadmin")
