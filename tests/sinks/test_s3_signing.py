"""Addresses of parts are what boto3 would sign, and live as long as S3 lets them."""

import hashlib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from millrace.sinks.s3_client import S3Place, open_client
from millrace.sinks.s3_signing import PartSigner

PLACE = S3Place("http://127.0.0.1:7070", "bucket", "access", "a secret/key+", "eu-central-1")
DIGEST = hashlib.sha256(b"bytes")


def fields(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, strict_parsing=True)


@pytest.mark.parametrize("key", ["originals/v1/u1", "a/(b)+*'~,:@=!.c"])
@pytest.mark.parametrize("sha256", [None, DIGEST.hexdigest()])
def test_an_address_is_signed_as_boto3_signs_it(key: str, sha256: str | None) -> None:
    client = open_client(PLACE)
    params = {
        "Bucket": PLACE.bucket,
        "Key": key,
        "UploadId": "an upload/id+",
        "PartNumber": 7,
        "ContentLength": 8_388_608,
    }
    if sha256 is not None:
        params["ChecksumSHA256"] = b64encode(DIGEST.digest()).decode()
    theirs = client.generate_presigned_url("upload_part", params, ExpiresIn=600)
    at = datetime.strptime(fields(theirs)["X-Amz-Date"][0] + "+0000", "%Y%m%dT%H%M%SZ%z")
    at_ms = int(at.astimezone(UTC).timestamp()) * 1_000
    signer = PartSigner(PLACE, lambda: at_ms)
    ours = signer.url(key, "an upload/id+", 7, 8_388_608, at_ms + 600_000, sha256)
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    assert fields(ours) == fields(theirs)
    client.close()


def test_an_address_lives_as_long_as_was_said_and_seven_days_at_most() -> None:
    now_ms = 1_800_000_000_000
    signer = PartSigner(PLACE, lambda: now_ms)
    for asked_s, valid_s in ((1, 1), (60, 60), (7 * 86_400, 604_800), (8 * 86_400, 604_800)):
        url = signer.url("a", "u", 1, 1, now_ms + asked_s * 1_000, None)
        assert fields(url)["X-Amz-Expires"] == [str(valid_s)]
        assert fields(url)["X-Amz-Date"] == ["20270115T080000Z"]


def test_an_address_whose_time_is_over_is_over_when_it_is_made() -> None:
    now_ms = 1_800_000_000_000
    url = PartSigner(PLACE, lambda: now_ms).url("a", "u", 1, 1, now_ms - 60_000, None)
    assert fields(url)["X-Amz-Date"] == ["20270115T075859Z"]
    assert fields(url)["X-Amz-Expires"] == ["1"]


def test_browsers_are_sent_to_the_public_address() -> None:
    place = replace(PLACE, public_url="https://media.example")
    url = PartSigner(place, lambda: 1_800_000_000_000).url("a", "u", 1, 1, 1_800_000_060_000, None)
    assert url.startswith("https://media.example/bucket/a?")


def test_a_place_does_not_print_its_secret() -> None:
    assert "secret" not in repr(PLACE).replace("secret_access_key", "")
