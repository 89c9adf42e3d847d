"""What makes the output, as one short digest: part of every object's name (TRN-11).

Output names follow from inputs, so whatever can change a byte of an output must be in here: the
libraries, and x264, which FFmpeg's version does not tell. Our own recipe is the planner's to count.
This module must never name the machine or the day: two workers alike must agree.
"""

import hashlib
import re
from fractions import Fraction

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media.segments import open_encoder_container

_DIGEST_HEX = 12
_X264_SAYS = re.compile(rb"x264 - core \d+ [\x21-\x7e]*")


def toolchain() -> str:
    """Short hexadecimal digest of all tools."""
    return hashlib.sha256("\n".join(tools()).encode()).hexdigest()[:_DIGEST_HEX]


def tools() -> tuple[str, ...]:
    """PyAV, FFmpeg, x264 and FFmpeg's libraries, each with its version."""
    libraries = (f"{name} {version}" for name, version in sorted(av.library_versions.items()))
    return (f"av {av.__version__}", av.ffmpeg_version_info, encoder_version(), *libraries)


def encoder_version() -> str:
    """What x264 calls itself, read from the message it puts into the first frame it encodes."""
    container = open_encoder_container()
    stream = container.add_stream("libx264", rate=1, options={"preset": "ultrafast"})
    assert isinstance(stream, VideoStream), "libx264 is video"
    stream.width = stream.height = 16
    stream.codec_context.thread_count = 1
    frame = VideoFrame(16, 16, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts, frame.time_base = 0, Fraction(1)
    packets = [*stream.encode(frame), *stream.encode(None)]
    container.close()
    said = _X264_SAYS.search(b"".join(bytes(packet) for packet in packets))
    assert said is not None, "x264 signs its first frame"
    return said.group().decode("ascii")
