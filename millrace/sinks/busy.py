"""Tells a busy dependency from a bug: which errors of the disk and of SQLite mean "later".

It must never turn an unknown error into StoreBusy: that one is a bug and has to be seen.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.sinks.ports import StoreBusy, StoreFull

# EFBIG is a limit on file size, set by the machine's owner: it goes on when that is lifted.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BUSY = {errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS}
# The engine's store has the same two sets; a test holds them together.
_SQLITE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_SQLITE_BUSY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
}


@contextmanager
def busy_errors() -> Iterator[None]:
    """Raises StoreFull or StoreBusy for what the disk or SQLite says of itself."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(str(error)) from error
        if error.errno in _BUSY:
            raise StoreBusy(str(error)) from error
        raise
    except sqlite3.OperationalError as error:
        code = error.sqlite_errorcode & 0xFF  # without the extended part
        if error.sqlite_errorcode in _SQLITE_FULL:
            raise StoreFull(str(error)) from error
        if code in _SQLITE_BUSY:
            raise StoreBusy(str(error)) from error
        raise
