"""The code version changes with every file that decides what runs, and with nothing else."""

from bot.version import code_version, files_digest


def test_every_file_counts_by_name_and_content(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "a.py").write_text("x = 1")
    seen = [files_digest([tmp_path])]
    (tmp_path / "rules" / "kb.toml").write_text("")
    seen.append(files_digest([tmp_path]))
    (tmp_path / "a.py").write_text("x = 2")
    seen.append(files_digest([tmp_path]))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    seen.append(files_digest([tmp_path]))
    assert len(set(seen)) == 4
    (tmp_path / "notes.txt").write_text("no code")
    assert files_digest([tmp_path]) == seen[-1]


def test_it_names_the_version_and_stays_the_same():
    assert code_version() == code_version()
    assert "+" in code_version()
