"""The topologies in the order in which a video meets them: the newcomer's way in."""

from millrace.schemas.topics import Topic
from millrace.streams.catalog import CATALOG_TOPOLOGY
from millrace.streams.declarations import Topology
from millrace.streams.encoding import ENCODING_TOPOLOGY
from millrace.streams.publishing import PUBLISHING_TOPOLOGY
from millrace.streams.sources import SOURCES_TOPOLOGY
from millrace.streams.uploads import UPLOADS_TOPOLOGY
from millrace.streams.views import VIEWS_TOPOLOGY

TOPOLOGIES: tuple[Topology, ...] = (
    UPLOADS_TOPOLOGY,
    SOURCES_TOPOLOGY,
    ENCODING_TOPOLOGY,
    PUBLISHING_TOPOLOGY,
    CATALOG_TOPOLOGY,
    VIEWS_TOPOLOGY,
)


def lanes(topologies: tuple[Topology, ...] = TOPOLOGIES) -> tuple[Topic, ...]:
    """The topics that works take from, in the order in which a video meets them."""
    every = (lane for one in topologies for work in one.works for lane in work.lanes)
    return tuple(dict.fromkeys(every))
