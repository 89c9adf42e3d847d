"""Where the objects of a video lie: who writes them and who asks for their removal must agree.

Chunks are cut for one epoch. Notes say what works have made, for their repeats and for a retry.
"""

CHUNKS = "chunks/"
NOTES = "made/"
VIDEOS = "videos/"


def of_chunks(upload_id: str) -> str:
    return f"{CHUNKS}{upload_id}/"


def of_epoch(upload_id: str, epoch: int) -> str:
    """The chunks of one epoch."""
    return f"{of_chunks(upload_id)}{epoch}/"


def of_notes(video_id: str) -> str:
    return f"{NOTES}{video_id}/"


def of_video(video_id: str) -> str:
    """What players fetch."""
    return f"{VIDEOS}{video_id}/"


def of_results(video_id: str) -> tuple[str, ...]:
    """What was made of a video, and the notes that say so."""
    return of_video(video_id), of_notes(video_id)
