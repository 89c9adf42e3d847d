"""The toolchain's digest names outputs: it is the same for the same tools, and x264 is in it."""

import re

from millrace.processors.media.toolchain import encoder_version, toolchain


def test_the_digest_is_short_hexadecimal_and_the_same_each_time() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", toolchain())
    assert toolchain() == toolchain()


def test_the_encoder_says_its_version_itself() -> None:
    assert re.fullmatch(r"x264 - core \d+( [\x21-\x7e].*)?", encoder_version())
