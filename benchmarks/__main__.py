"""`make bench`: every benchmark, and what came of it in docs/benchmarks.json and .md.

`python -m benchmarks NAME...` runs some and keeps the other figures as they are.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks import engine, gateway, kafka, pipeline, takeover

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
MEASURES: dict[str, Callable[[], dict[str, Any]]] = {
    "pipeline": pipeline.measure,
    "engine": engine.measure,
    "gateway": gateway.measure,
    "kafka": kafka.measure,
    "takeover": takeover.measure,
}
# What is promised of a ratio: at most, or at least, so much.
BOUNDS = {"published_wall": 1.15, "published_cpu": 1.15, "playable_wall": 0.10}


def machine() -> str:
    memory_gib = psutil.virtual_memory().total >> 30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory_gib} GiB"


def main(names: list[str]) -> None:
    figures = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    for name in names or list(MEASURES):
        load = os.getloadavg()[0]
        print(f"measuring {name} (load {load:.1f})", file=sys.stderr)
        figures[name] = {"machine": machine(), "load_before": load, **MEASURES[name]()}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    PAGE.write_text(page(figures))


def page(figures: dict[str, Any]) -> str:
    """docs/benchmarks.md from the figures."""
    lines = [
        "<!-- Generated from docs/benchmarks.json by `make bench`. Do not edit. -->",
        "# Benchmarks",
        "",
        "Ratios of pairs that took turns in one run: median (lowest to highest). Machines like",
        "these are noisy; absolute figures are only here to be compared with their neighbours.",
        "What each measures is the docstring of its module in `benchmarks/`.",
    ]
    for name, section in (("pipeline", pipeline_page), ("engine", engine_page)):
        if name in figures:
            lines += section(figures[name])
    if "gateway" in figures:
        lines += gateway_page(figures["gateway"])
    if "kafka" in figures:
        lines += kafka_page(figures["kafka"])
    if "takeover" in figures:
        lines += takeover_page(figures["takeover"])
    return "\n".join(lines) + "\n"


def head(title: str, found: dict[str, Any]) -> list[str]:
    where = f"{found['machine']}; load before: {found['load_before']:.1f}."
    return ["", f"## {title}", "", where, ""]


def spread(found: dict[str, float]) -> str:
    return f"{found['median']:g} ({found['lowest']:g} to {found['highest']:g})"


def pipeline_page(found: dict[str, Any]) -> list[str]:
    what = {
        "published_wall": "upload done to published / ffmpeg's wall time",
        "published_cpu": "CPU of server and workers / ffmpeg's CPU",
        "playable_wall": "upload done to playable / ffmpeg's wall time",
    }
    rungs = ", ".join(found["rungs"])
    lines = head("A video's way, beside one ffmpeg process", found)
    lines += [f"{found['source_seconds']} s of 1080p; rungs {rungs}; {len(found['pairs'])} pairs."]
    lines += ["", "| ratio | found | bound |", "|---|---|---|"]
    for name, ratio in found["ratios"].items():
        lines.append(f"| {what[name]} | {spread(ratio)} | {BOUNDS[name]:.2f} |")
    return lines


def engine_page(found: dict[str, Any]) -> list[str]:
    lines = head("The embedded engine", found)
    lines += ["| keyed counter, durable, journal on | folds a wall second | folds a CPU second |"]
    lines += ["|---|---|---|"]
    for name, rates in found["folds_a_second"].items():
        lines.append(f"| {name} | {spread(rates['wall'])} | {spread(rates['cpu'])} |")
    lines += ["", "| one record alone | p50 | p99 |", "|---|---|---|"]
    for name, text in (("acknowledged_ms", "acknowledged"), ("visible_ms", "its row visible")):
        lines.append(f"| {text} | {found[name]['p50']} ms | {found[name]['p99']} ms |")
    return lines


def gateway_page(found: dict[str, Any]) -> list[str]:
    what = {
        "bare": "bare aiohttp, which answers 202 and keeps nothing",
        "kafka": "gateway on Kafka and Redis",
        "embedded": "`millrace up`, which folds them too",
    }
    lines = head("The gateway's acknowledged appends, beside bare aiohttp", found)
    lines += [f"{found['connections']} connections, {found['requests']} requests a run."]
    lines += [
        "",
        "| server | answers a second | CPU us a request | its rate / bare | bare's CPU / its |",
    ]
    lines += ["|---|---|---|---|---|"]
    for name, side in found["sides"].items():
        kinds = ("hz", "cpu_us", "wall_to_bare", "cpu_to_bare")
        lines.append(f"| {what[name]} | " + " | ".join(spread(side[kind]) for kind in kinds) + " |")
    return lines


def kafka_page(found: dict[str, Any]) -> list[str]:
    folds, recovery = found["folds"], found["recovery"]
    lines = head("Folds on Kafka, beside a stock Faust agent with a table", found)
    lines += ["| exactly once, one partition | CPU us a record | Faust's CPU / its | at least |"]
    lines += ["|---|---|---|---|"]
    lines.append(f"| stock Faust, at least once | {spread(folds['cpu_us']['faust'])} | 1 | |")
    for name, ratio in folds["faust_to"].items():
        kind, batch = name.split("_")
        what = {"raw": "raw transactional loop", "declared": "declared fold"}[kind]
        cpu, bound = spread(folds["cpu_us"][name]), {"raw": 20, "declared": 10}[kind]
        lines.append(f"| {what}, batches of {batch} | {cpu} | {spread(ratio)} | {bound} |")
    keys, rate = recovery["keys"], spread(recovery["rate_to_read"])
    lines += ["", f"Recovery of {keys} keys, its rate / only reading: {rate} (at least 0.4)."]
    return lines


def takeover_page(found: dict[str, Any]) -> list[str]:
    lines = head("A worker of folds killed", found)
    still, ratio = spread(found["stood_still_s"]), spread(found["to_session"])
    session = f"{found['session_s']:g} s"
    lines.append(f"Its partitions stood still for {still} s of a session timeout of {session}:")
    return [*lines, f"{ratio} (at most 1.5)."]


if __name__ == "__main__":
    main(sys.argv[1:])
