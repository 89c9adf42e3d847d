"""The filter graph of an encode: one decoded picture in, one picture for every rung out.

One decode feeds all rungs of a group; each rung is scaled from the next larger one (TRN-3). What
the source says about itself (colour, rotation, fields) comes from the track, never from the chunk
file: NUT loses it. This module must never change how many frames there are.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from av.error import BlockingIOError as AgainError
from av.error import EOFError as EndError
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from millrace.schemas.events import Rung, VideoTrack

_UNTAGGED = ("unknown", "unspecified", "reserved", "")
_SD_LINES_MAX = 576
"""Untagged sources are BT.601 up to so many lines, else BT.709, as every player assumes."""

_WIDE_PRIMARIES = ("bt2020",)
_WIDE_TRANSFERS = ("smpte2084", "arib-std-b67")
_TONE_MAP = "out_primaries=bt709:out_transfer=bt709:intent=perceptual"
"""PQ of 1/100/203/1000/4000 nits becomes luma 34/126/149/194/221; hable clips at 203 nits."""

_ROTATIONS: dict[int, tuple[tuple[str, str | None], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "cclock"),),
}
_FILTER_THREADS = 1
"""One worker process a core, and no thread beside it: 0.96 of one ffmpeg's CPU, against 1.36."""


class LadderGraph:
    """A configured graph for pictures like `like`.

    `rungs` are lowest first, as in the request. Frames go in by `push` with their tick and come
    out by `pull` as (index of the rung, tick, frame).
    """

    def __init__(
        self, track: VideoTrack, rungs: Sequence[Rung], like: VideoFrame, time_base: Fraction
    ) -> None:
        self._time_base = time_base
        self.shape = shape_of(like)
        # Nodes do not keep their graph alive; a freed graph is a crash at the next push.
        self._graph = graph = Graph()
        graph.threads = _FILTER_THREADS
        self._source = graph.add("buffer", _buffer_arguments(like, time_base))
        node = _append(graph, self._source, "setparams", _tags(track, like))
        if track.field_order != "progressive":
            parity = "tff" if track.field_order in ("tt", "bt") else "bff"
            node = _append(graph, node, "bwdif", f"mode=send_frame:parity={parity}:deint=all")
        self._sinks = _add_rungs(graph, node, track, rungs)
        graph.configure()

    def push(self, frame: VideoFrame, tick: int) -> None:
        """Put a decoded frame in."""
        frame.pts = tick
        frame.time_base = self._time_base
        self._source.push(frame)

    def finish(self) -> None:
        """Say that no frame follows; `pull` then gives what filters held back."""
        self._source.push(None)

    def pull(self) -> Iterator[tuple[int, int, VideoFrame]]:
        """Yield everything that is ready."""
        for index, sink in self._sinks:
            while (frame := _take(sink)) is not None:
                assert frame.pts is not None, "filters keep time"
                assert frame.time_base is not None, "filters keep time"
                tick = frame.pts * frame.time_base / self._time_base
                assert tick.denominator == 1, "filters keep ticks"
                frame.pts = tick.numerator
                frame.time_base = self._time_base
                yield index, tick.numerator, frame


def shape_of(frame: VideoFrame) -> tuple[int, int, str]:
    """What a graph is configured for: a source that changes it half-way gets a new graph."""
    return frame.width, frame.height, frame.format.name


def is_wide(track: VideoTrack) -> bool:
    """True for HDR and wide gamut, which are mapped to BT.709 and not only relabelled."""
    return track.color_transfer in _WIDE_TRANSFERS or track.color_primaries in _WIDE_PRIMARIES


def _add_rungs(
    graph: Graph, node: FilterContext, track: VideoTrack, rungs: Sequence[Rung]
) -> list[tuple[int, FilterContext]]:
    """Scale to the largest rung, turn it upright there, and go down from rung to rung."""
    sinks: list[tuple[int, FilterContext]] = []
    for index in reversed(range(len(rungs))):
        rung = rungs[index]
        if index == len(rungs) - 1:
            node = _append(graph, node, "scale", _first_scale(track, rung))
            for name, argument in _ROTATIONS[track.rotation_deg]:
                node = _append(graph, node, name, argument)
            node = _append(graph, node, "setsar", "1")
        else:
            node = _append(graph, node, "scale", f"{rung.width}:{rung.height}")
        node = _append(graph, node, "format", "yuv420p")
        sink = graph.add("buffersink")
        if index == 0:
            node.link_to(sink)
        else:
            node = _append(graph, node, "split", "2")
            node.link_to(sink, output_idx=1)
        sinks.append((index, sink))
    return sinks


def _first_scale(track: VideoTrack, rung: Rung) -> str:
    """Scale to the rung before the picture is turned, and to BT.709 limited with it."""
    width, height = rung.width, rung.height
    if track.rotation_deg in (90, 270):
        width, height = height, width
    scale = f"{width}:{height}:out_color_matrix=bt709:out_range=tv"
    return f"{scale}:{_TONE_MAP}" if is_wide(track) else scale


def _tags(track: VideoTrack, like: VideoFrame) -> str:
    """Arguments of setparams: what the track says of its colour, with the rule for untagged."""
    lines = min(track.width, track.height)
    assumed = "smpte170m" if lines <= _SD_LINES_MAX else "bt709"
    full = like.format.name.startswith("yuvj") or track.color_range == "pc"
    tags = {"range": "pc" if full or like.format.is_rgb else "tv"}
    if not like.format.is_rgb:
        tags["colorspace"] = _or(track.color_matrix, assumed)
    tags["color_primaries"] = _or(track.color_primaries, assumed)
    tags["color_trc"] = _or(track.color_transfer, assumed)
    return ":".join(f"{name}={value}" for name, value in tags.items())


def _or(tag: str, assumed: str) -> str:
    return assumed if tag in _UNTAGGED else tag


def _buffer_arguments(like: VideoFrame, time_base: Fraction) -> str:
    return (
        f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}"
        f":time_base={time_base.numerator}/{time_base.denominator}"
        f":colorspace={int(like.colorspace)}:range={int(like.color_range)}"
    )


def _append(graph: Graph, node: FilterContext, name: str, arguments: str | None) -> FilterContext:
    added = graph.add(name, arguments)
    node.link_to(added)
    return added


def _take(sink: FilterContext) -> VideoFrame | None:
    try:
        frame = sink.pull()
    except (AgainError, EndError):
        return None
    assert isinstance(frame, VideoFrame), "a video graph gives video"
    return frame
