"""Being told to end: SIGTERM does what Ctrl-C does, and is not forgotten where the interruption is swallowed."""

from __future__ import annotations

import signal
import sys
import threading

_told = threading.Event()


def end_on_sigterm() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, until something else (Faust) listens to it.

    Also where Ctrl-C is ignored, as a shell has it for what it starts in the background.
    """

    def end(*_: object) -> None:
        _told.set()
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(what)

    sys.unraisablehook = swallowed
    signal.signal(signal.SIGTERM, end)


def told_to_end() -> bool:
    """Whether SIGTERM came: an interruption raised inside a callback or a finaliser is lost, this is not."""
    return _told.is_set()
