"""What each transaction folded, in order, so that a replay can repeat exactly what happened.

A fold that reads several topics depends on how they interleaved; nothing else records that. An
entry names the versions of the folds: only stretches of one version can be compared.
"""

from millrace.schemas.events import JournalRun, JournalWritten
from millrace.schemas.topics import JOURNALS
from millrace.streams.declarations import Topology
from millrace.streams.embedded.transaction import Transaction


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

    def write(self, tx: Transaction) -> None:
        """Appends the entry, if anything was folded, and begins the next one."""
        if self._runs:
            runs = tuple(JournalRun(*run) for run in self._runs)
            self._runs = []
            tx.state_fact(
                JOURNALS, JournalWritten(self._topology, self._partition, self._versions, runs)
            )

    def forget(self) -> None:
        self._runs = []
