"""The ledger against what others remember: files, copied text, exports, and the channel itself."""

import asyncio
import io
import json
import os
import shutil
import sqlite3
import threading
import zipfile
from datetime import UTC, datetime, timedelta

import newer_version
import pytest
from entry_samples import entry_data

from bot.audit_verify import verify_audit_log
from bot.errors import SettingsError, UsageError
from bot.ledger import Ledger
from bot.ledger import verify as verify_module
from bot.ledger.chain_heads import format_anchor
from bot.ledger.key import read_key
from bot.ledger.schema import TRIGGERS
from bot.ledger.verify import verify
from bot.slack.audit_channel.publisher import AuditChannel
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import NotSent, make_client
from bot.slack.outbound.outbox import Outbox, RateLimit
from lab.slack.server import FakeSlack

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self):
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors.txt", clock=Clock()) as made:
        yield made


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("NO_COLOR", "1")


def asked(ledger, times=1):
    made = [
        ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
        for _ in range(times)
    ]
    ledger.settle_anchors()
    return made


def cut(folder, last, name="ledger.db"):
    """Delete the newest entries, and what the anchor file knows of them."""
    database = sqlite3.connect(folder / name)
    for trigger in TRIGGERS:
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute("DELETE FROM entry WHERE seq > ?", (last,))
    for sql in TRIGGERS.values():
        database.execute(sql.strip())
    database.commit()
    database.close()
    lines = (folder / "anchors.txt").read_text().splitlines(keepends=True)
    (folder / "anchors.txt").write_text("".join(lines[:last]))


@pytest.fixture
def proved(tmp_path, capsys):
    def run(*anchors, **options):
        code = verify_audit_log(
            tmp_path / "ledger.db", None, tmp_path / "key", anchors or (tmp_path / "anchors.txt",), **options
        )
        return code, capsys.readouterr().out

    return run


def test_copied_text_finds_what_was_cut_off(ledger, proved, tmp_path):
    entries = asked(ledger, 9)
    pasted = tmp_path / "copied.txt"
    pasted.write_text(
        f"hvops\nAPP  2:07 PM\n{format_anchor(entries[3], ledger.seal)}\n[2:08 PM] {format_anchor(entries[7], ledger.seal)}\n"
    )
    assert proved(pasted)[0] == 0
    ledger.close()
    cut(tmp_path, 5)
    code, said = proved()  # the anchors beside it were cut to match
    assert code == 1
    assert "The anchors, the newest of entry 5, are on the ledger's own disk" in said
    assert "unaltered; complete" not in said
    code, said = proved(pasted, tmp_path / "anchors.txt")
    assert code == 1
    assert "BROKEN at entry 6: cut off: an anchor in copied.txt knows entry 8" in said
    assert "1 to 5 hold. The newest anchor that matches is of entry 5." in said


@pytest.fixture
def others_keep_the_anchors(monkeypatch):
    monkeypatch.setattr("bot.ledger.verify.is_elsewhere", lambda _ledger, _file: True)


def keep(folder, last):
    """Of the anchors, the oldest: the share was away since, or somebody was there."""
    lines = (folder / "anchors.txt").read_text().splitlines(keepends=True)
    (folder / "anchors.txt").write_text("".join(lines[:last]))
    return "".join(lines[last:])


@pytest.mark.usefixtures("others_keep_the_anchors")
def test_it_is_complete_up_to_the_newest_entry_that_an_anchor_names_and_no_further(ledger, proved, tmp_path):
    asked(ledger, 9)
    up_to = "Holds: 9 entries, unaltered; complete up to entry {}, the newest in an anchor kept elsewhere."
    assert up_to.format(9) + "\n" in proved()[1]
    keep(tmp_path, 7)  # a bot that is appending is a few behind
    code, said = proved()
    assert code == 0
    assert f"{up_to.format(7)} Entries 8 to 9 are unaltered; whether others followed is not known." in said


