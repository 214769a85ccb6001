"""The benches still start, measure every client, and print what they measured. Nothing here is about time."""

import asyncio
import importlib
import json

import pytest

from tests.bench import (
    ack,
    again,
    click,
    enough,
    fanout,
    faults,
    first,
    hosts,
    ledger,
    many_tickets,
    sites,
    soak,
    steady,
    table,
    tickets,
    two_sites,
    writers,
)
from tests.bench import help as start

every = importlib.import_module("tests.bench.__main__")


def figures(row, *columns):
    return [float(row[at].replace(",", "").removesuffix(" x")) for at in columns]


def test_help_is_beside_an_empty_python():
    found = start.table(start.measure(1))
    assert [row[0] for row in found.rows] == ["hvops --help", "python -c pass"]
    assert all(figure > 0 for row in found.rows for figure in figures(row, 1, 2, 3))


def test_the_ledger_is_beside_raw_sqlite(tmp_path):
    appended, proved = ledger.appends(tmp_path, 20), ledger.proofs(tmp_path, 300)
    assert [row[0] for row in appended.rows] == ["hvops", "raw sqlite3"]
    assert [row[0] for row in proved.rows] == ["hvops audit verify", "raw sqlite3, chain only"]
    assert "300 entries" in proved.title
    assert all(figures(row, 1, 2)[0] > 0 for row in (*appended.rows, *proved.rows) if row[1] != "0.00")


def test_writers_on_a_database_are_beside_those_on_a_file_and_bare_ones(postgresql_cluster, tmp_path):
    found = {
        (2, side): [writers.measure(postgresql_cluster, tmp_path / str(number), side, 2, 3)]
        for number, side in enumerate(writers.SIDES)
    }
    made = writers.table(found, 3)
    assert [row[0] for row in made.rows] == ["2 × hvops on SQLite", "2 × hvops on PostgreSQL", "2 × bare PostgreSQL"]
    assert all(figures(row, 1, 2)[0] > 0 for row in made.rows)
    assert made.aims[0].met is None


def test_a_site_behind_a_worker_is_beside_a_plain_fan_out(postgresql_cluster, tmp_path):
    wide, gone = sites.measure(postgresql_cluster, tmp_path, hosts=5, latency=0.02, rounds=1, kills=0)
    assert [row[0] for row in wide.rows] == ["plain asyncio, in the bot", "one task, through a worker"]
    assert all(figures(row, 1, 2)[0] > 0 for row in wide.rows)
    assert gone.aims[0].met is None


@pytest.mark.long
async def test_two_sites_are_beside_one_machine_alone(postgresql_cluster, tmp_path):
    found = await two_sites.measure(postgresql_cluster, tmp_path, (6,), 0.02, questions=2, rounds=1)
    made = two_sites.table(found, 0.02, 2)
    assert [row[0] for row in made.rows] == ["6 machines"]
    assert made.aims[0].met is True


def test_memory_that_grows_misses_its_aim():
    flat, grown = (
        steady.Load(memory={"hvops": list(values), "bare Bolt": [40.0]})
        for values in ([100.0] * 10, range(100, 200, 10))
    )
    assert steady.table(flat, 60).aims[0].met is True
    assert steady.table(grown, 60).aims[0].met is False


async def test_a_late_move_of_a_soak_is_beside_an_early_one():
    found = soak.table(await soak.measure(60, (10, 60)))
    assert [row[0] for row in found.rows] == ["move 10", "move 60"]
    assert all(figure > 0 for row in found.rows for figure in figures(row, 1, 2, 3, 4))


@pytest.mark.long
async def test_acknowledgements_are_beside_a_bare_bolt_app():
    took = await ack.measure(commands=3, asks=2, rounds=1)
    assert {(line, width, bot): len(seconds) for (line, width, bot), seconds in took.items()} == {
        (line, width, bot): count
        for line, count in (("/hvops help", 3), ("/check-writers hv01", 2))
        for width in (1, 16)
        for bot in ("bare Bolt", "hvops")
    }
    assert all(second > 0 for seconds in took.values() for second in seconds)
    assert len(ack.table(took).rows) == len(took)


@pytest.mark.long
async def test_acknowledgements_while_slack_fails_are_beside_a_bare_bolt_app():
    sides = await faults.measure(commands=8, rounds=1, seed=1)
    assert [side.name for side in sides] == ["bare Bolt", "hvops"]
    heard = [len(side.watch.took["slash_commands"]) + side.watch.lost["slash_commands"] for side in sides]
    assert heard == [8, 8]
    assert all(any(one.fault for one in side.slack.calls) for side in sides)
    found = faults.table(sides, seed=1)
    assert [row[0] for row in found.rows][:2] == ["slash commands, bare Bolt", "slash commands, hvops"]


