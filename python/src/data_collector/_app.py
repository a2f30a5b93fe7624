"""``run()``: makes an app of a function."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

from . import _stdout
from ._identity import current
from ._report import exceptions

#: The function of an app: it is given the id of its run, and its arguments or None.
Init = Callable[[str, Any], object]


class Stopped(SystemExit):
    """dcm, or whoever started the app, asked it to end. Raised in the main thread, so that ``finally`` and ``with`` clean up.

    Like :exc:`SystemExit` it is no :exc:`Exception`, so that ``except Exception`` lets it pass.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class _Stop:
    def __init__(self) -> None:
        self.event = threading.Event()
        self.is_asked_for = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        is_first = not self.event.is_set()
        self.event.set()
        # An app that looks ends by itself, when it likes; asking twice is insisting.
        if not (self.is_asked_for and is_first):
            raise Stopped(number)


_stop = _Stop()


def stopping() -> bool:
    """Whether the app was asked to end (TERM, or Ctrl-C by hand).

    An app that has ever called this, or :func:`wait`, ends itself: it should return soon after this is true, within its
    ``stop_grace``. In one that never did, :exc:`Stopped` is raised at once.
    """
    _stop.is_asked_for = True
    return _stop.event.is_set()


def wait(seconds: float) -> bool:
    """Waits for this time, or until the app is asked to end; gives back whether it was."""
    _stop.is_asked_for = True
    return _stop.event.wait(seconds)


def count_exception() -> None:
    """Counts the exception that is being handled into ``except_cnt``, and writes its traceback to stderr.

    For an app that goes on with the next item::

        except CollectError:
            count_exception()
    """
    exceptions.add()
    if sys.exc_info()[0] is not None:
        traceback.print_exc()


def run(init: Init, argv: Sequence[str] | None = None) -> NoReturn:
    """Calls ``init(runtime, args)`` and ends the process.

    ``runtime`` is the id of the run (one of its own outside of dcm), ``args`` the value of ``--args JSON``, or None.
    The exit code is 0, or the whole number that ``init`` gives back; 1 after an exception, of which the traceback goes to
    stderr and which counts in ``except_cnt``, as do those that end a thread; 2 when the arguments cannot be read. After
    :exc:`Stopped` it is 128 + the number of the signal.
    """
    args = _arguments(argv)
    if current().is_managed:
        _stdout.prepare()
    _catch_signals()
    _count_those_of_threads()
    try:
        code = init(current().runtime, args)
    except Exception:
        count_exception()
        code = 1
    sys.exit(code if isinstance(code, int) and not isinstance(code, bool) else 0)


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--args", metavar="JSON", type=_json, help="what this run is to do, as JSON")
    args = parser.parse_args(argv).args
    # {} is no argument, as for dcm.
    return None if args == {} else args


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    except RecursionError:
        raise argparse.ArgumentTypeError("not JSON: nested too deeply") from None


def _catch_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python handles signals in the main thread only
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, _stop.handle)


def _count_those_of_threads() -> None:
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        before(args)
        if args.exc_type is not None and not issubclass(args.exc_type, SystemExit):
            exceptions.add()

    threading.excepthook = hook
