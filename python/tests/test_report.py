from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from data_collector import report


def test_what_is_told(app):
    ran = app(
        """
        from datetime import datetime, timedelta, timezone
        from data_collector import report
        report(task_size=10, solved=3, failed=0, progress=33.339, message="page 3\\nof 10: čušpajz \\udcff")
        report(next_run=datetime(2026, 11, 23, 15, 2, 11, tzinfo=timezone(timedelta(hours=1))), eta="2026-11-23 14:02")
        report()
        """
    ).run()
    assert ran.reports == [
        {"task_size": 10, "solved": 3, "failed": 0, "progress": 33.33, "message": "page 3\nof 10: čušpajz ?"},
        {"next_run": "2026-11-23T14:02:11.000Z", "eta": "2026-11-23 14:02"},
    ]
    assert ran.printed == []


def test_nothing_is_written_outside_of_dcm(app):
    ran = app("from data_collector import report; report(solved=1); print('x')").run(managed=False)
    assert (ran.printed, ran.reports) == (["x"], [])


def test_a_time_without_a_zone_is_local_time(app):
    ran = app(
        "from datetime import datetime; from data_collector import report; report(eta=datetime(2026, 7, 1, 12))"
    ).run(TZ="Europe/Zagreb")
    assert ran.reports == [{"eta": "2026-07-01T10:00:00.000Z"}]


def test_a_timedelta_is_from_now(app):
    ran = app(
        "from datetime import timedelta; from data_collector import report; report(next_run=timedelta(hours=1))"
    ).run()
    told = datetime.fromisoformat(ran.reports[0]["next_run"].replace("Z", "+00:00"))
    assert abs(told - datetime.now(timezone.utc) - timedelta(hours=1)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"solved": -1}, ValueError),
        ({"solved": 1.5}, TypeError),
        ({"solved": "1"}, TypeError),
        ({"failed": 2**63}, ValueError),
        ({"progress": 100.1}, ValueError),
        ({"progress": float("nan")}, ValueError),
        ({"eta": 5}, TypeError),
        ({"eta": "soon" * 20}, ValueError),
        ({"message": 5}, TypeError),
    ],
)
def test_what_dcm_would_refuse_is_refused_at_once(fields, error):
    with pytest.raises(error, match=next(iter(fields)) if error is ValueError else None):
        report(**fields)


def test_the_longest_report_is_one_that_dcm_reads(app):
    ran = app(
        """
        from data_collector import report
        n = 2**63 - 1
        report(task_size=n, solved=n, failed=n, except_cnt=n, progress=99.99, eta="9"*64, next_run="9"*64,
               message="\\0" * 1000)
        """
    ).run()
    assert len(ran.reports) == 1 and ran.reports[0]["message"] == "\0" * 500


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_report_lands_within_a_printed_line(app, unbuffered):
    ran = app(
        """
        import threading
        from data_collector import report, run
        def talk(name):
            for i in range(2000):
                print(name * 20, i)
        def tell():
            for i in range(2000):
                report(solved=i)
        def init(runtime, args=None):
            threads = [threading.Thread(target=talk, args=(name,)) for name in "ab"]
            threads += [threading.Thread(target=tell) for _ in range(2)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        run(init)
        """
    ).run(**({"PYTHONUNBUFFERED": unbuffered} if unbuffered else {}))
    assert ran.code == 0, ran.err
    assert len(ran.reports) == 4000
    # Lines of the two talkers may mix as they always do in Python; none has a part of a report in it.
    assert "::dcm" not in "".join(ran.printed)
    assert "".join(ran.printed).count("a") == "".join(ran.printed).count("b") == 40_000


def test_processes_that_fork_report_too(app):
    ran = app(
        """
        import os, threading
        from data_collector import report, run
        def tell():
            while not done:
                report(solved=1)
        done = False
        def init(runtime, args=None):
            global done
            thread = threading.Thread(target=tell)
            thread.start()
            for number in range(50):
                if (child := os.fork()) == 0:
                    print("child", number)
                    report(failed=number)
                    os._exit(0)
                os.waitpid(child, 0)
            done = True
            thread.join()
        run(init)
        """
    ).run(PYTHONWARNINGS="ignore")
    assert ran.code == 0, ran.err
    assert sorted(told["failed"] for told in ran.reports if "failed" in told) == list(range(50))
    assert sorted(ran.printed) == sorted(f"child {number}" for number in range(50))


def test_a_line_that_was_not_ended_is_ended_first(app):
    ran = app(
        """
        import sys
        from data_collector import report
        report(task_size=3)
        for i in range(3):
            print(f"\\r{i} of 3", end="", flush=True)
            report(solved=i)
        sys.stdout.write("x" * 10_000)
        report(solved=3)
        """
    ).run()
    assert [told.get("solved") for told in ran.reports] == [None, 0, 1, 2, 3]
    assert ran.printed[-1] == "x" * 10_000


@pytest.mark.parametrize(
    "before",
    ["import os; os.close(1)", "import sys; sys.stdout.close()", "import sys; sys.stdout = sys.__stdout__ = None"],
)
def test_an_app_without_standard_output_goes_on(app, before):
    ran = app(f"{before}\nfrom data_collector import report; report(solved=1); raise SystemExit(7)").run()
    assert ran.code in (7, 120), ran.err  # 120: Python itself could not flush what is closed
    assert "Traceback" not in ran.err


def test_the_run_is_known_from_the_environment(app):
    ran = app(
        """
        from data_collector import current
        run = current()
        print(run.is_managed, run.runtime, run.path, run.attempt, run.trigger, run.due_time, run is current())
        """
    ).run(
        DC_APP_GROUP="croatia",
        DC_APP_PARENT="fina",
        DC_APP_NAME="companies",
        DC_ATTEMPT="2",
        DC_TRIGGER="schedule",
        DC_DUE_TIME="2026-11-23T14:02:11.123Z",
    )
    assert ran.printed == [
        "True 0123456789abcdef0123456789abcdef croatia/fina/companies 2 schedule 2026-11-23 14:02:11.123000+00:00 True"
    ]


def test_nothing_else_is_imported(app):
    ran = app("import sys, data_collector; print([m for m in ('dramatiq', 'airflow', 'psycopg') if m in sys.modules])").run()
    assert ran.printed == ["[]"]