@pytest.fixture
def port():
    with hosts.served(3, 0.0) as port:
        yield port


async def test_every_python_client_of_the_fan_out_hears_every_host(port):
    clients = {"hvops": 2, "streams": 2, "session": 1, "protocol": 2}
    told = await asyncio.gather(*(asyncio.to_thread(fanout.apart, name, 3, port, 4) for name in clients))
    runs = [run for each in told for run in each]
    assert [len(each) for each in told] == list(clients.values())
    assert all(run.answered == 3 and min(run.wall, run.cpu, run.peak_mb) > 0 for run in runs)
    found = fanout.table(runs, 0.0)
    assert [row[0] for row in found.rows] == [run.client for run in runs]
    assert [aim.met for aim in found.aims if "ansible" in aim.wanted] == [None]


@pytest.mark.skipif(not fanout.ANSIBLE.exists(), reason="ansible-core is for `make bench` only")
def test_ansible_hears_every_host(port):
    (run,) = fanout.apart("ansible", 3, port, 2)
    assert run.answered == 3
    assert min(run.wall, run.cpu, run.peak_mb) > 0


@pytest.mark.long
@pytest.mark.kerberos
def test_a_first_contact_is_beside_its_longest_host():
    found = first.measure(2, 3, 0.0, ["find-full-guests", "check-storvsc-risk"])
    assert [(one.transport, one.asked, one.silent) for one in found] == [
        (transport, 5, 0) for transport in ("ntlm", "ntlm", "kerberos", "kerberos")
    ]
    assert all(one.legs == one.needed >= one.logins >= one.asked for one in found)
    assert all(0 < one.longest <= min(one.wall, one.summed) for one in found)
    assert all(min(one.cpu, one.peak_mb) > 0 and one.questions > one.asked for one in found)
    judged = first.table(found, 2, 3, 0.0)
    assert [row[0] for row in judged.rows] == [
        f"/{command}, {transport}"
        for transport in ("ntlm", "kerberos")
        for command in ("find-full-guests", "check-storvsc-risk")
    ]
    assert [aim.met for aim in judged.aims] == [True] * 4


def test_without_a_kdc_kerberos_is_left_out_and_the_table_says_so(monkeypatch):
    assert first.possible(["ntlm"]) == (["ntlm"], [])
    monkeypatch.setattr(first, "missing_tools", lambda: ["krb5kdc"])
    transports, left_out = first.possible(first.TRANSPORTS)
    assert transports == ["ntlm"]
    assert left_out == [
        "Kerberos was left out: no krb5kdc here. Install it: apt-get install krb5-kdc krb5-admin-server"
    ]
    one = first.Contact("x", "ntlm", 9, 0, 2.0, 1.0, 1.0, 5.0, 30, 4, 9, 60, 18, 18, 100.0)
    assert left_out[0] in first.table([one], 2, 7, 0.0, left_out).notes
    with pytest.raises(SystemExit, match="Kerberos was left out"):
        first.main(["--transports", "kerberos"])


def test_the_time_of_a_host_counts_once_whatever_goes_on_at_one_time():
    assert first.covered([(3.0, 4.0), (0.0, 2.0), (1.0, 2.5), (1.0, 1.5)]) == 3.5
    assert first.covered([]) == 0


def test_a_login_with_a_leg_too_many_is_an_aim_missed():
    one = first.Contact("x", "ntlm", 9, 0, 2.0, 1.0, 1.0, 5.0, 30, 4, 9, 60, 19, 18, 100.0)
    assert [aim.met for aim in first.aims([one], 2, 7)] == [True, True, True, False]
    assert first.aims([one], 2, 8)[0].met is False  # a machine too few


@pytest.mark.long
def test_looking_again_is_beside_a_small_cluster_and_a_slow_way():
    found = again.measure(3, 0.0, 1)
    assert [row[0] for row in found.rows] == [
        "2 nodes, all at once",
        "3 nodes, all at once",
        "3 nodes, one after the other",
    ]
    small, large, slow = (int(row[1]) for row in found.rows)
    assert small < large == slow


@pytest.mark.long
async def test_a_click_is_beside_the_look_and_a_bare_call():
    took = await click.measure(1)
    assert {name: len(seconds) for name, seconds in took.items()} == {
        click.DRAIN: 1, click.RESUME: 1, click.LOOK: 1, click.LOGIN: 1, click.BARE: 1
    }  # fmt: skip
    assert all(second > 0 for seconds in took.values() for second in seconds)
    assert len(click.table(took).rows) == len(took)


