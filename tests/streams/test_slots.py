"""How many workers a kind of work may hold."""

from millrace.streams.sources import WHOLE_FILE_TIMEOUT_S
from millrace.streams.topologies import TOPOLOGIES


def test_works_over_whole_files_leave_workers_for_chunks() -> None:
    works = [work for topology in TOPOLOGIES for work in topology.works]
    long = {work.name: work.slots for work in works if work.timeout_s >= WHOLE_FILE_TIMEOUT_S}
    assert long == {"cut": 1, "audio": 1}
