"""The topology of the catalog: what is known of a video, whole, and the tables made from it."""

from millrace.processors import catalog
from millrace.schemas.topics import (
    CATALOG,
    DEAD_LETTERS,
    PROFILES,
    PUBLICATIONS,
    SOURCES,
    THUMBNAILS,
    UPLOADS,
    WAITING,
)
from millrace.sinks import tables
from millrace.streams import rows
from millrace.streams.declarations import Fold, Project, Topology

CATALOG_TOPOLOGY = Topology(
    name="catalog",
    lead=PUBLICATIONS,
    steps=(
        Fold(
            name="catalog",
            version=1,
            reads=(UPLOADS, SOURCES, THUMBNAILS, PUBLICATIONS),
            writes=(CATALOG,),
            state=catalog.Entry,
            apply=catalog.apply,
        ),
        Project("video-rows", CATALOG, tables.VIDEOS, rows.videos),
        Project("creator-video-rows", CATALOG, tables.CREATOR_VIDEOS, rows.creator_videos),
        Project("public-video-rows", CATALOG, tables.PUBLIC_VIDEOS, rows.public_videos),
        Project("history-rows", PUBLICATIONS, tables.HISTORY, rows.history),
        Project("profile-rows", PROFILES, tables.PROFILES, rows.profiles),
        Project("waiting-rows", WAITING, tables.WAITING, rows.waiting),
        Project("dead-letter-rows", DEAD_LETTERS, tables.DEAD_LETTERS, rows.dead_letters),
    ),
)
