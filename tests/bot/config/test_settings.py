"""The settings: read, overridden, and refused with a sentence that says what to write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.api.command import Risk, Role
from bot.config import inventory_file
from bot.config.settings import Settings, find, load, permission_warnings
from bot.errors import PermissionDenied, SettingsError

GOOD = """
inventory = "inventory.toml"
[slack]
bot_token = "xoxb-1"
app_token = "xapp-1"
audit_channel = "C9"
[ledger]
path = "data/ledger.db"
[roles.viewer]
groups = ["S0VIEW"]
system_users = ["ops1"]
clusters = ["*"]
[roles.approver]
users = ["U7"]
clusters = ["prod"]
[credentials.reader]
transport = "ntlm"
username = "CORP\\\\reader"
password = "s3cret"
[limits]
at_once = 12
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def test_a_risk_without_a_rule_is_refused_and_high_risk_always_takes_somebody_else(tmp_path):
    policy = load(written(tmp_path, GOOD)).policy
    for risk in Risk:
        with pytest.raises(PermissionDenied, match=f"write {risk} under"):
            policy.decision(risk)
    assert (policy.open_minutes, policy.start_minutes, policy.stop, policy.go) == (30, 15, "operator", "approver")
    policy = load(written(tmp_path, GOOD + '[policy]\nlow = "confirm"\nhigh = "approval"\n')).policy
    assert [policy.decision(risk) for risk in Risk] == ["confirm", "approval"]
    assert 'high = "approval"' in refusal(tmp_path, GOOD + '[policy]\nhigh = "confirm"\n')
    assert "stop" in refusal(tmp_path, GOOD + '[policy]\nstop = "viewer"\n')


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(written(folder, text))
    return str(raised.value)


def test_a_whole_file_is_read_and_paths_are_relative_to_it(tmp_path):
    settings = load(written(tmp_path, GOOD))
    assert settings.file == tmp_path / "settings.toml"
    assert settings.inventory == tmp_path / "inventory.toml"
    assert settings.ledger.path == tmp_path / "data/ledger.db"
    assert settings.ledger.key_file == tmp_path / "ledger.key"
    assert settings.need_slack().base_url == "https://slack.com/api/"
    assert settings.limits.at_once == 12
    assert settings.limits.per_host_seconds == 20
    assert [role for role, _ in settings.roles.rules()] == [Role.VIEWER, Role.APPROVER]
    assert list(settings.credentials.profiles()) == ["reader"]


def test_whom_to_ask_for_a_role_is_text(tmp_path):
    for written_as in ("#it-oncall or @jane", "Ask #it-oncall or @jane."):
        told = GOOD.replace("[roles.viewer]", f'[roles]\ncontact = "{written_as}"\n\n[roles.viewer]')
        assert load(written(tmp_path, told)).roles.contact == "#it-oncall or @jane"
    assert load(written(tmp_path, GOOD)).roles.contact == ""


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_SLACK__BOT_TOKEN", "xoxb-from-env")
    monkeypatch.setenv("HVOPS_ROLES__VIEWER__SYSTEM_USERS", '["ops2"]')
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", "other")
    settings = load(written(tmp_path, GOOD))
    assert settings.need_slack().bot_token.get_secret_value() == "xoxb-from-env"
    assert settings.need_slack().app_token.get_secret_value() == "xapp-1"
    assert settings.roles.viewer is not None
    assert settings.roles.viewer.system_users == ("ops2",)
    assert set(settings.secrets()) == {"xoxb-from-env", "xapp-1", "other"}


