"""The watchdog: what stands still too long ends the process, and nothing else does."""

import subprocess
import sys
import threading

from millrace.streams.kafka.watchdog import WEDGED, Watchdog

PROGRAM = """
import sys, time
sys.path[:] = {path!r}
from millrace.streams.kafka.watchdog import Watchdog
Watchdog({{"asleep": lambda: False}}, 0.2).start()
time.sleep(30)
"""


def test_a_process_without_a_sign_of_life_ends_with_the_code_that_asks_for_another() -> None:
    program = PROGRAM.format(path=sys.path)
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    assert done.returncode == WEDGED == 75


def test_a_sign_that_comes_back_in_time_ends_nothing() -> None:
    ended: list[str] = []
    looked = threading.Event()
    answers = iter([False, False, True] * 4)

    def well() -> bool:
        answer = next(answers, None)
        if answer is None:
            looked.set()
        return answer is not False

    dog = Watchdog({"slow": well}, 0.4, ended.append)
    dog.start()
    assert looked.wait(10)
    dog.close()
    assert ended == []


def test_the_sign_that_was_bad_too_long_is_named() -> None:
    ended: list[str] = []
    told = threading.Event()

    def end(reason: str) -> None:
        ended.append(reason)
        told.set()

    dog = Watchdog({"fine": lambda: True, "in no group": lambda: False}, 0.2, end)
    dog.start()
    assert told.wait(10)
    dog.close()
    assert ended == ["in no group for 0.2 s"]
