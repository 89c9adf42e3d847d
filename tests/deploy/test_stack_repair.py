"""versitygw killed in the middle of putting an upload together: the upload is there again."""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from millrace.deploy.stack.repair import LEFT_OVER, UNREADABLE, UPLOADS, repair
from tests.stack.servers import PrivateS3, S3Factory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedMultipartUploadTypeDef, CompletedPartTypeDef

pytestmark = pytest.mark.skipif(not hasattr(os, "getxattr"), reason=UNREADABLE)

BUCKET, KEY = "films", "sources/film"
# Putting this together takes long enough (some 100 ms) to be caught in the middle of it.
PART, PARTS = bytes(16 << 20), 6
TRIES = 10


def client_of(server: PrivateS3) -> "S3Client":
    once = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
    )
    return boto3.client(
        "s3", endpoint_url=server.url, region_name=server.region, config=once,
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip


class Upload:
    """A multipart upload of which every part was acknowledged."""

    def __init__(self, client: "S3Client", key: str, part: bytes = PART, parts: int = PARTS):
        self.client, self.key, self.size_bytes = client, key, len(part) * parts
        self.id = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        sent: list[CompletedPartTypeDef] = []
        for number in range(1, parts + 1):
            etag = client.upload_part(
                Bucket=BUCKET, Key=key, UploadId=self.id, PartNumber=number, Body=part
            )["ETag"]
            sent.append({"PartNumber": number, "ETag": etag})
        self.whole: CompletedMultipartUploadTypeDef = {"Parts": sent}

    def complete(self) -> None:
        self.client.complete_multipart_upload(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, MultipartUpload=self.whole
        )

    def stored_bytes(self) -> int | None:
        """What a HEAD says: None where there is no such object."""
        try:
            return self.client.head_object(Bucket=BUCKET, Key=self.key)["ContentLength"]
        except ClientError:
            return None

    @property
    def listed(self) -> bool:
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return self.id in [one["UploadId"] for one in found]


def bucket_of(server: PrivateS3) -> Path:
    return server.server.data / "buckets" / BUCKET


def left_overs(server: PrivateS3) -> list[Path]:
    return list((bucket_of(server) / UPLOADS).glob(f"*/*{LEFT_OVER}"))


def complete_unheard(upload: Upload) -> None:
    with suppress(BotoCoreError, ClientError):
        upload.complete()


def cut_while_completing(server: PrivateS3, upload: Upload) -> bool:
    """Kills the server in the middle of Complete; whether it was in the middle."""
    completing = threading.Thread(target=complete_unheard, args=(upload,))
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
    client_of(server).create_bucket(Bucket=BUCKET)
    return server


def test_an_upload_that_was_cut_while_it_was_completed_can_be_completed_again(
    server: PrivateS3,
) -> None:
    client = client_of(server)
    for number in range(TRIES):
        upload = Upload(client, f"{KEY}-{number}")
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
    upload = Upload(client_of(server), KEY, b"a part", 1)
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
    finished = Upload(client_of(server), KEY, b"a part", 1)
    finished.complete()
    under_way = Upload(client_of(server), f"{KEY}-2", b"a part", 1)
    server.terminate()
    assert repair(server.server.data / "buckets") == []
    server.start()
    assert under_way.listed
    assert finished.stored_bytes() == finished.size_bytes
