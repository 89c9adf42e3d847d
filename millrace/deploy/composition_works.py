"""What works are held to, whichever engine runs them."""

from dataclasses import replace
from typing import Any

from millrace.deploy.settings import Settings
from millrace.processors.media.probe import Limits
from millrace.streams.declarations import Topology, Work


def media_limits(settings: Settings) -> Limits:
    """What a source may ask for (ING-8)."""
    return Limits(
        pixels_max=settings.pixels_max,
        frame_rate_max=settings.frame_rate_max,
        duration_ms_max=settings.duration_s_max * 1_000,
    )


def limited(topologies: tuple[Topology, ...], memory_bytes_max: int) -> tuple[Topology, ...]:
    """The same topologies, their works held to the memory that is set."""

    def held(step: Any) -> Any:
        return replace(step, memory_bytes_max=memory_bytes_max) if isinstance(step, Work) else step

    return tuple(replace(one, steps=tuple(map(held, one.steps))) for one in topologies)
