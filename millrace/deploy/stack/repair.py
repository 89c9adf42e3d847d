"""Gives back the uploads that versitygw hides when it is killed during CompleteMultipartUpload.

Complete renames an upload's folder `<id>` to `<id>.<etag>.inprogress`, puts the object together
and removes the folder. Killed in between, it finds the upload no more: not listed, no object, and
a later Complete answers 200 all the same. So before each start, every such folder is renamed back,
unless its object is the one this very upload made: then only the folder's removal was missing.

It must never run while versitygw runs over the same folder.
"""

import errno
import gzip
import os
import shutil
from pathlib import Path

UPLOADS = ".sgwtmp/multipart"
LEFT_OVER = ".inprogress"
# Extended attributes of versitygw's: the key on an upload's folder, the upload on its object.
KEY_ATTRIBUTE = "user.objname"
MADE_BY_ATTRIBUTE = "user.mp-metadata"
UNREADABLE = "nothing was looked at: Python reads extended attributes on Linux alone"


def repair(buckets: Path) -> list[str]:
    """What was done, a line for each upload found cut short. Changes nothing else."""
    if not hasattr(os, "getxattr"):
        return [UNREADABLE]
    return [
        settled(bucket, left_over)
        for bucket in sorted(buckets.iterdir())
        for left_over in sorted((bucket / UPLOADS).glob(f"*/*{LEFT_OVER}"))
    ]


def settled(bucket: Path, left_over: Path) -> str:
    upload = left_over.name.partition(".")[0]
    key = attribute(left_over.parent, KEY_ATTRIBUTE).decode()
    if key and finished(bucket / key, upload):
        shutil.rmtree(left_over)
        return f"{bucket.name}/{key}: upload {upload} was complete"
    left_over.rename(left_over.with_name(upload))
    return f"{bucket.name}/{key}: upload {upload} given back"


def finished(target: Path, upload: str) -> bool:
    """Whether the object is there and was made by this upload: its metadata names it."""
    if not target.is_file():
        return False
    made_by = attribute(target, MADE_BY_ATTRIBUTE)
    return bool(made_by) and upload.encode() in gzip.decompress(made_by)


def attribute(path: Path, name: str) -> bytes:
    """The extended attribute; empty where there is none."""
    try:
        return os.getxattr(path, name)
    except OSError as problem:
        if problem.errno == errno.ENODATA:
            return b""
        raise
