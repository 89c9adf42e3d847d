"""What sinks raise on purpose, one name a way to go on; anything else out of a sink is a bug."""

from collections.abc import Sequence


class SinkError(Exception):
    """What a sink raises on purpose; anything else that comes out of one is a bug."""


class StoreBusy(SinkError):
    """A busy dependency: wait and repeat the call; it may have been done in part."""


class StoreFull(StoreBusy):
    """No space is left; goes on by itself when there is."""


class NotFound(SinkError):
    """There is no object under that key."""


class PreconditionFailed(SinkError):
    """if_match or if_none_match did not hold; nothing was changed."""


class NoSuchUpload(SinkError):
    """The multipart upload was never started, was aborted, or is complete and its object gone."""


class InvalidKey(SinkError, ValueError):
    """Not a key: see `Objects`."""


class BadDigest(SinkError):
    """The bytes that arrived are not those that were announced; nothing was stored."""


class InvalidPart(SinkError):
    """Parts that are missing, differ in ETag, or are too small to stand before another."""

    def __init__(self, numbers: Sequence[int], reason: str) -> None:
        super().__init__(f"parts {', '.join(map(str, numbers))}: {reason}")
        self.numbers = tuple(numbers)
        self.reason = reason
