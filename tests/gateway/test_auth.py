"""Tokens: believed once their signature fitted, and only as long as they are good (API-2)."""

import pytest

from millrace.gateway.auth import BELIEVED_MAX, Tokens
from millrace.gateway.errors import Problem
from tests.gateway.world import KEY, START_MS, Clock


def test_a_token_that_was_believed_expires_like_any_other() -> None:
    clock = Clock()
    tokens = Tokens((KEY,), KEY, clock)
    token = tokens.mint("ann", ("creator",), 60)
    first = tokens.read(token)
    clock.at_ms = START_MS + 59_999
    assert tokens.read(token) is first
    clock.at_ms = START_MS + 60_000
    with pytest.raises(Problem) as refused:
        tokens.read(token)
    assert "expired" in refused.value.detail


def test_what_is_refused_is_refused_again_and_never_remembered() -> None:
    tokens = Tokens((KEY,), KEY, Clock())
    token = tokens.mint("ann", ("creator",), 60)
    for wrong in (token[:-2] + "xx", token + "x", "", token.partition(".")[2]):
        for _ in range(2):
            with pytest.raises(Problem):
                tokens.read(wrong)
    assert not tokens.believed


@pytest.mark.slow
def test_tokens_that_are_remembered_are_bounded() -> None:
    tokens = Tokens((KEY,), KEY, Clock())
    for number in range(BELIEVED_MAX + 5):
        tokens.read(tokens.mint(f"user {number}", ("viewer",), 60))
    assert len(tokens.believed) == BELIEVED_MAX
