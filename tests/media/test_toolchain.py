"""The toolchain's digest names outputs: it is the same for the same tools, and x264 is in it."""

import re
from hashlib import sha256

from millrace.processors.media.toolchain import encoder_version, toolchain, tools


def test_the_digest_is_short_hexadecimal_and_the_same_each_time() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", toolchain())
    assert toolchain() == toolchain()


def test_every_tool_that_can_change_a_byte_is_in_the_digest() -> None:
    named = "\n".join(tools())
    for name in (
        "av ",
        "x264 - core ",
        "libavcodec ",
        "libavfilter ",
        "libswscale ",
        "libavformat ",
    ):
        assert re.search(rf"^{name}[^\n]*\d", named, re.MULTILINE), name
    assert toolchain() == sha256(named.encode()).hexdigest()[:12]


def test_the_encoder_says_its_version_itself() -> None:
    assert re.fullmatch(r"x264 - core \d+( [\x21-\x7e].*)?", encoder_version())
