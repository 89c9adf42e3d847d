"""What the chunked ladder costs beside one ordinary ffmpeg process that makes the same rungs.

60 s of 1080p at 30 fps, four rungs, and AAC. Ours: probe, cut, one task for each chunk and group,
one process a core. Theirs: one decode, split and scale, the same encoder settings and keyframes.
Pairs are interleaved, children's CPU time is counted, and other load on the machine is noted.
It must never be read as a figure of quality: both sides spend the same bits by the same rules.

Needs `ffmpeg` on the path: the product does not, but there is nothing fairer to compare with.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from millrace.processors.ladder import LadderPolicy, plan
from millrace.processors.media.audio import encode_audio
from millrace.processors.media.cut import cut
from millrace.processors.media.encode import encode
from millrace.processors.media.probe import Limits, Probed, probe
from millrace.processors.media.repeat import repeat
from millrace.schemas.events import Rung

CLIP = Path("var/clips/bigbuckbunny.mp4")
COPIES = 12
SECONDS = 60
PAIRS = 5
RUNGS = ("240p", "480p", "720p", "1080p")
AUDIO_BPS = 128_000
WORKERS = os.cpu_count() or 1


def make_source(clip: Path, path: Path) -> None:
    """Write SECONDS of 1080p at 30 fps with sound from copies of a clip."""
    long = path.with_name("long.mp4")
    repeat(clip, long, COPIES)
    graph = f"[0:v]scale=1920:1080,fps=30,trim=end={SECONDS}[v];[0:a]atrim=end={SECONDS}[a]"
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "60", "-c:a", "aac"]
    _ffmpeg(
        [
            "-i",
            str(long),
            "-filter_complex",
            graph,
            "-map",
            "[v]",
            "-map",
            "[a]",
            *encoder,
            str(path),
        ]
    )


def encode_ladder(source: Path, rungs: tuple[Rung, ...], out_dir: Path) -> None:
    """The whole way of a video through the media work, spread over a process a core."""
    probed = probe(source, Limits())
    assert probed.video is not None
    planned = plan(probed.video, probed.audio, "", "", LadderPolicy())
    groups = [tuple(rung for rung in rungs if rung.group == group) for group in (0, 1)]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        results: list[Future[Any]] = [pool.submit(_encode_audio, source, probed, out_dir)]
        for chunk in cut(source, probed.video, planned.grid, out_dir):
            for group in groups:
                chunk_dir = out_dir / str(chunk.range.number)
                work = (chunk.path, probed.video, planned.grid, chunk.range, group, chunk_dir)
                results.append(pool.submit(encode, *work))
        for result in results:
            result.result()


def ffmpeg_ladder(source: Path, rungs: tuple[Rung, ...], out_dir: Path) -> None:
    """The same rungs by one process, as a person would ask for them."""
    names = [f"[v{n}]" for n in range(len(rungs))]
    graph = f"[0:v]split={len(rungs)}" + "".join(f"[s{n}]" for n in range(len(rungs)))
    for n, rung in enumerate(rungs):
        graph += f";[s{n}]scale={rung.width}:{rung.height}[v{n}]"
    arguments = ["-i", str(source), "-filter_complex", graph]
    for name, rung in zip(names, rungs, strict=True):
        arguments += ["-map", name, "-c:v", rung.codec, "-preset", rung.preset]
        arguments += ["-crf", str(rung.crf), "-maxrate", str(rung.maxrate_bps)]
        arguments += ["-bufsize", str(rung.bufsize_bits), "-sc_threshold", "0"]
        arguments += ["-force_key_frames", "expr:gte(t,n_forced*2)"]
        arguments += [str(out_dir / f"{rung.name}.mp4")]
    sound = ["-map", "0:a", "-c:a", "aac", "-ar", "48000", "-b:a", str(AUDIO_BPS)]
    _ffmpeg([*arguments, *sound, str(out_dir / "sound.mp4")])


def measure(pairs: int = PAIRS) -> dict[str, Any]:
    """Ratios of CPU and wall time, ours to theirs: median, lowest and highest of `pairs`."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source.mp4"
        make_source(CLIP, source)
        probed = probe(source, Limits())
        ladder = plan(probed.video, probed.audio, "", "", LadderPolicy()).rungs
        rungs = tuple(rung for rung in ladder if rung.name in RUNGS)
        assert tuple(rung.name for rung in rungs) == RUNGS
        rows: list[dict[str, Any]] = []
        for _ in range(pairs):
            load = os.getloadavg()[0]
            ours = timed(encode_ladder, source, rungs, Path(scratch))
            theirs = timed(ffmpeg_ladder, source, rungs, Path(scratch))
            rows.append({"load_before": load, "ours": ours, "ffmpeg": theirs})
    ratios = {
        what: [row["ours"][what] / row["ffmpeg"][what] for row in rows]
        for what in ("cpu_seconds", "wall_seconds")
    }
    return {
        "source_seconds": SECONDS,
        "rungs": RUNGS,
        "workers": WORKERS,
        "ffmpeg": _ffmpeg(["-version"]).split("\n", 1)[0],
        "ratios": {what: spread(values) for what, values in ratios.items()},
        "pairs": rows,
    }


def _encode_audio(source: Path, probed: Probed, out_dir: Path) -> None:
    grid = plan(probed.video, probed.audio, "", "", LadderPolicy()).grid
    track, length = probed.audio[0], probed.duration_ms
    encode_audio(source, track, probed.video, grid, length, AUDIO_BPS, out_dir / "audio")


def timed(
    ladder: Callable[[Path, tuple[Rung, ...], Path], None],
    source: Path,
    rungs: tuple[Rung, ...],
    scratch: Path,
) -> dict[str, float]:
    """CPU seconds of this process and its ended children, and wall seconds."""
    with tempfile.TemporaryDirectory(dir=scratch) as out_dir:
        cpu_before, wall_before = _cpu_seconds(), time.monotonic()
        ladder(source, rungs, Path(out_dir))
        cpu, wall = _cpu_seconds() - cpu_before, time.monotonic() - wall_before
    return {"cpu_seconds": round(cpu, 2), "wall_seconds": round(wall, 2)}


def _cpu_seconds() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest of several measurements."""
    median = statistics.median(values)
    named = {"median": median, "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


def _ffmpeg(arguments: list[str]) -> str:
    program = shutil.which("ffmpeg")
    assert program is not None, "this benchmark compares with ffmpeg: install it"
    command = [program, "-hide_banner", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
