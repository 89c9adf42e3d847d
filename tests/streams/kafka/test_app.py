"""The app of a worker process, as the `faust` command line and its settings show it."""

import asyncio
import subprocess
import sys

from millrace.streams.encoding import ENCODING_TOPOLOGY
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.workers import Common, TopologyWorker

PROGRAM = """
import asyncio, sys
sys.path[:] = {path!r}
sys.argv[:] = ["faust", "agents"]
from tests.streams.kafka.test_app import build
asyncio.run(build()).app.main()
"""


async def build() -> TopologyWorker:
    common = Common(Cluster("nowhere:1,elsewhere:2", "site-"))
    return TopologyWorker(common, ENCODING_TOPOLOGY, None)  # type: ignore[arg-type]


def test_the_faust_command_line_lists_the_steps_and_what_they_read() -> None:
    program = PROGRAM.format(path=sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    words = set(done.stdout.split())
    assert {"@progress-rows", "@segment-rows", "@encoding-redrives"} <= words
    assert {"site-renditions", "site-redrives"} <= words


def test_faust_declares_no_topic_keeps_no_table_and_serves_no_web() -> None:
    app = asyncio.run(build()).app
    conf = app.conf
    assert [str(url) for url in conf.broker] == ["kafka://nowhere:1", "kafka://elsewhere:2"]
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert not conf.web_enabled
    assert not app.tables
    assert conf.id == "site-encoding-projections"
    # A member that waits for its work must neither be thrown out nor wait for ever.
    assert conf.broker_session_timeout < conf.broker_rebalance_timeout
    assert conf.broker_rebalance_timeout < conf.broker_request_timeout
