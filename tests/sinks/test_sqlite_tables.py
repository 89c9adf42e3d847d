"""What SQLite's tables do beyond their port: a full disk, a restart, many threads."""

import threading
from pathlib import Path

import pytest

from millrace.sinks.ports import Column, Row, StoreBusy, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.door_client import Clock, full_disk

TABLE = Table("notes", (Column("id", "text"),), (), (Column("text", "text"),))


def make_row(number: int, offset: int = 1, text: str = "") -> Row:
    return Row({"id": f"{number:06d}", "text": text}, Version(1, offset))


def test_a_full_disk_is_said_writes_nothing_and_goes_on_with_space(tmp_path: Path) -> None:
    tables = SqliteTables(tmp_path / "tables.sqlite", Clock().now_ms)
    tables.create([TABLE])
    tables.upsert(TABLE, [make_row(0, text="kept")])
    many = [make_row(number, text="x" * 1000) for number in range(1, 2000)]
    # SQLite calls a limit on file size an I/O error, and only a disk without space full.
    with full_disk(500_000), pytest.raises(StoreBusy):
        tables.upsert(TABLE, many)
    assert [row.values["text"] for row in tables.scan(TABLE)] == ["kept"]
    tables.upsert(TABLE, many)
    assert len(list(tables.scan(TABLE))) == 2000
    tables.close()


def test_rows_are_there_after_a_restart(tmp_path: Path) -> None:
    first = SqliteTables(tmp_path / "tables.sqlite", Clock().now_ms)
    first.create([TABLE])
    first.upsert(TABLE, [make_row(1, text="kept")])
    digest = first.digest(TABLE)
    first.close()
    second = SqliteTables(tmp_path / "tables.sqlite", Clock().now_ms)
    second.create([TABLE])
    assert second.digest(TABLE) == digest
    second.close()


@pytest.mark.parametrize("in_memory", [False, True])
def test_threads_read_whole_rows_while_others_write(tmp_path: Path, in_memory: bool) -> None:
    path = None if in_memory else tmp_path / "tables.sqlite"
    tables = SqliteTables(path, Clock().now_ms)
    tables.create([TABLE])
    wrong: list[object] = []

    def write() -> None:
        for offset in range(40):
            tables.upsert(TABLE, [make_row(number, offset, str(offset)) for number in range(5)])

    def read() -> None:
        for _ in range(100):
            row = tables.get(TABLE, ("000003",))
            if row is not None and row.values["text"] != str(row.version.offset):
                wrong.append(row)

    threads = [threading.Thread(target=run) for run in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [row.version.offset for row in tables.scan(TABLE)] == [39] * 5
    tables.close()
