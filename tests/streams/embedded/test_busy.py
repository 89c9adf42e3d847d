"""What SQLite says of itself means the same to the engine's file as to the tables."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from millrace.sinks import busy
from millrace.streams.embedded import store

CODES = sorted(
    {
        getattr(sqlite3, name)
        for name in dir(sqlite3)
        if name.startswith("SQLITE_") and isinstance(getattr(sqlite3, name), int)
    }
)


def verdict(errors: Callable[[], AbstractContextManager[None]], code: int) -> type:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    with pytest.raises(Exception) as raised, errors():
        raise error
    return raised.type


def test_both_files_call_the_same_errors_busy_and_full() -> None:
    tables = {code: verdict(busy.busy_errors, code) for code in CODES}
    engine = {code: verdict(store.busy_errors, code) for code in CODES}
    assert {code: engine[code] for code in CODES if engine[code] != tables[code]} == {}