def test_secrets_are_never_printed(tmp_path):
    settings = load(written(tmp_path, GOOD))
    assert not any(secret in f"{settings} {settings!r}" for secret in settings.secrets())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ('inventory = "inventory.toml"\n', ""),
            ['settings.toml: inventory is missing. Write inventory = "inventory.toml".'],
        ),
        (('bot_token = "xoxb-1"\n', ""), ["[slack] bot_token is missing", "OAuth & Permissions"]),
        (("bot_token", "bot_tokn"), ['[slack] bot_tokn is not a setting. Did you mean "bot_token"?', "is missing"]),
        (('"xoxb-1"', '"xoxp-1"'), ["[slack] bot_token is wrong: it does not begin with xoxb-", "Write bot_token"]),
        (("[limits]", "[limit]"), ['settings.toml: limit is not a setting. Did you mean "limits"?']),
        (("at_once = 12", "at_once = 0"), ["[limits] at_once is wrong", "Write at_once = 128"]),
        (("at_once = 12", "overall_seconds = 5"), ["limits is wrong: overall_seconds is less than per_host_seconds"]),
        (('"ntlm"', '"telnet"'), ["[credentials.reader] transport is wrong", '"kerberos"']),
        (('password = "s3cret"', ""), ['transport "ntlm" needs username and password']),
        (('"ntlm"', '"certificate"'), ['transport "certificate" needs certificate and key']),
        (('["U7"]', '"U7"'), ["[roles.approver] users is wrong", 'Write users = ["U…"]']),
        (('["U7"]', "[7]"), ["[roles.approver] users (item 1) is wrong", 'Write users = ["U…"]']),
        (('clusters = ["prod"]', ""), ["[roles.approver] clusters is missing", 'clusters = ["*"]']),
        (("[roles.viewer]", "[roles.viewr]"), ['[roles] viewr is not a setting. Did you mean "viewer"?']),
        (
            ("[roles.viewer]", '[roles]\ncontact = "a\\nb"\n\n[roles.viewer]'),
            ["[roles] contact is wrong", "write one line"],
        ),
        (("inventory =", "_env_file = 3\ninventory ="), ["_env_file is not a setting"]),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_what_to_write(tmp_path, change, says):
    refused = refusal(tmp_path, GOOD.replace(*change))
    assert all(part in refused for part in says), refused


def test_all_mistakes_are_named_at_once_and_no_secret_is(tmp_path):
    refused = refusal(tmp_path, GOOD.replace("xoxb-1", "hunter2").replace("at_once = 12", "at_once = 9999"))
    assert len(refused.splitlines()) == 2
    assert "hunter2" not in refused


@pytest.mark.parametrize("key", ["path", "key_file", "anchor_file"])
@pytest.mark.parametrize("told_by", ["file", "variable"])
def test_an_address_in_the_place_of_a_file_is_refused_and_its_password_is_nowhere(tmp_path, monkeypatch, key, told_by):
    """A slip for database: each command named the "file", with the password in it."""
    address = "postgresql://hvops:hunter2hunter2@db1/hvops"
    if told_by == "variable":
        monkeypatch.setenv(f"HVOPS_LEDGER__{key.upper()}", address)
        refused = refusal(tmp_path, GOOD)
    else:
        without = GOOD.replace('path = "data/ledger.db"\n', "")
        refused = refusal(tmp_path, without.replace("[ledger]", f'[ledger]\n{key} = "{address}"'))
    assert (
        f"{key.upper() if told_by == 'variable' else key} is wrong: this is an address, and a file is named here"
        in refused
    )
    assert "hunter2" not in refused


def test_a_wrong_variable_is_named_by_its_own_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_LIMITS__AT_ONCE", "many")
    refused = refusal(tmp_path, GOOD)
    assert refused.startswith("HVOPS_LIMITS__AT_ONCE is wrong")


def test_a_variable_of_no_section_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_SLAKC__BOT_TOKEN", "xoxb-2")
    assert 'HVOPS_SLAKC__BOT_TOKEN is not a setting. Did you mean "slack"?' in refusal(tmp_path, GOOD)


