"""What a creator is told of a failure that is ours: a sentence a code, no trace of our insides.

Codes that the probe refuses a source with bring their own sentence and are not here. The detail of
a failure is in its dead letter, for operators.
"""

OURS = (
    "Processing failed for a reason of ours. Ask for a retry; if it fails again, tell us the"
    " video's id."
)
BAD_PLACE = (
    "A part of the file could not be decoded. Check that it plays to its end on your side, export"
    " it again, and upload that."
)
SENTENCES = {
    "bug": OURS,
    "timeout": "Processing took longer than it may. Ask for a retry, or upload a smaller file.",
    "worker_lost": OURS,
    "out_of_memory": (
        "The file needs more memory than one worker has. Upload it in a lower resolution."
    ),
    "encoding_failing": OURS,
    "init_differs": OURS,
    "segment_hole": OURS,
    "segment_wrong": OURS,
    "poster_failed": OURS,
    "encode_failed": BAD_PLACE,
    "cut_failed": BAD_PLACE,
    "chunk_unreadable": BAD_PLACE,
    "frames_differ": BAD_PLACE,
    "audio_unreadable": BAD_PLACE,
}


def sentence(code: str, text: str) -> str:
    """The sentence of a code of ours; the text of any other code is a sentence already."""
    return SENTENCES.get(code, text)