@pytest.mark.usefixtures("others_keep_the_anchors")
def test_anchors_of_long_ago_do_not_vouch_for_what_follows(ledger, proved, tmp_path):
    asked(ledger, 14)
    ledger.close()
    keep(tmp_path, 3)
    lines = (tmp_path / "anchors.txt").read_text()
    cut(tmp_path, 10)
    (tmp_path / "anchors.txt").write_text(lines)
    code, said = proved()
    assert code == 1
    assert "Complete up to entry 3, the newest in an anchor kept elsewhere. Entries 4 to 10 are unaltered; " in said
    assert "Those anchors stop earlier than they should" in said
    assert "Holds" not in said


@pytest.mark.usefixtures("others_keep_the_anchors")
def test_what_a_bot_anchors_while_the_entries_are_read_counts(ledger, proved, tmp_path, monkeypatch):
    asked(ledger, 20)
    late = keep(tmp_path, 3)

    def reads_on(store, key):
        found = the_id(store, key)
        with (tmp_path / "anchors.txt").open("a") as file:
            file.write(late)
        ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
        return found

    the_id = verify_module._id_of
    monkeypatch.setattr("bot.ledger.verify._id_of", reads_on)
    code, said = proved()
    assert (code, "complete up to entry 20, the newest" in said) == (0, True)
    assert "20 anchors match" in said


@pytest.mark.parametrize(("entries", "code"), [(120, 0), (123, 1)])
def test_a_head_of_the_channel_vouches_as_long_as_the_next_one_is_not_due(ledger, proved, tmp_path, entries, code):
    """A head comes at least every anchor_minutes; each entry of this ledger is a minute after the one before."""
    (first,) = asked(ledger)
    asked(ledger, entries)
    (tmp_path / "copied.txt").write_text(format_anchor(first, ledger.seal))
    found, said = proved(tmp_path / "copied.txt")
    assert found == code
    assert f"Entries 2 to {entries + 1} are unaltered; whether others followed is not known." in said


def message(ledger, entry, **changes):
    text = format_anchor(entry, ledger.seal)
    return {"type": "message", "user": "U0BOT", "bot_id": "B0BOT", "ts": "1.5", "text": text, **changes}


@pytest.mark.parametrize("shape", ["folder", "zip", "day", "answer"])
def test_an_export_believes_this_bot_alone_as_the_ledger_knows_it(ledger, proved, tmp_path, shape):
    first, _, third = asked(ledger, 3)
    ledger.append(
        "bot", entry_data("anchor", {"head": 1, "channel": "C0AUDIT", "ts": "1.5", "user": "U0BOT", "bot": "B0BOT"})
    )
    forged = message(
        ledger, third, text=format_anchor(third, ledger.seal).replace("entry 3", "entry 2000"), ts="1772460420.000100"
    )
    told = [message(ledger, first), {**forged, "bot_id": "B0OTHER"}, {**forged, "user": "U0NOBODY", "bot_id": None}]
    where = tmp_path / "export"
    if shape == "folder":
        (where / "hv-audit").mkdir(parents=True)
        (where / "hv-audit" / "2026-03-02.json").write_text(json.dumps(told))
        (where / "users.json").write_text(json.dumps([{"id": "U0BOT"}]))
    elif shape == "zip":
        with zipfile.ZipFile(where, "w") as packed:
            packed.writestr("channels.json", json.dumps([{"id": "C0AUDIT"}]))
            packed.writestr("hv-audit/2026-03-02.json", json.dumps(told))
            packed.writestr("hv-audit/picture.png", b"\x89")
    else:
        where.write_text(json.dumps(told if shape == "day" else {"ok": True, "messages": told}))
    code, said = proved(where)
    assert code == 1  # nothing is called complete beside what is not believed
    assert "unaltered; complete" not in said
    assert "1 anchors match" in said
    assert said.count("Not believed: the message of 2026-03-02 14:07 UTC (ts 1772460420.000100)") == 2
    assert "by U0NOBODY of entry 2000: a person wrote it." in said


