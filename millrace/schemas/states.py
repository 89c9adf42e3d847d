"""The states of a video and the moves between them (OPS-1); every other move is refused."""

from typing import Literal

State = Literal[
    "UPLOADING", "UPLOADED", "PROCESSING", "READY", "FAILED", "BLOCKED", "DELETED", "EXPIRED"
]

# BLOCKED goes back to where the video was; DELETED and EXPIRED are the end.
MOVES: dict[State, frozenset[State]] = {
    "UPLOADING": frozenset({"UPLOADED", "FAILED", "EXPIRED", "DELETED"}),
    "UPLOADED": frozenset({"PROCESSING", "FAILED", "BLOCKED", "DELETED"}),
    "PROCESSING": frozenset({"READY", "FAILED", "BLOCKED", "DELETED"}),
    "READY": frozenset({"BLOCKED", "DELETED"}),
    "FAILED": frozenset({"PROCESSING", "DELETED"}),
    "BLOCKED": frozenset({"UPLOADED", "PROCESSING", "READY", "FAILED", "DELETED"}),
    "DELETED": frozenset(),
    "EXPIRED": frozenset(),
}


def may_move(before: State, after: State) -> bool:
    return after in MOVES[before]
