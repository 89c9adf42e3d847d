"""PUT of one part: signed, streamed to the disk, hashed on the way, flushed before its ETag.

It must never hold a part in memory, and never keep one whose bytes are not all there.
"""

import asyncio
import base64
import binascii

from aiohttp import StreamReader, web

from millrace.sinks.blobs import BlobWriter
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.door_errors import BadRequest
from millrace.sinks.object_keys import check_key
from millrace.sinks.ports import BadDigest, Part
from millrace.sinks.signing import Signer

# S3's largest part: docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES_MAX = 5 << 30
# Blocks handed to the threads that hash and write: the next fills while one is written.
BLOCK_BYTES = 1 << 20
# A client that sends nothing for so long has gone.
SILENCE_S = 60.0


class Uploads:
    """The handler of parts over one store."""

    def __init__(self, store: DirectoryObjects, signer: Signer, part_bytes_max: int) -> None:
        self._store = store
        self._signer = signer
        self._part_bytes_max = part_bytes_max

    async def put_part(self, request: web.Request) -> web.Response:
        key = check_key(request.match_info["key"])
        fields = dict(request.query)
        self._signer.check_part(request.method, key, fields)
        length = self._length(request, int(fields["size"]))
        expected = {
            "md5": _announced(request, "Content-MD5", 16),
            "sha256": _announced(request, "x-amz-checksum-sha256", 32),
        }
        if fields.get("sha256", expected["sha256"]) != expected["sha256"]:
            raise BadRequest(400, "BadDigest", "This address is for bytes of another SHA-256.")
        place = key, fields["uploadId"], int(fields["partNumber"])
        with_sha256 = expected["sha256"] is not None
        writer = await asyncio.to_thread(self._store.open_part, *place, with_sha256)
        try:
            await _receive(request.content, writer)
            part = await asyncio.to_thread(self._keep, place, writer, length, expected)
        finally:
            # Nothing is left of a part that was not kept; of one that was, only its name here.
            if not writer.finished:
                await asyncio.to_thread(writer.discard)
        return web.Response(headers={"ETag": f'"{part.etag}"'})

    def _length(self, request: web.Request, signed: int) -> int:
        length = request.content_length
        if length is None:
            raise BadRequest(411, "MissingContentLength", "A part says how long it is.")
        if length > self._part_bytes_max:
            raise BadRequest(413, "EntityTooLarge", f"A part has {self._part_bytes_max} bytes.")
        if length != signed:
            raise BadRequest(400, "IncorrectLength", f"This address is for {signed} bytes.")
        return length

    def _keep(
        self,
        place: tuple[str, str, int],
        writer: BlobWriter,
        length: int,
        expected: dict[str, str | None],
    ) -> Part:
        # A body that ends early was met as a broken connection.
        assert writer.size_bytes == length, f"{writer.size_bytes} of {length} bytes"
        if expected["md5"] not in (None, writer.md5.hexdigest()):
            raise BadDigest("Content-MD5")
        if writer.sha256 is not None and writer.sha256.hexdigest() != expected["sha256"]:
            raise BadDigest("x-amz-checksum-sha256")
        return self._store.keep_part(*place, writer)


def _announced(request: web.Request, header: str, digest_bytes: int) -> str | None:
    """The digest in a header as hex, None where it has none. Raises BadRequest."""
    text = request.headers.get(header)
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != digest_bytes:
        raise BadRequest(400, "InvalidDigest", f"{header} is not base64 of {digest_bytes} bytes.")
    return digest.hex()


async def _receive(content: StreamReader, writer: BlobWriter) -> None:
    """Writes the body as it comes. Raises BadRequest where it stops coming, StoreBusy."""
    block = bytearray()
    writing: asyncio.Task[None] | None = None
    try:
        while data := await _next(content):
            block += data
            if len(block) < BLOCK_BYTES:
                continue
            if writing is not None:
                await writing
            writing = asyncio.create_task(asyncio.to_thread(writer.write, block))
            block = bytearray()
    finally:
        # Its error, if it has one, must be met even where the body's end was not.
        if writing is not None:
            await writing
    await asyncio.to_thread(writer.write, block)


async def _next(content: StreamReader) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await content.readany()
    except TimeoutError as error:
        raise BadRequest(408, "RequestTimeout", "The part stopped coming.") from error
    except ConnectionError as error:
        raise BadRequest(400, "IncompleteBody", "The connection broke.") from error