def test_files_that_are_no_memory_are_refused(ledger, proved, tmp_path):
    asked(ledger)
    with pytest.raises(UsageError, match="no such file"):
        proved(tmp_path / "none.txt")
    (tmp_path / "broken.json").write_text("[{")
    with pytest.raises(UsageError, match=r"cannot be read as a Slack export, at broken\.json"):
        proved(tmp_path / "broken.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be read as a Slack export"):
        proved(tmp_path / "deep.json")
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as packed:
        packed.writestr("hv-audit/2026-03-02.json", "[{")
    with pytest.raises(UsageError, match=r"at hv-audit/2026-03-02\.json"):
        proved(tmp_path / "broken.zip")


@pytest.mark.parametrize("content", ["", "\n\n", "no anchor\n", "[]", "Ledger head: entry torn\n", '{"messages": []}'])
def test_a_file_without_any_anchor_is_refused(ledger, proved, piped, tmp_path, content):
    asked(ledger)
    (tmp_path / "empty.txt").write_text(content)
    for path in (tmp_path / "empty.txt", piped(content.encode())):
        with pytest.raises(UsageError, match="there is not one anchor in it"):
            proved(path)


def test_an_export_of_forged_heads_alone_is_refused_and_says_why(ledger, proved, tmp_path):
    (entry,) = asked(ledger)
    (tmp_path / "day.json").write_text(json.dumps([message(ledger, entry, user="U0NOBODY", bot_id=None)]))
    with pytest.raises(UsageError, match=r"not one anchor.*Not believed: .*a person wrote it"):
        proved(tmp_path / "day.json")


async def test_an_empty_anchor_file_of_the_settings_is_noted(ledger, settings, tmp_path, capsys):
    asked(ledger)
    (tmp_path / "anchors.txt").write_text("")
    assert verify_audit_log(None, settings(audit_channel="C0AUDIT"), None) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("1 entry matches its mac, but not everything is proved:")
    assert "whether newer entries were cut off cannot be known" in out
    assert "unaltered; complete" not in out


@pytest.fixture
def piped(tmp_path):
    """Give bytes through a real pipe, once, as `<(cat file)` does."""
    writers = []

    def pipe(content):
        path = tmp_path / f"pipe{len(writers)}"
        os.mkfifo(path)
        writers.append(threading.Thread(target=path.write_bytes, args=(content,), daemon=True))
        writers[-1].start()
        return path

    yield pipe
    for one in writers:
        one.join(10)


@pytest.mark.parametrize("shape", ["anchors", "copied", "export", "zip"])
def test_what_comes_through_a_pipe_is_compared_as_a_file_is(ledger, proved, piped, tmp_path, shape):
    entries = asked(ledger, 9)
    posted = {"head": 1, "channel": "C0AUDIT", "ts": "1.5", "user": "U0BOT", "bot": "B0BOT"}
    ledger.append("bot", entry_data("anchor", posted))
    assert ledger.settle_anchors() == ""
    content = {
        "anchors": (tmp_path / "anchors.txt").read_bytes(),
        "copied": f"hvops\n{format_anchor(entries[8], ledger.seal)}\n".encode(),
        "export": json.dumps([message(ledger, entries[8])]).encode(),
        "zip": zipped(json.dumps([message(ledger, entries[8])])),
    }[shape]
    code, said = proved(piped(content))
    assert code == 0
    assert f"{10 if shape == 'anchors' else 1} anchors match" in said
    ledger.close()
    cut(tmp_path, 5)
    if shape in ("anchors", "copied"):  # an export is believed by what the ledger says of the bot
        code, said = proved(piped(content))
        assert code == 1
        assert "BROKEN at entry 6: cut off" in said


def zipped(told):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("hv-audit/2026-03-02.json", told)
    return packed.getvalue()


def test_a_proof_reads_anchors_from_a_pipe_whole(ledger, piped, tmp_path):
    asked(ledger, 9)
    assert ledger.settle_anchors() == ""
    content, key = (tmp_path / "anchors.txt").read_bytes(), read_key(tmp_path / "key")
    assert verify(ledger.path, key, piped(content)).anchors == 9
    ledger.close()
    cut(tmp_path, 5)
    assert not verify(ledger.path, key, piped(content)).holds


