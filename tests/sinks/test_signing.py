"""Signed addresses: whatever is altered, expired or for something else is refused."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from millrace.sinks.ports import InvalidKey
from millrace.sinks.signing import Refused, Signer, SigningKeys
from tests.sinks.door_client import SECRET, Clock

KEY = "videos/v1/240p/0.m4s"
OTHER_SECRET = SECRET[::-1]


def make_signer(clock: Clock, current: str = "one", **secrets: bytes) -> Signer:
    return Signer(SigningKeys(current, secrets or {"one": SECRET}), "http://store", clock.now_ms)


def token_of(base: str) -> str:
    return urlsplit(base).path.split("/")[2]


def fields_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_a_prefix_opens_what_is_below_it_and_nothing_else() -> None:
    clock = Clock()
    signer = make_signer(clock)
    base = signer.reader_base("videos/v1/", clock.in_ms(1000))
    assert base.startswith("http://store/s/")
    assert base.endswith("/")
    signer.check_reader(token_of(base), KEY)
    for key in ("videos/v10/a", "videos/v1", "videos", "originals/v1/u", "videos/v2/a"):
        with pytest.raises(Refused, match="another path"):
            signer.check_reader(token_of(base), key)


def test_a_key_opens_itself_alone() -> None:
    clock = Clock()
    signer = make_signer(clock)
    token = token_of(signer.reader_base("images/ab.jpg", clock.in_ms(1000)))
    signer.check_reader(token, "images/ab.jpg")
    for key in ("images/ab.jpgx", "images/ab.jpg/x", "images"):
        with pytest.raises(Refused):
            signer.check_reader(token, key)


@pytest.mark.parametrize("path", ["", "/", "a//", "../", "a/../"])
def test_what_is_no_path_is_not_signed(path: str) -> None:
    clock = Clock()
    with pytest.raises(InvalidKey):
        make_signer(clock).reader_base(path, clock.in_ms(1000))


def test_addresses_end_with_their_time() -> None:
    clock = Clock()
    signer = make_signer(clock)
    token = token_of(signer.reader_base("videos/v1/", clock.in_ms(1000)))
    fields = fields_of(signer.part_url(KEY, "u", 1, 9, clock.in_ms(1000)))
    clock.at_ms += 999
    signer.check_reader(token, KEY)
    signer.check_part("PUT", KEY, fields)
    clock.at_ms += 1
    with pytest.raises(Refused) as reader:
        signer.check_reader(token, KEY)
    with pytest.raises(Refused) as part:
        signer.check_part("PUT", KEY, fields)
    assert reader.value.expired
    assert part.value.expired


def test_keys_rotate_and_a_dropped_one_opens_nothing() -> None:
    clock = Clock()
    before = make_signer(clock, "one", one=SECRET)
    during = make_signer(clock, "two", one=SECRET, two=OTHER_SECRET)
    after = make_signer(clock, "two", two=OTHER_SECRET)
    old = token_of(before.reader_base("videos/v1/", clock.in_ms(1000)))
    new = token_of(during.reader_base("videos/v1/", clock.in_ms(1000)))
    during.check_reader(old, KEY)
    during.check_reader(new, KEY)
    after.check_reader(new, KEY)
    for signer, token in ((after, old), (before, new)):
        with pytest.raises(Refused):
            signer.check_reader(token, KEY)


def test_the_same_path_and_time_give_the_same_address() -> None:
    clock = Clock()
    signer = make_signer(clock)
    assert signer.reader_base("a/", 5) == signer.reader_base("a/", 5)
    assert signer.reader_base("a/", 5) != signer.reader_base("a/", 6)


@pytest.mark.parametrize(
    ("current", "secrets"),
    [("two", {"one": SECRET}), ("one", {"one": b"short"}), ("a.b", {"a.b": SECRET})],
)
def test_weak_or_missing_keys_are_refused(current: str, secrets: dict[str, bytes]) -> None:
    with pytest.raises(ValueError):
        SigningKeys(current, secrets)


def altered(text: str, at: int, to: str) -> str:
    at %= len(text)
    return text[:at] + to + text[at + 1 :]


@given(st.integers(min_value=0), st.characters())
def test_a_token_with_any_character_altered_is_refused(at: int, to: str) -> None:
    clock = Clock()
    signer = make_signer(clock)
    token = token_of(signer.reader_base("videos/v1/", clock.in_ms(1000)))
    wrong = altered(token, at, to)
    assume(wrong != token)
    with pytest.raises(Refused):
        signer.check_reader(wrong, KEY)


@given(st.text())
def test_any_text_for_a_token_is_refused(token: str) -> None:
    with pytest.raises(Refused):
        make_signer(Clock()).check_reader(token, KEY)


@given(
    st.sampled_from(["uploadId", "partNumber", "size", "expires", "keyId", "signature"]),
    st.integers(min_value=0),
    st.characters(),
)
def test_a_part_address_with_any_character_altered_is_refused(name: str, at: int, to: str) -> None:
    clock = Clock()
    signer = make_signer(clock)
    fields = fields_of(signer.part_url(KEY, "upload", 12, 9, clock.in_ms(1000)))
    wrong = {**fields, name: altered(fields[name], at, to)}
    assume(wrong != fields)
    with pytest.raises(Refused):
        signer.check_part("PUT", KEY, wrong)


def test_a_part_address_is_bound_to_all_that_it_names() -> None:
    clock = Clock()
    signer = make_signer(clock)
    fields = fields_of(signer.part_url(KEY, "upload", 12, 9, clock.in_ms(1000)))
    signer.check_part("PUT", KEY, fields)
    other = fields_of(signer.part_url(KEY, "upload", 13, 9, clock.in_ms(1000)))
    for method, key, sent in (
        ("GET", KEY, fields),
        ("PUT", KEY + "x", fields),
        ("PUT", "", fields),
        ("PUT", KEY, {**fields, "partNumber": "13"}),
        ("PUT", KEY, {**fields, "size": "10"}),
        ("PUT", KEY, {**fields, "signature": other["signature"]}),
        ("PUT", KEY, {**fields, "uploadId": "upload\n12"}),
        *(("PUT", KEY, {k: v for k, v in fields.items() if k != name}) for name in fields),
    ):
        with pytest.raises(Refused):
            signer.check_part(method, key, sent)


def test_a_readers_token_is_no_part_signature() -> None:
    clock = Clock()
    signer = make_signer(clock)
    fields = fields_of(signer.part_url(KEY, "upload", 1, 9, clock.in_ms(1000)))
    reader = token_of(signer.reader_base(KEY, clock.in_ms(1000)))
    with pytest.raises(Refused):
        signer.check_part("PUT", KEY, {**fields, "signature": reader.split(".")[3]})
