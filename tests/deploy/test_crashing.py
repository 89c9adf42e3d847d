"""Kills for tests: aimed at one process of several, and done once."""

from millrace.deploy.crashing import aimed


def test_a_kill_is_for_the_worker_that_it_names() -> None:
    specs = "encoding@before-commit:3,encode-requests-normal@worker/encode.put:1"
    assert aimed(specs, "encoding") == "before-commit:3"
    assert aimed(specs, "encode-requests-normal") == "worker/encode.put:1"
    assert aimed(specs, "sources") == ""


def test_a_kill_that_names_nobody_is_for_everybody() -> None:
    assert aimed("work-done:2", "sources") == "work-done:2"
    assert aimed("", "sources") == ""