def test_a_broken_ledger_names_the_head_to_compare_with(ledger, proved, tmp_path):
    asked(ledger, 3)
    ledger.append(
        "bot", entry_data("anchor", {"head": 3, "channel": "C0AUDIT", "ts": "1.5", "user": "U0BOT", "bot": "B0BOT"})
    )
    newer_version.write(ledger, "anchor", {"head": 4, "channel": "C0AUDIT", "ts": "1.6", "novel": 1})
    asked(ledger, 3)
    ledger.close()
    database = sqlite3.connect(tmp_path / "ledger.db")
    database.execute("DROP TRIGGER entry_stays")
    database.execute("UPDATE entry SET body = replace(body, 'prod', 'test') WHERE seq = 7")
    database.execute(TRIGGERS["entry_stays"].strip())
    database.commit()
    database.close()
    code, said = proved()
    assert code == 1
    assert "1 to 6 hold. Compare with anchor 3 in the audit channel C0AUDIT." in said


@pytest.fixture
async def slack():
    async with FakeSlack(manifest=manifest(()), rates="off") as made:
        yield made


@pytest.fixture
def settings(slack, tmp_path):
    def made(**more):
        told = {"bot_token": slack.bot_token, "app_token": slack.app_token, "base_url": slack.base_url, **more}
        rows = "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
        file = tmp_path / "settings.toml"
        file.write_text(
            f'inventory = "inventory.toml"\n[credentials.reader]\ntransport = "kerberos"\n[slack]\n{rows}'
            '[ledger]\npath = "ledger.db"\nkey_file = "key"\nanchor_file = "anchors.txt"\n'
        )
        return file

    return made


async def told_the_channel(slack, ledger):
    """Tell the audit channel what is to be told."""
    client = make_client(slack.bot_token, slack.base_url)
    outbox = Outbox(client, RateLimit(interval=0.0))

    async def link(ticket):
        return ""

    await AuditChannel(client, outbox, ledger, "C0AUDIT", link=link, minutes=1).catch_up()
    await outbox.close()


async def by_channel(file, capsys, ledger=None):
    code = await asyncio.to_thread(verify_audit_log, ledger, file, None, (), channel=True)
    return code, capsys.readouterr().out


async def test_talk_about_heads_and_a_reason_that_hvops_repeats_let_verification_pass(ledger, slack, settings, capsys):
    (first,) = asked(ledger)
    forged = format_anchor(first, ledger.seal).replace("entry 1", "entry 9")
    for why in ("the ledger head looks odd", forged):
        ledger.append("T0/U1", entry_data("stop", {"reason": why, "name": "anna"}))
        ledger.append("T0/U2", entry_data("go", {"name": "bert"}))
    await told_the_channel(slack, ledger)
    slack.workspace.post_as("anna", "C0AUDIT", "is today's ledger head there?")
    asked(ledger)
    await told_the_channel(slack, ledger)
    file = settings(audit_channel="C0AUDIT")
    code, said = await by_channel(file, capsys)
    assert (code, "Not believed" in said) == (0, False), said
    slack.workspace.post_as("anna", "C0AUDIT", forged)
    code, said = await by_channel(file, capsys)
    assert (code, "Not believed" in said) == (1, True), said


async def test_the_channel_finds_what_was_cut_off_the_ledger_and_its_anchor_file(
    ledger, slack, settings, tmp_path, capsys
):
    asked(ledger, 3)
    await told_the_channel(slack, ledger)
    file = settings(audit_channel="C0AUDIT")
    code, said = await by_channel(file, capsys)
    assert code == 0
    assert "5 anchors match" in said  # four of the file, one of the channel
    ledger.close()
    cut(tmp_path, 2)
    # Without the channel nothing is missing, and nothing outside says so.
    assert verify_audit_log(None, file, None) == 1
    said = capsys.readouterr().out
    assert "BROKEN" not in said
    assert "nothing outside shows whether newer entries were removed" in said
    code, said = await by_channel(file, capsys)
    assert code == 1
    assert "BROKEN at entry 3: cut off: an anchor in the audit channel C0AUDIT knows entry 3" in said