@pytest.mark.long
def test_a_hostile_host_is_beside_the_same_bot_idle():
    kinds = {name: enough.KINDS[name] for name in ("a long namespace", "gzip in gzip")}
    found = enough.memory(kinds)
    assert [row[0] for row in found.rows] == ["the same bot, idle", *kinds]
    assert all(float(row[1]) > 10 for row in found.rows)
    assert found.aims[0].met


def test_another_persons_question_is_beside_itself_alone():
    found = enough.fairness(0.05)
    assert [row[0] for row in found.rows] == ["alone", "another person, beside 60", "a run's check, beside 60"]
    assert all(float(row[1]) > 0 for row in found.rows)


def test_a_filled_ledger_is_one_that_the_bot_could_have_written(tmp_path):
    made = many_tickets.filled(tmp_path, 60, 30, pairs=2)
    with made.open() as found:
        assert found.verify().holds
        assert found.counted() == {"proposed": 26, "approved": 2, "interrupted": 2}
        assert found.tickets(("proposed",)) == list(made.waiting)
        assert len(found.locks()) == 2
        found.rebuild()
        assert found.verify().holds


@pytest.mark.long
async def test_many_tickets_are_beside_a_few():
    few, many = await tickets.measure(4, 4, 1), await tickets.measure(20, 10, 1)
    assert all(second > 0 for took in (few, many) for seconds in took.values() for second in seconds)
    assert [row[0] for row in tickets.table(few, many, 20, 10).rows] == [
        tickets.CLICK, tickets.RUNS, tickets.HOME, tickets.AUDIT, tickets.SWEEP, tickets.START
    ]  # fmt: skip


def test_aims_are_judged_by_the_best_rival():
    runs = [
        fanout.Run("hvops, 128 at once, first", 10, 10, 2.0, 0.02, 1.0),
        fanout.Run("hvops, 128 at once, kept open", 10, 10, 1.0, 0.03, 1.0),
        fanout.Run("pywinrm Session, 64 threads", 10, 10, 4.0, 0.1, 1.0),
        fanout.Run("pywinrm Session, 128 threads", 10, 10, 2.5, 0.1, 1.0),
        fanout.Run("ansible raw, 50 forks", 10, 10, 10.0, 0.1, 1.0),
    ]
    assert [aim.met for aim in fanout.table(runs, 0.0).aims] == [True, False, True, False]


def test_a_rival_that_failed_is_no_victory():
    runs = [fanout.Run(f"hvops, 128 at once, {label}", 10, 10, 1.0, 0.01, 1.0) for label in ("first", "kept open")]
    runs += [fanout.Run("ansible raw, 50 forks", 10, 0, 90.0, 0.1, 1.0)]
    assert [aim.met for aim in fanout.table(runs, 0.0).aims if "ansible" in aim.wanted] == [None]


def test_a_host_that_hvops_missed_is_an_aim_missed():
    runs = [fanout.Run(f"hvops, 128 at once, {label}", 10, 9, 1.0, 0.01, 1.0) for label in ("first", "kept open")]
    assert fanout.table(runs, 0.0).aims[0].met is False


def test_tables_survive_the_way_to_the_collector(capsys):
    made = table.Table("T", ("", "n"), [("a", "1")], ["read"], [table.Aim("w", "f", met=False)])
    table.show([made], as_json=True)
    (back,) = table.read(json.dumps(json.loads(capsys.readouterr().out)))
    assert str(back) == str(made)
    assert str(made).splitlines()[2:5] == ["   n", "----", "a  1"]


def test_all_benches_are_run_and_a_broken_one_does_not_stop_the_others(monkeypatch, capsys):
    def fresh(module, *arguments):
        if module.endswith("ledger"):
            raise SystemExit("no disk")
        return json.dumps([{"title": f"{module} {' '.join(arguments)}", "columns": ["x"], "rows": [["1"]], "notes": [],
                            "aims": [{"wanted": "w", "found": "f", "met": False}]}])  # fmt: skip

    monkeypatch.setattr(every, "fresh", fresh)
    assert every.main(["--quick"]) == 1
    out = capsys.readouterr().out
    assert "tests.bench.help --json --runs 2" in out
    assert "tests.bench.fanout --json --hosts 8" in out
    assert "tests.bench.tickets --json --tickets 40" in out
    assert f"0 of {len(every.QUICK) - 1} aims met\n  NOT MET: w; found: f" in out
    assert "not measured: ledger" in out


def test_the_readme_takes_the_last_run():
    readme = every.README.read_text(encoding="utf-8")
    once = every.written(readme, "first figures")
    twice = every.written(once, "second figures")
    assert "first figures" in once
    assert "first figures" not in twice
    assert twice == every.written(readme, "second figures")
    assert twice.startswith(readme[: readme.index(every.BEGIN)])


def test_a_part_of_a_run_is_not_written_down():
    with pytest.raises(SystemExit):
        every.main(["--quick", "--write"])
