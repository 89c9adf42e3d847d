"""The four servers as one: up together, left alone when they are up, down together."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from millrace.deploy.stack import processes, stack
from millrace.deploy.stack.places import Places
from millrace.deploy.stack.server import NotStarted, PortTaken, Server
from tests.stack.fixtures import NAMES, PrivateServers, Source
from tests.stack.servers import PrivateServer

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN_S = 30.0


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "millrace.deploy.stack", command, "--folder", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def states(what: Sequence[tuple[Server, str]]) -> set[str]:
    return {state for _, state in what}


@pytest.mark.slow
def test_all_four_are_up_within_half_a_minute_and_end_when_asked(server_source: Source) -> None:
    places = server_source.private_places("stack")
    servers = [server_source.server(name, places) for name in NAMES]
    began_s = time.monotonic()
    try:
        assert states(stack.each(stack.bring_up, servers)) == {stack.UP}
        assert time.monotonic() - began_s < UP_WITHIN_S
        assert states(stack.each(stack.bring_up, servers)) == {stack.ALREADY_UP}
        assert states(stack.each(stack.state, servers)) == {stack.UP}
    finally:
        ended = stack.each(stack.bring_down, servers)
    assert states(ended) == {stack.STOPPED}
    assert states(stack.each(stack.state, servers)) == {stack.DOWN}


def test_a_server_that_is_up_is_left_as_it_is(private_servers: PrivateServers) -> None:
    server = private_servers("redis").server
    assert stack.bring_up(server) == stack.UP
    before = server.process
    assert stack.bring_up(server) == stack.ALREADY_UP
    assert server.process == before


def test_a_server_that_is_down_need_not_be_stopped(private_servers: PrivateServers) -> None:
    assert stack.bring_down(private_servers("redis").server) == stack.NOT_RUNNING


def test_a_server_that_runs_without_answering_is_told_from_one_that_is_down(
    private_servers: PrivateServers,
) -> None:
    private = private_servers("redis")
    private.start()
    private.pause()
    assert stack.state(private.server) == stack.SILENT
    private.kill()
    assert stack.state(private.server) == stack.DOWN


def test_a_port_that_a_stranger_holds_is_named(private_servers: PrivateServers) -> None:
    stranger, late = private_servers("redis"), private_servers("redis")
    stranger.start()
    with pytest.raises(PortTaken, match=stranger.address):
        PrivateServer(replace(late.server, port=stranger.port)).start()
    assert not late.alive
    assert stranger.alive


def test_a_server_that_ends_at_once_is_not_waited_for(private_servers: PrivateServers) -> None:
    server = private_servers("redis").server
    server.data.mkdir(parents=True)
    server.data.rmdir()
    server.data.write_text("no folder")
    began_s = time.monotonic()
    processes.start(server.command(), server.folder)
    with pytest.raises(NotStarted, match="ended while it started"):
        server.wait()
    assert time.monotonic() - began_s < server.ready_within_s / 2


def test_the_commands_over_a_folder_where_nothing_runs(tmp_path: Path) -> None:
    asked, stopped = run("status", tmp_path), run("stop", tmp_path)
    assert asked.returncode == 1
    assert asked.stdout.count(stack.DOWN) == len(NAMES)
    assert stopped.returncode == 0
    assert stopped.stdout.count(stack.NOT_RUNNING) == len(NAMES)


def test_every_port_of_the_stack_is_its_own_and_below_those_of_outgoing_connections() -> None:
    ports = [value for value in astuple(Places()) if isinstance(value, int)]
    assert len(set(ports)) == len(ports) == 6
    assert all(1024 < port < 20_000 for port in ports)