async def test_a_forged_anchor_is_neither_believed_nor_hidden(ledger, slack, settings, capsys):
    entries = asked(ledger, 3)
    await told_the_channel(slack, ledger)
    forged = format_anchor(entries[0], ledger.seal).replace("entry 1", "entry 1000")
    await slack.person("nobody").types(forged, "hv-audit")
    slack.workspace.post_as("mallory", "C0AUDIT", forged.replace("1000", "2000"))
    client = make_client(slack.bot_token, slack.base_url)
    ts = (await client.chat_postMessage(channel="C0AUDIT", text="good morning"))["ts"]
    await client.chat_update(channel="C0AUDIT", ts=ts, text=forged.replace("1000", "3000"))
    code, said = await by_channel(settings(audit_channel="C0AUDIT"), capsys)
    assert code == 1  # nothing is called complete beside what is not believed
    assert "unaltered; complete" not in said
    lines = [line for line in said.splitlines() if line.startswith("Not believed")]
    assert ["of entry 3000: it was edited." in lines[0], "of entry 2000: another app" in lines[1]] == [True, True]
    assert "by U0NOBODY of entry 1000: a person wrote it." in lines[2]


async def test_an_own_anchor_that_somebody_edited_is_missed_and_named(ledger, slack, settings, capsys):
    asked(ledger)
    await told_the_channel(slack, ledger)
    message = slack.person("viewer").messages("hv-audit")[-1]
    message.edited = True
    code, said = await by_channel(settings(audit_channel="C0AUDIT"), capsys)
    assert code == 1  # nothing is called complete beside what is not believed
    assert "unaltered; complete" not in said
    assert "it was edited" in said
    assert "There is no anchor in the audit channel C0AUDIT that can be believed." in said


async def test_an_own_anchor_that_was_deleted_is_missed(ledger, slack, settings, capsys):
    asked(ledger)
    await told_the_channel(slack, ledger)
    file = settings(audit_channel="C0AUDIT")
    assert "no longer" not in (await by_channel(file, capsys))[1]
    slack.workspace.delete(slack.person("viewer").messages("hv-audit")[-1])
    code, said = await by_channel(file, capsys)
    assert code == 1  # nothing is called complete beside what is not believed
    assert "unaltered; complete" not in said
    assert (
        "A head is no longer in the channel, the newest of entry 1: deleted, or older than the channel keeps." in said
    )


async def test_a_head_whose_entry_cannot_be_read_does_not_hide_the_others(ledger, slack, settings, capsys):
    asked(ledger)
    await told_the_channel(slack, ledger)
    posted = {"head": 2, "channel": "C0AUDIT", "ts": "1.5"}
    seq = newer_version.write(ledger, "anchor", {**posted, "novel": 1})
    file = settings(audit_channel="C0AUDIT")
    slack.workspace.delete(slack.person("viewer").messages("hv-audit")[-1])
    code, said = await by_channel(file, capsys)
    assert code == 1  # nothing is called complete beside what is not believed
    assert "unaltered; complete" not in said
    assert f"Not compared: entry {seq} cannot be read by this version of hvops" in said
    assert "A head is no longer in the channel, the newest of entry 1" in said


async def test_a_copy_is_compared_with_the_channel_too(ledger, slack, settings, tmp_path, capsys):
    asked(ledger, 3)
    await told_the_channel(slack, ledger)
    shutil.copy(tmp_path / "anchors.txt", tmp_path / "kept.txt")
    ledger.close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "copy.db")
    cut(tmp_path, 1, "copy.db")
    code, said = await by_channel(settings(audit_channel="C0AUDIT"), capsys, tmp_path / "copy.db")
    assert code == 1
    assert "BROKEN at entry 2" in said


async def test_without_a_channel_or_its_scope_it_says_what_to_do(ledger, slack, settings, capsys):
    asked(ledger)
    with pytest.raises(SettingsError, match="audit_channel is not set"):
        await by_channel(settings(), capsys)
    slack.workspace.leaves("hvops", "hv-audit")
    with pytest.raises(NotSent, match="/invite"):
        await by_channel(settings(audit_channel="C0AUDIT"), capsys)
