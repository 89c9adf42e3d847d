"""A property-based client against the running app (API-5): no 5xx, no undocumented answer.

Half of the ids it makes up become ids of things that exist, so that handlers are gone through.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from millrace.gateway.openapi import description
from millrace.gateway.settings import Rate
from millrace.schemas.events import DeadLettered
from tests.gateway.world import World, build_world, close

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
ROLES = ("creator", "viewer", "moderator", "operator")
LETTER = "b" * 32
# A stream ends with its video: test_status.py reads it.
schema = schemathesis.openapi.from_dict(description()).exclude(operation_id="streamStatus")


class Served:
    """A world in a thread and loop of its own, for a client that blocks."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.world: World = self.do(self.build(folder))

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def build(self, folder: Path) -> World:
        plenty = Rate(1e6, 1 << 20)
        rates = dict.fromkeys(("playback", "events", "read", "write", "expensive"), plenty)
        world = await build_world(
            folder, rates=rates, answer_wait_s=0.05, projection_wait_s=0.02, batch_linger_s=0.0
        )
        self.ready = await world.ready()
        self.open = await world.upload()
        self.creator = world.tokens.pseudonym("ann")
        place = ("work", "sources", "sources", "uploads", 0, 0, b"key", "broken", b"payload")
        await world.log.append("dead-letters", DeadLettered(LETTER, *place))
        return world

    def stop(self) -> None:
        self.do(close(self.world))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def real(self, name: str) -> str:
        """What is there under the name of a path parameter."""
        return {
            "video_id": self.ready,
            "upload_id": str(self.open["uploadSessionId"]),
            "creator_id": self.creator,
            "letter_id": LETTER,
            "topic": "uploads",
        }[name]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"))
    yield found
    found.stop()


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case: Any, served: Served) -> None:
    for name, value in (case.path_parameters or {}).items():
        if case.method != "DELETE" and str(value)[:1] in "01234567abcdm":
            case.path_parameters[name] = served.real(name)
    server = served.world.client.server
    response = case.call(
        base_url=f"http://127.0.0.1:{server.port}",
        headers=served.world.bearer("ann", *ROLES),
        timeout=10,
    )
    if b"bytes when reading" in response.content:
        # The server refuses a head over 8 KiB before it knows the address.
        assert response.status_code == 400
        return
    case.validate_response(response, checks=CHECKS)
