"""The topology of views: sessions are decided, and decisions counted, exactly."""

from millrace.processors import tallies, views
from millrace.schemas.topics import PLAYBACK_EVENTS, VIEW_SHARDS, VIEW_TOTALS, VIEWS
from millrace.sinks import tables
from millrace.streams import rows
from millrace.streams.declarations import Fold, Project, Topology

VIEWS_TOPOLOGY = Topology(
    name="views",
    lead=PLAYBACK_EVENTS,
    steps=(
        Fold(
            name="views",
            version=1,
            reads=(PLAYBACK_EVENTS,),
            writes=(VIEWS,),
            state=views.Viewer,
            apply=views.apply,
            explode=views.explode,
            deadline=views.deadline,
        ),
        Fold(
            name="tallies",
            version=1,
            reads=(VIEWS,),
            writes=(VIEW_SHARDS,),
            state=tallies.Tally,
            apply=tallies.tally,
            deadline=tallies.flush,
        ),
        Fold(
            name="hours",
            version=1,
            reads=(VIEW_SHARDS,),
            writes=(VIEW_TOTALS,),
            state=tallies.Hour,
            apply=tallies.merge,
        ),
        Project("view-hour-rows", VIEW_TOTALS, tables.VIEW_HOURS, rows.view_hours),
    ),
)
