"""Opening and reading an original: the boundary behind which every file is hostile (ING-8).

Whatever PyAV raises is turned into `Refused` here: of 1500 mutated files 25 raised something that
is no FFmpegError (measured), so the boundary catches `Exception`, running out of memory too:
demuxing needs little, so it is a header that asks for gigabytes. It must never let a demuxer be
chosen that opens other files or addresses (playlists, concatenations, image sequences): a text
file named video.mp4 would read the server's disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Stream

from millrace.processors.media.failures import Refused

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts"
"""Demuxers that may be chosen, by FFmpeg's names: MP4, MOV, Matroska, WebM, MPEG-TS."""


PROBE_BYTES_MAX = 32 * 1024 * 1024
"""So much of a file may be read to learn what its streams are, however long it plays. FFmpeg's own
five seconds end before the first picture where sound lies far ahead: then a Matroska's decode
timestamps are guessed wrong and a transport stream's pictures have no size (measured)."""

_OPTIONS = {
    "format_whitelist": FORMATS,
    "protocol_whitelist": "file",
    "probesize": str(PROBE_BYTES_MAX),
    "analyzeduration": str(60 * 60 * 1_000_000),
}

# A packet of a stream of any kind; the class is generic in PyAV's stubs only.
if TYPE_CHECKING:
    Packet = av.Packet[Any]
else:
    Packet = av.Packet


def decoder_of(stream: Stream) -> CodecContext | None:
    """The stream's decoder, None where this build of FFmpeg has none (PyAV's types deny it)."""
    return cast("CodecContext | None", stream.codec_context)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The container at `path`, closed afterwards.

    Raises Refused `empty_file` or `not_a_video`; OSError where the file itself can't be read,
    which says nothing about the source.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise Refused("empty_file", "The file is empty.")
    try:
        container = av.open(str(path), options=_OPTIONS)
    except Exception as error:
        raise Refused(
            "not_a_video",
            "The file is not a video that can be read, or its beginning or end is missing; "
            "MP4, MOV, MKV, WebM and MPEG-TS files can.",
        ) from error
    with container:
        yield container


def packets(container: InputContainer, *stream_indices: int) -> Iterator[Packet]:
    """Packets in the container's order, of all streams or of the given ones, without flushes.

    Raises Refused `truncated` where the container breaks off.
    """
    streams = [container.streams[index] for index in stream_indices]
    demuxed = container.demux(streams) if streams else container.demux()
    while True:
        try:
            packet = next(demuxed, None)
        except Exception as error:
            raise Refused(
                "truncated", "The file breaks off or is damaged: a part of the video is missing."
            ) from error
        if packet is None:
            return
        if packet.size or packet.dts is not None:
            yield packet


def is_transport_stream(container: InputContainer) -> bool:
    """MPEG-TS has no header to hold against its packets, and damage inside is its daily life."""
    return container.format.name == "mpegts"


def is_hidden(container: InputContainer, codec: str, packet: Packet) -> bool:
    """Whether the packet's frame has a timestamp but is never shown.

    Edit lists hide frames (discard flag, timestamps below 0). In MPEG-TS timestamps below 0 only
    mean that the clock wrapped, and a damaged packet may or may not decode, so that it is hidden
    in any case. VP8 has frames that are only looked at by others: bit 4 of the first byte is 0.
    """
    if packet.is_discard:
        return True
    if is_transport_stream(container):
        return packet.is_corrupt
    if codec == "vp8" and packet.size and not bytes(packet)[0] & 0x10:
        return True
    return packet.pts is not None and packet.pts < 0