def test_a_list_in_the_environment_must_be_json(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_ROLES__VIEWER__USERS", "U1,U2")
    assert "HVOPS_ROLES__VIEWER__USERS" in refusal(tmp_path, GOOD)


def test_what_kubernetes_puts_into_every_container_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HVOPS_PORT", "tcp://10.0.0.1:80")
    assert load(written(tmp_path, GOOD)).inventory == tmp_path / "inventory.toml"


def test_no_file_half_a_file_and_no_text(tmp_path):
    with pytest.raises(SettingsError, match=r"there is no such settings file. Copy deploy/settings.toml"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="directory"):
        load(tmp_path)
    assert "not valid TOML" in refusal(tmp_path, GOOD + "\n[roles")
    (tmp_path / "settings.toml").write_bytes(b'inventory = "\xff"')
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(tmp_path / "settings.toml")


def test_what_is_no_regular_file_is_said_to_be_none_and_never_waited_for(tmp_path):
    """Nor read to an end that does not come."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    reading, writing = os.pipe()
    os.write(writing, GOOD.encode())
    os.close(writing)
    file = written(tmp_path, GOOD)
    for none in (tmp_path / "fifo", Path(f"/dev/fd/{reading}"), Path(f"/proc/self/fd/{reading}"), Path("/dev/zero")):
        with pytest.raises(SettingsError, match="this is a pipe, a socket or a device, not a regular file"):
            load(none)
        text = GOOD.replace("inventory.toml", str(none))
        assert text != GOOD
        assert "this is a pipe, a socket or a device, not a regular file" in refusal(tmp_path, text)
    os.close(reading)
    written(tmp_path, GOOD)
    with file.open() as deleted:
        file.unlink()
        with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
            load(Path(f"/dev/fd/{deleted.fileno()}"))


def test_a_path_that_is_none_and_lists_without_an_end_are_said_in_a_sentence(tmp_path):
    assert "the settings file cannot be read" in refusal(tmp_path, "a = " + "[" * 100_000)
    with pytest.raises(SettingsError, match="the inventory file cannot be read"):
        inventory_file.load(tmp_path / "in\0ventory.toml")


def test_which_file_is_read_and_never_one_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, GOOD)
    assert find() == Path("/etc/hvops/settings.toml")
    monkeypatch.setenv("HVOPS_SETTINGS", "/elsewhere.toml")
    assert find() == Path("/elsewhere.toml")
    assert find(Path("told.toml")) == Path("told.toml")


def test_without_slack_only_slack_is_refused(tmp_path):
    text = GOOD.replace(GOOD[GOOD.index("[slack]") : GOOD.index("[ledger]")], "")
    settings = load(written(tmp_path, text))
    with pytest.raises(SettingsError, match=r"\[slack\] is missing"):
        settings.need_slack()


def test_secrets_that_others_can_read_are_warned_about(tmp_path):
    file = written(tmp_path, GOOD)
    assert permission_warnings(load(file)) == ()
    file.chmod(0o644)
    (tmp_path / "ledger.key").write_text("k")
    (tmp_path / "ledger.key").chmod(0o640)
    warnings = permission_warnings(load(file))
    assert [warning.split(":")[0] for warning in warnings] == [str(file), str(tmp_path / "ledger.key")]
    assert "chmod 600" in warnings[0]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_settings_that_others_can_write_are_refused(tmp_path, mode):
    file = written(tmp_path, GOOD)
    file.chmod(mode)
    with pytest.raises(SettingsError, match=r"other accounts of this machine can write it .*chmod go-w"):
        load(file)


def test_settings_in_a_folder_where_others_can_replace_them_are_refused(tmp_path):
    file = written(tmp_path, GOOD)
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="other accounts of this machine can write it"):
        load(file)
    tmp_path.chmod(0o1777)  # there everybody may make files, and replace nobody else's
    assert load(file).file == file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_settings_of_another_account_are_refused(tmp_path):
    file = written(tmp_path, GOOD)
    os.chown(file, 12_345, -1)
    with pytest.raises(SettingsError, match="belongs to another account"):
        load(file)


def test_each_link_on_the_way_to_a_file_is_looked_at(tmp_path):
    file = written(tmp_path, GOOD)
    for name, mode in (("real", 0o755), ("shared", 0o777), ("etc", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    file.rename(tmp_path / "real" / "settings.toml")
    (tmp_path / "shared" / "leads").symlink_to(tmp_path / "real")
    (tmp_path / "shared" / "direct").symlink_to("../real/settings.toml")
    (tmp_path / "etc" / "by-file").symlink_to(tmp_path / "shared" / "direct")
    (tmp_path / "etc" / "by-folder").symlink_to("../shared/leads/settings.toml")
    for name in ("by-file", "by-folder"):
        with pytest.raises(SettingsError, match=f"{tmp_path}/shared: other accounts of this machine can write it"):
            load(tmp_path / "etc" / name)
    (tmp_path / "shared").chmod(0o755)
    assert load(tmp_path / "etc" / "by-folder").roles.viewer
    (tmp_path / "etc" / "ring").symlink_to("ring")
    with pytest.raises(SettingsError):
        load(tmp_path / "etc" / "ring")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_another_account_is_refused(tmp_path):
    file = written(tmp_path, GOOD)
    (tmp_path / "link").symlink_to(file)
    os.chown(tmp_path / "link", 12_345, -1, follow_symlinks=False)
    with pytest.raises(SettingsError, match=r"link belongs to another account .*chown -h 0"):
        load(tmp_path / "link")


def test_a_folder_of_the_ledger_that_a_group_can_write_is_warned_about(tmp_path):
    file = written(tmp_path, GOOD)
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o2775)
    settings = load(file)
    moved = settings.ledger.model_copy(update={"path": tmp_path / "data" / "ledger.db"})
    (warning,) = permission_warnings(settings.model_copy(update={"ledger": moved}))
    assert warning.endswith(f"(mode 2775). Run: chmod g-w {tmp_path / 'data'}")


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [
        ("https://slack.example/api/", True),
        ("http://127.0.0.1:8080/api", True),
        ("http://[::1]/api", True),
        ("http://localhost/api", True),
        ("http://evil.example/", False),
        ("http://10.0.0.1/", False),
    ],
)
def test_the_token_goes_nowhere_in_clear_but_to_this_machine(tmp_path, address, is_taken):
    text = GOOD.replace("[slack]", f'[slack]\nbase_url = "{address}"')
    if is_taken:
        assert load(written(tmp_path, text)).need_slack().base_url == address.rstrip("/") + "/"
    else:
        assert "in clear" in refusal(tmp_path, text)


def test_settings_cannot_be_changed_afterwards(tmp_path):
    settings: Settings = load(written(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        settings.inventory = tmp_path


def test_the_login_to_the_backup_product(tmp_path):
    login = '[credentials.commvault]\nusername = "svc-hvops"\npassword = "pässword 1"\nca_file = "ca.pem"\n'
    settings = load(written(tmp_path, GOOD + login))
    told = settings.credentials.commvault
    assert (told.username, told.password.get_secret_value(), told.ca_file) == (
        "svc-hvops",
        "pässword 1",
        tmp_path / "ca.pem",
    )
    assert "pässword 1" in settings.secrets()
    assert "pässword 1" not in repr(settings)
    assert "credentials.commvault" in refusal(tmp_path, GOOD + '[credentials.commvault]\nusername = "u"\n')
    assert "commvault" not in settings.credentials.profiles()


def test_the_login_to_vmms_database(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(GOOD + '[credentials.vmm]\nlogin = "sql"\nusername = "hvops"\npassword = "of the database"\n')
    settings = load(file)
    assert settings.credentials.vmm.username == "hvops"
    assert "of the database" in settings.secrets()
    assert "of the database" not in repr(settings)
    assert "vmm" not in settings.credentials.profiles()  # it is no login to WinRM
    for table, says in (
        ('login = "sql"', "needs username and password"),
        ('login = "kerberos"\nusername = "x"', "takes no username"),
        ('login = "ntlm"', "login is wrong"),
    ):
        file.write_text(GOOD + f"[credentials.vmm]\n{table}\n")
        with pytest.raises(SettingsError, match=says):
            load(file)


INVENTORY = """
guest_domains = ["corp.example"]
[clusters.prod]
domain = "corp.example"
entry_hosts = ["hv01"]
[hosts.far01]
domain = "far.branch.example"
"""

PASSWORD = 'password = "of the account"\n'


def login(transport, username, profile="reader"):
    return f"inventory = 'inventory.toml'\n[credentials.{profile}]\ntransport = '{transport}'\n{PASSWORD}username = {username}\n"


@pytest.mark.parametrize(
    ("transport", "username", "right"),
    [
        ("kerberos", "'CORP\\svc-hvops'", '"svc-hvops@CORP.EXAMPLE"'),
        ("kerberos", "'corp\\svc.ops'", '"svc.ops@CORP.EXAMPLE"'),
        ("kerberos", "'FAR\\reader'", '"reader@FAR.BRANCH.EXAMPLE"'),
        ("kerberos", "'OTHER\\reader'", '"reader@REALM", with the DNS name of the domain OTHER'),
        ("kerberos", "'CORP\\reader@CORP.EXAMPLE'", '"reader@CORP.EXAMPLE"'),
        ("kerberos", "'CORP\\reader@corp.example'", '"reader@CORP.EXAMPLE"'),
        ("kerberos", "'reader@corp.example'", '"reader@CORP.EXAMPLE"'),
        ("kerberos", "'reader@Corp.Example'", '"reader@CORP.EXAMPLE"'),
        ("kerberos", "'HTTP/hvops@other.example'", '"HTTP/hvops@OTHER.EXAMPLE"'),
        ("kerberos", "'CORP\\'", '"name@REALM"'),
        ("ntlm", "'CORP/reader'", "'CORP\\reader'"),
        ("ntlm", "'CORP\\\\reader'", "several backslashes"),
        ("ntlm", '"CORP\\nina"', "a control character"),
        ("kerberos", '"CORP\\tim"', "a control character"),
        ("basic", "'CORP\\reader'", '"reader"'),
        ("basic", "'reader@corp.example'", '"reader"'),
    ],
)
def test_a_form_of_login_that_its_transport_cannot_take_is_refused_with_the_right_one(
    tmp_path, transport, username, right
):
    (tmp_path / "inventory.toml").write_text(INVENTORY)
    says = refusal(tmp_path, login(transport, username))
    assert says.startswith(f"{tmp_path / 'settings.toml'}: [credentials.reader] username is wrong: ")
    assert right in says
    assert "of the account" not in says


@pytest.mark.parametrize(
    ("transport", "username"),
    [
        ("kerberos", "'reader@CORP.EXAMPLE'"),
        ("kerberos", "'HTTP/hvops.corp.example@CORP.EXAMPLE'"),
        ("kerberos", "'reader'"),  # krb5.conf may have a default_realm
        ("ntlm", "'CORP\\reader'"),
        ("ntlm", "'reader@corp.example'"),
        ("ntlm", "'reader'"),
        ("ntlm", '"CORP\\\\nina"'),
        ("basic", "'reader'"),
        ("basic", "'HV01\\reader'"),
    ],
)
def test_a_form_of_login_that_may_be_right_is_taken(tmp_path, transport, username):
    (tmp_path / "inventory.toml").write_text(INVENTORY)
    assert load(written(tmp_path, login(transport, username))).credentials.reader.transport == transport


def test_every_wrong_login_is_named_at_once_and_where_it_was_written(tmp_path, monkeypatch):
    (tmp_path / "inventory.toml").write_text(INVENTORY)
    both = login("kerberos", r"'CORP\reader'") + login("basic", r"'a@corp.example'", "guest").partition("\n")[2]
    assert refusal(tmp_path, both).count(" is wrong: ") == 2
    monkeypatch.setenv("HVOPS_CREDENTIALS__GUEST__USERNAME", "a@b")
    assert "\nHVOPS_CREDENTIALS__GUEST__USERNAME is wrong: " in refusal(tmp_path, both)


def test_without_an_inventory_the_right_form_names_the_domain_in_words(tmp_path):
    assert '"reader@REALM", with the DNS name of the domain CORP' in refusal(
        tmp_path, login("kerberos", r"'CORP\reader'")
    )


@pytest.mark.parametrize("username", [r"'CORP\hvops'", "'hvops@corp.example'"])
def test_a_login_of_sql_servers_own_has_no_domain(tmp_path, username):
    (tmp_path / "inventory.toml").write_text(INVENTORY)
    says = refusal(tmp_path, GOOD + f"[credentials.vmm]\nlogin = 'sql'\n{PASSWORD}username = {username}\n")
    assert "[credentials.vmm] username is wrong" in says
    assert 'login = "kerberos"' in says


@pytest.mark.parametrize(
    "declared",
    ['[["U1"]]', '[["U1", "U1"]]', '[["U1", "anna"]]', '[["U1", "os:"]]', '[["S0GROUP", "U1"]]', '["U1", "U9"]'],
)
def test_accounts_that_cannot_be_one_persons_are_refused(tmp_path, declared):
    assert "same_person" in refusal(tmp_path, f"{GOOD}[people]\nsame_person = {declared}\n")


def test_accounts_of_one_person_are_read(tmp_path):
    text = GOOD + '[people]\nsame_person = [["U1", "T7/W9"], ["os:anna", "U1"]]\n'
    assert load(written(tmp_path, text)).people.same_person == (("U1", "T7/W9"), ("os:anna", "U1"))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("inventory.toml", ""),
        ("ca.pem", '[credentials.operator]\ntransport = "kerberos"\nca_file = "ca.pem"\n'),
        ("own.pem", '[credentials.operator]\ntransport = "certificate"\ncertificate = "own.pem"\nkey = "own.key"\n'),
        ("own.key", '[credentials.operator]\ntransport = "certificate"\ncertificate = "own.pem"\nkey = "own.key"\n'),
        ("ca.pem", '[credentials.commvault]\nusername = "u"\npassword = "p"\nca_file = "ca.pem"\n'),
    ],
)
def test_files_that_the_settings_name_are_refused_where_others_can_write_them(tmp_path, name, table):
    """The inventory says where logins are sent to, and a file of authorities who is believed there."""
    file = written(tmp_path, GOOD + table)
    named = tmp_path / name
    named.write_text("")
    named.chmod(0o640)
    load(file)
    named.chmod(0o660)
    with pytest.raises(SettingsError, match=rf"{name}: other accounts of this machine can write it"):
        load(file)


@pytest.mark.parametrize("option", ["sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"])
@pytest.mark.parametrize("table", ["ledger", "sites"])
def test_files_that_the_address_of_a_database_names_are_refused_where_others_can_write_them(tmp_path, table, option):
    """Else who is believed to be the database would be theirs to say."""
    named = tmp_path / "db.pem"
    named.write_text("")
    named.chmod(0o640)
    sites = '[sites.worker.ghent]\nkey_file = "ghent.key"\n' if table == "sites" else ""
    where = 'path = "data/ledger.db"'

    def told(path):
        line = f'database = "postgresql://hvops@db1/other?sslmode=verify-full&{option}={path}"'
        return GOOD.replace(where, line) if table == "ledger" else f"{GOOD}[sites]\n{line}\n{sites}"

    load(written(tmp_path, told(named)))
    named.chmod(0o660)
    assert f"{named}: other accounts of this machine can write it" in refusal(tmp_path, told(named))
    assert "whatever folder hvops is started from" in refusal(tmp_path, told("ca.pem"))
    if option == "sslrootcert":
        load(written(tmp_path, told("system")))


def test_a_link_is_judged_by_what_it_leads_to_and_where_that_lies(tmp_path):
    file = written(tmp_path, GOOD)
    folder = tmp_path / "elsewhere"
    folder.mkdir(0o700)
    (folder / "inventory.toml").write_text("")
    (folder / "inventory.toml").chmod(0o600)
    (tmp_path / "inventory.toml").symlink_to(folder / "inventory.toml")
    load(file)
    folder.chmod(0o777)
    with pytest.raises(SettingsError, match=r"elsewhere: other accounts of this machine can write it"):
        load(file)


def test_the_login_to_a_load_balancer(tmp_path):
    table = "[credentials.load_balancer.LM01]\n"
    settings = load(
        written(tmp_path, GOOD + table + 'username = "hvops"\npassword = "pässword 2"\nca_file = "ca.pem"\n')
    )
    told = settings.credentials.load_balancer["LM01"]
    assert (told.username, told.ca_file) == ("hvops", tmp_path / "ca.pem")
    assert "pässword 2" in settings.secrets()
    assert "pässword 2" not in repr(settings)
    keyed = load(written(tmp_path, GOOD + table + 'api_key = "key-of-hvops"\n'))
    assert "key-of-hvops" in keyed.secrets()
    for wrong in ('username = "u"\n', 'password = "p"\n', 'username = "u"\npassword = "p"\napi_key = "k"\n', ""):
        assert "username and password, or api_key alone" in refusal(tmp_path, GOOD + table + wrong)


def test_the_login_to_a_load_balancer_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__LOAD_BALANCER__LM01__PASSWORD", "from outside")
    settings = load(written(tmp_path, GOOD + '[credentials.load_balancer.lm01]\nusername = "hvops"\npassword = "x"\n'))
    assert settings.credentials.load_balancer["lm01"].password.get_secret_value() == "from outside"


def test_the_queue_of_sites_is_not_in_the_ledgers_database(tmp_path):
    """By whatever login and options it is reached."""
    sites = '[sites]\ndatabase = "postgresql://other@db1/{}?sslmode=require"\n[sites.worker.ghent]\nkey_file = "ghent.key"\n'
    in_database = GOOD.replace('path = "data/ledger.db"', 'database = "postgresql://hvops@db1/hvops"')
    told = load(written(tmp_path, in_database + sites.format("hvops_sites"))).sites
    assert (told.stale_seconds, told.worker["ghent"].key_file, told.is_workers) == (3, tmp_path / "ghent.key", True)
    for same in ("hvops", "x?dbname=hvops", "hvops?port=5432"):
        assert "is that of the ledger" in refusal(
            tmp_path, in_database + sites.replace("?sslmode=require", "").format(same)
        )


def test_the_password_of_the_queue_is_a_secret(tmp_path):
    sites = (
        '[sites]\ndatabase = "postgresql://hvops:dont-tell@db1/hvops_sites"\n[sites.worker.ghent]\nkey_file = "g.key"\n'
    )
    told = load(written(tmp_path, GOOD + sites))
    assert "dont-tell" in told.secrets()
    assert "dont-tell" not in f"{told}{told.sites}"
