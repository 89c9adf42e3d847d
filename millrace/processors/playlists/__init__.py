"""Playlists as values: HLS and DASH text to frozen dataclasses and back, and a video's whole set.

Why it exists: what players are told is decided here, from the plan and exact durations in ticks,
and can be read back and compared. It must never do I/O or know where an object is stored.

HLS: RFC 8216 (datatracker.ietf.org/doc/html/rfc8216). DASH: ISO/IEC 23009-1
(standards.iso.org/ittf/PubliclyAvailableStandards), schema at github.com/MPEGGroup/DASHSchema.
"""
