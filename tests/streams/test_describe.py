"""The description says what the declarations say, and is compared with what is written down."""

from millrace.streams.describe import describe_mermaid, describe_text
from millrace.streams.topologies import TOPOLOGIES
from tests.streams.engine.mill import MILL_TOPOLOGIES

TEXT = """\
tallies (lead topic sacks)
  fold counter (version 1): sacks -> counts
  project count-rows: counts -> table counts

ordering (lead topic orders)
  fold join (version 1, timers, waits): orders, sacks -> batches, milling, milling-later
  work mill (DeletionRequested; 600 s): milling, milling-later -> flour
"""


def test_the_text_has_a_line_for_each_step_with_what_it_reads_and_writes() -> None:
    assert describe_text(MILL_TOPOLOGIES) == TEXT


def test_the_graph_has_an_edge_for_each_topic_read_and_written() -> None:
    graph = describe_mermaid(MILL_TOPOLOGIES)
    for edge in (
        "topic.sacks([sacks]) --> tallies.counter",
        "tallies.counter --> topic.counts([counts])",
        "tallies.count-rows --> table.counts[(counts)]",
        "topic.milling-later([milling-later]) --> ordering.mill",
    ):
        assert f"  {edge}\n" in graph


def test_no_two_nodes_of_the_product_have_one_name() -> None:
    steps = [f"{topology.name}.{step.name}" for topology in TOPOLOGIES for step in topology.steps]
    assert len(steps) == len(set(steps))
