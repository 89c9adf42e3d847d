"""Packets in decode order: their missing decode timestamps, and the facts about a whole track.

Pure arithmetic over timestamps. It must never see a packet's bytes.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from millrace.processors.media.failures import Refused


def broken_timestamps() -> Refused:
    return Refused(
        "broken_timestamps",
        "The file's timestamps are missing or run backwards, "
        "so its pictures can't be put in order.",
    )


def leading_dts(pts: Sequence[int], dts_after: int | None, reorder_pts: int) -> list[int]:
    """Decode timestamps of the first packets, which Matroska leaves out.

    `pts` are theirs in decode order, `dts_after` the first one that the container gives (None
    where it gives none at all), `reorder_pts` the largest reorder delay of the track. They are the
    sorted timestamps minus the delay (measured to be exact), each at least one below the next.
    """
    ordered = sorted(pts)
    delay = max([reorder_pts, *(late - own for late, own in zip(ordered, pts, strict=True))])
    dts = [value - delay for value in ordered]
    limit = dts_after
    for index in reversed(range(len(dts))):
        if limit is not None:
            dts[index] = min(dts[index], limit - 1)
        limit = dts[index]
    return dts


def increasing_dts(before: int | None, dts: int | None) -> int | None:
    """`dts`, moved up where it does not increase, as demuxers that derive it let it stand still.

    Where it is missing after another it is the next one possible. The result is good as long as it
    is not after the packet's own pts: then no later frame is shown before it either, which is all
    that a decode timestamp has to say.
    """
    if before is None:
        return dts
    return before + 1 if dts is None else max(dts, before + 1)


@dataclass(slots=True)
class TrackFacts:
    """What one pass over the packets of a video track shows; feed `add` in decode order.

    Timestamps are in the track's time base. `shown` holds the timestamps of shown frames as they
    come; `keys` those of keyframes, hidden ones too; `reorder_pts` is the largest pts minus dts.
    """

    shown: "array[int]" = field(default_factory=lambda: array("q"))
    keys: "array[int]" = field(default_factory=lambda: array("q"))
    reorder_pts: int = 0
    last_pts: int = 0
    last_duration: int = 0
    _dts: int | None = None

    def add(self, pts: int | None, dts: int | None, duration: int, key: bool, hidden: bool) -> None:
        """Take note of a packet. Raises Refused `broken_timestamps`.

        What comes before the first keyframe, and what is shown before it but comes after (the
        leading pictures of an open GOP), can't be decoded and is no part of the video.
        """
        if not self.keys and not key:
            return
        if pts is None:
            raise broken_timestamps()
        dts = increasing_dts(self._dts, dts)
        if dts is not None:
            self._dts = dts
            if dts > pts:
                raise broken_timestamps()
            self.reorder_pts = max(self.reorder_pts, pts - dts)
        if key:
            self.keys.append(pts)
        if hidden or pts < self.keys[0]:
            return
        self.shown.append(pts)
        if pts >= self.last_pts or len(self.shown) == 1:
            self.last_pts, self.last_duration = pts, duration

    def key_distance_max(self, end_pts: int) -> int:
        """Longest way from a keyframe to the next one, or to the end."""
        borders = sorted({*self.keys, end_pts})
        return max((two - one for one, two in pairwise(borders)), default=0)
