from __future__ import annotations

import json
import signal

import pytest

ECHO = """
from data_collector import run
def init(runtime, args=None):
    print(runtime, args)
run(init)
"""


def test_the_function_gets_its_run_and_its_arguments(app):
    assert app(ECHO).run().printed == ["0123456789abcdef0123456789abcdef None"]
    ran = app(ECHO).run("--args", json.dumps({"only": ["a", 1]}))
    assert ran.printed == ["0123456789abcdef0123456789abcdef {'only': ['a', 1]}"]
    assert app(ECHO).run("--args", "{}").printed[0].endswith("None")
    assert app(ECHO).run("--args", "0").printed[0].endswith(" 0")


def test_outside_of_dcm_a_run_has_an_id_of_its_own(app):
    (line,) = app(ECHO).run(managed=False).printed
    runtime = line.split()[0]
    assert len(runtime) == 32 and runtime[12] == "4" and int(runtime, 16)


@pytest.mark.parametrize("args", [["--args", "{"], ["--args"], ["--other"], ["--args", "[" * 100_000]])
def test_arguments_that_cannot_be_read_are_wrong_use(app, args):
    ran = app(ECHO).run(*args)
    assert ran.code == 2 and "error:" in ran.err and "Traceback" not in ran.err
    assert ran.printed == []


@pytest.mark.parametrize(("end", "code"), [("return 3", 3), ("return None", 0), ("return True", 0), ("raise SystemExit(4)", 4)])
def test_the_exit_code(app, end, code):
    assert app(f"from data_collector import run\ndef init(runtime, args): {end}\nrun(init)").run().code == code


def test_exceptions_are_counted(app):
    ran = app(
        """
        import threading
        from data_collector import count_exception, report, run
        def init(runtime, args=None):
            report(except_cnt=5)
            try:
                1 / 0
            except ZeroDivisionError:
                count_exception()
            thread = threading.Thread(target=lambda: {}["no such key"])
            thread.start()
            thread.join()
            raise ValueError("the end")
        run(init)
        """
    ).run()
    assert ran.code == 1
    assert [told["except_cnt"] for told in ran.reports] == [5, 6, 7, 8]
    for what in ("ZeroDivisionError", "no such key", "ValueError: the end"):
        assert what in ran.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_app_that_does_not_look_is_interrupted_and_cleans_up(app, number):
    process = app(
        """
        import time
        from data_collector import run
        def init(runtime, args=None):
            try:
                print("begun", flush=True)
                while True:
                    try:
                        time.sleep(60)
                    except Exception:
                        pass
            finally:
                print("cleaned up")
        run(init)
        """
    ).start()
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == (b"cleaned up\n", b"", 128 + number)


def test_an_app_that_looks_ends_by_itself(app):
    process = app(
        """
        from data_collector import run, stopping, wait
        def init(runtime, args=None):
            items = 0
            while not stopping():
                items += 1
                print(items, flush=True)
                wait(3600)
            print("finished", items)
        run(init)
        """
    ).start()
    assert process.stdout.readline() == b"1\n"
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"finished 1\n", 0)


def test_asking_twice_is_insisting(app):
    process = app(
        """
        import time
        from data_collector import run, stopping
        def init(runtime, args=None):
            stopping()
            print("begun", flush=True)
            while not stopping():
                time.sleep(0.01)
            print("asked", flush=True)
            time.sleep(3600)
        run(init)
        """
    ).start()
    assert process.stdout.readline() == b"begun\n"
    process.terminate()
    assert process.stdout.readline() == b"asked\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
