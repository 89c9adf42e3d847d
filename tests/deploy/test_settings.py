"""Settings: read from the environment, refused where they make no sense."""

from pathlib import Path

import pytest

from millrace.deploy import settings


def test_the_command_line_goes_before_the_environment_and_it_before_the_default() -> None:
    found = settings.read({"MILLRACE_PORT": "9000", "MILLRACE_WORKERS": "3"}, port=9001)
    assert (found.port, found.workers, found.host) == (9001, 3, "127.0.0.1")
    # An option that was not given is None, and changes nothing.
    assert settings.read({"MILLRACE_PORT": "9000"}, port=None, workers=None).port == 9000
    assert settings.read({"MILLRACE_DATA_DIR": "/data"}).data_dir == Path("/data")


@pytest.mark.parametrize(
    ("name", "value"),
    [("MILLRACE_PORT", "http"), ("MILLRACE_ROTATE_KEYS", "yes"), ("MILLRACE_PROT", "80")],
)
def test_a_value_or_name_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(settings.SettingError, match=name):
        settings.read({name: value})


def test_what_is_not_ours_is_nobodys_business() -> None:
    assert settings.read({"PATH": "/bin"}) == settings.Settings()


def test_no_secret_is_printed() -> None:
    found = settings.read(
        {
            "MILLRACE_S3_SECRET_KEY": "hush-1",
            "MILLRACE_TOKEN": "hush-2",
            "MILLRACE_REDIS": "redis://:hush-3@redis",
        }
    )
    assert (found.s3_secret_key, found.token) == ("hush-1", "hush-2")
    assert "hush" not in repr(found)


def test_a_process_that_is_started_gets_these_settings_beside_the_environment() -> None:
    handed = settings.handed_on({"worker_name": "a"})
    assert settings.read(handed).worker_name == "a"
    assert "PATH" in handed
