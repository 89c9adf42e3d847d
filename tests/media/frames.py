"""Every frame of a file as (timestamp, digest of its pixels): what exactness is measured by."""

from collections.abc import Iterator
from fractions import Fraction
from hashlib import md5
from pathlib import Path

import av

from millrace.processors.media.cut import CutChunk
from millrace.schemas.events import VideoTrack

Frame = tuple[int, str]


def decoded(path: Path, time_base: Fraction | None = None) -> Iterator[Frame]:
    """All frames that a decoder shows of the file's picture, in `time_base`, else in its own."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            pts = frame.pts * frame.time_base / (time_base or frame.time_base)
            assert pts.denominator == 1, "a chunk file lost precision"
            yield pts.numerator, md5(frame.to_ndarray().tobytes()).hexdigest()


def kept(chunk: CutChunk, track: VideoTrack) -> list[Frame]:
    """The frames that a worker keeps of a chunk file, with the source's timestamps."""
    span = chunk.range
    time_base = Fraction(track.time_base_num, track.time_base_den)
    shifted = ((pts - span.shift_pts, digest) for pts, digest in decoded(chunk.path, time_base))
    return [
        (pts, digest)
        for pts, digest in shifted
        if span.lo_pts <= pts
        and (span.hi_pts is None or pts < span.hi_pts)
        and pts not in span.hidden_pts
    ]
