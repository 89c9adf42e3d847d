"""Builders of what many tests hand in: whole and ordinary, but for what the test is about."""

from dataclasses import replace
from typing import Any

from millrace.schemas.events import UploadStarted, VideoTrack

VIDEO = "a" * 32
UPLOAD = "b" * 32
DAY_MS = 86_400_000


def make_video_track(**overrides: Any) -> VideoTrack:
    """Twenty seconds of 1080p at 25 frames a second with a keyframe every two seconds."""
    track = VideoTrack(
        stream_index=0,
        codec="h264",
        width=1920,
        height=1080,
        rotation_deg=0,
        sar_num=1,
        sar_den=1,
        rate_num=25,
        rate_den=1,
        constant_rate=True,
        time_base_num=1,
        time_base_den=1000,
        start_pts=0,
        end_pts=20_000,
        frames=500,
        gop_ms_max=2_000,
        reorder_pts=0,
        pixel_format="yuv420p",
        color_primaries="bt709",
        color_transfer="bt709",
        color_matrix="bt709",
        color_range="tv",
        field_order="progressive",
    )
    return replace(track, **overrides)


def make_upload_started(**overrides: Any) -> UploadStarted:
    """An upload of a day's time, in one part; its keys are named for its video and session."""
    started = UploadStarted(
        video_id=VIDEO,
        upload_id=UPLOAD,
        creator_id="creator",
        title="A title",
        description="",
        tags=(),
        visibility="public",
        content_type="video/mp4",
        size_bytes=40_000,
        sha256=None,
        priority="normal",
        passthrough="",
        file_name="a.mp4",
        object_key=f"originals/{VIDEO}/{UPLOAD}",
        multipart_id="multipart",
        part_size_bytes=8 << 20,
        parts=1,
        expires_at_ms=DAY_MS,
    )
    return replace(started, **overrides)
