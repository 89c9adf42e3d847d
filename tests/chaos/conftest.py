"""How long a proof is: some faults in `make test`, all of them in `make chaos`."""

import pytest

from tests.sinks.conftest import cassandra_session, cassandra_space

__all__ = ["cassandra_session", "cassandra_space"]


@pytest.fixture
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether `make chaos` asked, which takes the time that it takes."""
    return bool(request.config.getoption("--chaos"))
