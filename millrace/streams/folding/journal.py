"""What each transaction folded, in order, so that a replay can repeat exactly what happened.

A fold that reads several topics depends on how they interleaved; nothing else records that. An
entry names the versions of the folds: only stretches of one version can be compared.
"""

from millrace.schemas import codec, ids
from millrace.schemas.envelope import Envelope
from millrace.schemas.events import JournalRun, JournalWritten
from millrace.schemas.topics import JOURNALS
from millrace.streams.declarations import Topology
from millrace.streams.folding.transaction import FoldTransaction


class Journal:
    """The runs of one topology and partition within the transaction under way."""

    def __init__(self, topology: Topology, partition: int) -> None:
        self._topology = topology.name
        self._partition = partition
        self._versions = tuple(f"{fold.name}={fold.version}" for fold in topology.folds)
        self._runs: list[tuple[str, int, int]] = []

    def folded(self, topic: str, first: int, last: int) -> None:
        """Offsets first to last of the topic were folded."""
        runs = self._runs
        if runs and runs[-1][0] == topic and runs[-1][2] + 1 == first:
            runs[-1] = (topic, runs[-1][1], last)
        else:
            runs.append((topic, first, last))

    def write(self, tx: FoldTransaction) -> None:
        """Appends the entry, if anything was folded, and begins the next one."""
        if not self._runs:
            return
        topic, first, _ = self._runs[0]
        runs = tuple(JournalRun(*run) for run in self._runs)
        self._runs = []
        event = JournalWritten(self._topology, self._partition, self._versions, runs)
        key = JOURNALS.key(event)
        where = (self._topology, str(self._partition), topic, str(first))
        id_ = ids.derive("journal", *where)
        partition = tx.partition_for(JOURNALS.name, key, event)
        tx.put(partition, key, codec.encode(event), event, Envelope(id_, tx.now_ms))

    def forget(self) -> None:
        self._runs = []
