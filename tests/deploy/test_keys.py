"""Keys: made once, rotated without breaking what was given out, readable by their owner alone."""

import stat
from pathlib import Path

import pytest

from millrace.deploy.keys import KEPT, KEYS_FILE, NoKeys, open_keys, read_keys
from millrace.deploy.settings import Settings
from millrace.sinks.signing import Signer


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    assert open_keys(tmp_path / KEYS_FILE) == open_keys(tmp_path / KEYS_FILE)
    assert stat.S_IMODE((tmp_path / KEYS_FILE).stat().st_mode) == 0o600


def test_a_rotation_signs_with_a_new_key_and_believes_the_ones_before(tmp_path: Path) -> None:
    before = open_keys(tmp_path / KEYS_FILE)
    after = open_keys(tmp_path / KEYS_FILE, rotate=True)
    assert after.pseudonym == before.pseudonym
    assert after.token[1:] == before.token
    assert after.token[0] not in before.token
    old = Signer(before.objects, "http://door", lambda: 0)
    new = Signer(after.objects, "http://door", lambda: 0)
    base = old.reader_base("videos/v/", 1_000)
    token = base.removesuffix("/").rpartition("/")[2]
    new.check_reader(token, "videos/v/master.m3u8")
    assert new.reader_base("videos/v/", 1_000) != base


def test_a_key_is_forgotten_after_as_many_rotations_as_are_kept(tmp_path: Path) -> None:
    first = open_keys(tmp_path / KEYS_FILE)
    for _ in range(KEPT):
        assert first.token[0] in open_keys(tmp_path / KEYS_FILE, rotate=True).token
    assert first.token[0] not in open_keys(tmp_path / KEYS_FILE, rotate=True).token


def test_every_rotation_brings_a_key_of_a_new_id(tmp_path: Path) -> None:
    made = [open_keys(tmp_path / KEYS_FILE, rotate=True) for _ in range(KEPT + 4)]
    assert len({keys.token[0] for keys in made}) == len(made)
    assert len({keys.objects.current for keys in made}) == len(made)


def test_processes_of_a_cluster_share_the_keys_and_make_none_of_their_own(tmp_path: Path) -> None:
    shared = tmp_path / "shared.json"
    one = Settings(data_dir=tmp_path / "one", keys_file=str(shared))
    two = Settings(data_dir=tmp_path / "two", keys_file=str(shared))
    with pytest.raises(NoKeys, match="millrace keys"):
        read_keys(one)
    made = open_keys(shared)
    assert read_keys(one) == read_keys(two) == made
