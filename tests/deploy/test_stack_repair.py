"""versitygw killed in the middle of putting an upload together: the upload is there again."""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from millrace.deploy.stack.repair import LEFT_OVER, UNREADABLE, UPLOADS, repair
from millrace.sinks.s3_client import BROKEN, S3Place, open_client
from tests.stack.servers import PrivateS3, S3Factory

pytestmark = pytest.mark.skipif(not hasattr(os, "getxattr"), reason=UNREADABLE)

BUCKET, KEY = "films", "sources/film"
# Putting this together takes long enough (some 100 ms) to be caught in the middle of it.
PART, PARTS = bytes(16 << 20), 6
TRIES = 10


def place_of(server: PrivateS3) -> S3Place:
    return S3Place(server.url, BUCKET, server.access_key, server.secret_key, server.region)


class Upload:
    """A multipart upload of which every part was acknowledged."""

    def __init__(self, server: PrivateS3, key: str, part: bytes = PART, parts: int = PARTS):
        self.client = open_client(place_of(server))
        self.key, self.size_bytes = key, len(part) * parts
        self.id = self.client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        self.etags = [self.put(number, part) for number in range(1, parts + 1)]

    def put(self, number: int, part: bytes) -> str:
        done = self.client.upload_part(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, PartNumber=number, Body=part
        )
        return done["ETag"]

    def complete(self) -> None:
        parts = enumerate(self.etags, 1)
        self.client.complete_multipart_upload(
            Bucket=BUCKET, Key=self.key, UploadId=self.id,
            MultipartUpload={"Parts": [{"PartNumber": one, "ETag": etag} for one, etag in parts]},
        )  # fmt: skip

    def complete_unheard(self) -> None:
        with suppress(*BROKEN, self.client.exceptions.ClientError):
            self.complete()

    def stored_bytes(self) -> int | None:
        """What a HEAD says: None where there is no such object."""
        try:
            return self.client.head_object(Bucket=BUCKET, Key=self.key)["ContentLength"]
        except self.client.exceptions.ClientError:
            return None

    @property
    def listed(self) -> bool:
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return self.id in [one["UploadId"] for one in found]


def bucket_of(server: PrivateS3) -> Path:
    return server.server.data / "buckets" / BUCKET


def left_overs(server: PrivateS3) -> list[Path]:
    return list((bucket_of(server) / UPLOADS).glob(f"*/*{LEFT_OVER}"))


def cut_while_completing(server: PrivateS3, upload: Upload) -> bool:
    """Kills the server in the middle of Complete; whether it was in the middle."""
    completing = threading.Thread(target=upload.complete_unheard)
    completing.start()
    while completing.is_alive() and not left_overs(server):
        pass
    server.kill()
    completing.join()
    return bool(left_overs(server)) and not (bucket_of(server) / upload.key).exists()


@pytest.fixture
def server(s3_factory: S3Factory) -> PrivateS3:
    server = s3_factory()
    server.start()
    open_client(place_of(server)).create_bucket(Bucket=BUCKET)
    return server


def test_an_upload_that_was_cut_while_it_was_completed_can_be_completed_again(
    server: PrivateS3,
) -> None:
    for number in range(TRIES):
        upload = Upload(server, f"{KEY}-{number}")
        if cut_while_completing(server, upload):
            break
        server.start()
    else:
        pytest.fail(f"in {TRIES} tries Complete was always faster than its killer")
    server.start()
    assert upload.listed
    upload.complete()
    assert upload.stored_bytes() == upload.size_bytes
    assert not left_overs(server)


def test_what_a_finished_upload_left_behind_is_removed_and_its_object_stays(
    server: PrivateS3,
) -> None:
    upload = Upload(server, KEY, b"a part", 1)
    uploads = bucket_of(server) / UPLOADS
    (folder,) = uploads.glob(f"*/{upload.id}")
    kept = server.server.folder / "kept"
    shutil.copytree(folder.parent, kept)
    upload.complete()
    server.kill()
    # As if the kill had come between the object's rename and the removal of the parts.
    shutil.copytree(kept, folder.parent, dirs_exist_ok=True)
    folder.rename(folder.with_name(f"{upload.id}.etag{LEFT_OVER}"))
    assert len(left_overs(server)) == 1
    server.start()
    assert not left_overs(server)
    assert not upload.listed
    assert upload.stored_bytes() == upload.size_bytes


def test_uploads_under_way_and_finished_objects_are_left_as_they_are(server: PrivateS3) -> None:
    finished = Upload(server, KEY, b"a part", 1)
    finished.complete()
    under_way = Upload(server, f"{KEY}-2", b"a part", 1)
    server.terminate()
    assert repair(server.server.data / "buckets") == []
    server.start()
    assert under_way.listed
    assert finished.stored_bytes() == finished.size_bytes
