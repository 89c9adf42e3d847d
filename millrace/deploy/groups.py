"""The consumer groups of a cluster and what each reads, for `millrace lag`."""

from collections.abc import Collection, Mapping

from millrace.schemas.topics import Topic
from millrace.streams.folding.task import inputs_of
from millrace.streams.kafka.workers import projections_group
from millrace.streams.topologies import TOPOLOGIES, lanes


def groups() -> Mapping[str, Collection[Topic]]:
    """Topics by group, in the order in which a video meets them."""
    found: dict[str, Collection[Topic]] = {}
    for topology in TOPOLOGIES:
        if topology.folds:
            found[topology.name] = inputs_of(topology)
        if topology.projects:
            read = (project.reads for project in topology.projects)
            found[projections_group(topology)] = tuple(dict.fromkeys(read))
    return found | {lane.name: (lane,) for lane in lanes()}
