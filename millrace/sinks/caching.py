"""How long caches may keep an object: what the edge answers and what is stored beside the bytes.

It must never let a cache keep for long what changes.
"""

import random

# Playlists grow by a segment every few seconds; the spread keeps caches from asking in step.
MUTABLE_MIN_S = 1
MUTABLE_MAX_S = 3
IMMUTABLE = "public, max-age=31536000, immutable"


def cache_control(mutable: bool) -> str:
    """The value of Cache-Control: a year for what never changes, else a few seconds (PLY-3)."""
    if not mutable:
        return IMMUTABLE
    return f"public, max-age={random.randint(MUTABLE_MIN_S, MUTABLE_MAX_S)}"
