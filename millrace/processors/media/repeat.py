"""Repeats a clip without encoding it, so that a short real clip makes a long real source.

Packets are copied with their timestamps moved; it must never be used on what a creator uploads.
"""

from fractions import Fraction
from pathlib import Path

import av


def repeat(path: Path, out: Path, times: int) -> None:
    """Writes `times` copies of `path`, one after the other, to `out` (MP4).

    Each copy begins where the longest track of the one before it ends. Raises av.FFmpegError where
    the file can't be read.
    """
    with av.open(str(out), "w", format="mp4") as target:
        streams = {}
        with av.open(str(path)) as source:
            for stream in source.streams:
                if stream.type in ("video", "audio"):
                    streams[stream.index] = target.add_stream_from_template(stream)
        start = Fraction(0)
        for _ in range(times):
            end = start
            with av.open(str(path)) as source:
                for packet in source.demux():
                    if packet.stream.index not in streams or packet.dts is None:
                        continue
                    base = packet.time_base
                    shift = round(start / base)
                    last = (packet.pts or 0) + (packet.duration or 0)
                    end = max(end, start + last * base)
                    packet.pts = (packet.pts or 0) + shift
                    packet.dts += shift
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
            start = end
