from tests.structure.walk import Stretch, Tracer


def test_a_change_of_file_is_counted_where_the_call_before_was_into_another():
    stretch = Stretch()
    for file in ("a.py", "a.py", "b.py", "a.py"):
        stretch.enter(file)
    assert str(stretch) == "2 files, 2 changes of file"


def test_a_stretch_is_walked_once():
    tracer = Tracer()
    tracer.begin("plan to ledger")
    tracer.statement("SELECT 1")
    assert tracer.now is tracer.stretches["plan to ledger"]
    tracer.statement("INSERT INTO entry VALUES (1)")
    assert tracer.now is tracer.stretches["ledger to card"]
    tracer.begin("plan to ledger")
    assert tracer.now is tracer.stretches["ledger to card"], "over is over"
