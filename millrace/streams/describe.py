"""Says what listens to what: text and a Mermaid graph, from the declarations alone.

Engines are handed the same values, and an output that is not declared raises, so the picture can't
lie. It must never import an engine.
"""

from collections.abc import Iterable

from millrace.schemas.topics import Topic
from millrace.streams.declarations import Fold, Project, Topology, Work


def describe_text(topologies: Iterable[Topology]) -> str:
    """One paragraph a topology, one line a step."""
    return "\n\n".join(topology_text(topology) for topology in topologies) + "\n"


def topology_text(topology: Topology) -> str:
    lines = [f"{topology.name} (lead topic {topology.lead.name})"]
    lines += [f"  {step_text(step)}" for step in topology.steps]
    return "\n".join(lines)


def step_text(step: Fold | Work | Project) -> str:
    """What kind of step it is, what it reads and what it writes."""
    match step:
        case Fold():
            notes = [f"version {step.version}"]
            notes += ["timers"] if step.deadline is not None else []
            notes += ["waits"] if step.waiting is not None else []
            marks = ", ".join(notes)
            return f"fold {step.name} ({marks}): {names(step.reads)} -> {names(step.writes)}"
        case Work():
            took = ", ".join(event.NAME for event in step.takes) or "bytes"
            slots = "" if step.slots is None else f", {step.slots} at once"
            marks = f"{took}; {step.timeout_s:g} s{slots}"
            return f"work {step.name} ({marks}): {names(step.lanes)} -> {names(step.writes)}"
        case Project():
            return f"project {step.name}: {step.reads.name} -> table {step.table.name}"


def names(topics: Iterable[Topic]) -> str:
    return ", ".join(topic.name for topic in topics) or "nothing"


def describe_mermaid(topologies: Iterable[Topology]) -> str:
    """A left-to-right graph: topics and tables are round, steps square, one box a topology."""
    lines, edges = ["flowchart LR"], list[str]()
    for topology in topologies:
        lines.append(f"  subgraph {topology.name}")
        lines += [f'    {node(topology, step)}["{step.name}"]' for step in topology.steps]
        lines.append("  end")
        for step in topology.steps:
            edges += step_edges(node(topology, step), step)
    return "\n".join(lines + edges) + "\n"


def node(topology: Topology, step: Fold | Work | Project) -> str:
    return f"{topology.name}.{step.name}"


def step_edges(name: str, step: Fold | Work | Project) -> list[str]:
    if isinstance(step, Project):
        return [
            topic_edge(step.reads, name),
            f"  {name} --> table.{step.table.name}[({step.table.name})]",
        ]
    inputs = step.reads if isinstance(step, Fold) else step.lanes
    edges = [topic_edge(topic, name) for topic in inputs]
    return edges + [f"  {name} --> topic.{t.name}([{t.name}])" for t in step.writes]


def topic_edge(topic: Topic, name: str) -> str:
    return f"  topic.{topic.name}([{topic.name}]) --> {name}"
