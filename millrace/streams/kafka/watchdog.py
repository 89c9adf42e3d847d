"""Ends a process that does nothing any more, so that its supervisor starts another.

Faust was seen to leave its group for good, to wait for ever in a rebalance, and to ignore SIGTERM
after a crash; nothing inside its event loop can be trusted to notice. A thread looks from outside.
It must never end a process that is merely slow or idle, or that waits for a broker that is away.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Exit code of a process that was ended because it was wedged: temporary, start another.
WEDGED = 75
EVERY_S = 1.0

# Whether all is well, looked at from another thread.
Well = Callable[[], bool]


def end(reason: str) -> None:
    """Ends the process at once: what wedged it would wedge an orderly end too."""
    logger.critical("wedged: %s; ending with exit code %d", reason, WEDGED)
    os._exit(WEDGED)


class Watchdog:
    """Looks at named signs of life from `start` to `close`; one that was bad too long ends it."""

    def __init__(
        self, signs: dict[str, Well], limit_s: float, ended: Callable[[str], None] = end
    ) -> None:
        self._signs = signs
        self._limit_s = limit_s
        self._ended = ended
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        since: dict[str, float] = {}
        last_s = time.monotonic()
        while not self._closing.wait(min(EVERY_S, self._limit_s / 4)):
            now_s = time.monotonic()
            if now_s - last_s > self._limit_s:
                # The whole process stood still (SIGSTOP): nobody could have given a sign.
                since.clear()
            last_s = now_s
            for name, well in self._signs.items():
                if well():
                    since.pop(name, None)
                elif now_s - since.setdefault(name, now_s) > self._limit_s:
                    self._ended(f"{name} for {self._limit_s:g} s")
                    return
