"""Decides which playback sessions are views (CNT-2): one a viewer, video and 24 hours.

The key is (video, viewer). A session is counted as soon as enough of it was watched, and rejected,
with the reason, when it ends without that; each session is decided exactly once. Watched time is
the largest that the player reported, so repeats and disorder change nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from millrace.processors.emit import Deadline, Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    ClientEvent,
    DeadlinePassed,
    LateView,
    PlaybackReported,
    ViewCounted,
    ViewRejected,
)
from millrace.schemas.topics import VIEWS, viewer_key

Result = tuple["Viewer | None", list[Emit]]
RULE = "30s-or-half-v1"
COUNTED_MS = 30_000
WINDOW_MS = 24 * 3_600_000
HOUR_MS = 3_600_000
# A player reports every few seconds; half an hour of silence ends a session.
SESSION_IDLE_MS = 30 * 60_000
SHARDS = 8
# Ids remembered a session, so that a repeat after its end is no late event: the last half hour of
# reports every 5 s. With the sessions remembered a viewer, 12 x 400 x 9 bytes of state.
EVENTS_MAX = 400
SESSIONS_MAX = 12
FORGOTTEN_MAX = 256
# A session may be reported seven days late (the gateway's bound on client clocks); a window after
# that, no session can come near it.
REMEMBERED_MS = 7 * 24 * 3_600_000 + WINDOW_MS


@dataclass(frozen=True, slots=True)
class Session:
    """A playback session; times are logical, in milliseconds of the epoch.

    decision is counted, rejected or empty while it is open; over is true when it ended by silence.
    """

    session_id: str
    start_ms: int
    last_ms: int
    watched_ms: int = 0
    duration_ms: int = 0
    decision: str = ""
    over: bool = False
    seen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """One viewer of one video: the sessions of the last day, and when sessions were counted."""

    video_id: str
    viewer_id: str
    sessions: dict[str, Session] = field(default_factory=dict)
    # Starts of the counted sessions that another one may still come within a window of.
    counted: tuple[int, ...] = ()
    # Digests of sessions that were decided and forgotten for room: their later events are late.
    forgotten: tuple[int, ...] = ()


def explode(recorded: Recorded[PlaybackReported]) -> Iterable[tuple[bytes, ClientEvent]]:
    return [(viewer_key(event), event) for event in recorded.event.events]


def apply(state: Viewer | None, recorded: Recorded[Any]) -> Result:
    match recorded.event:
        case ClientEvent() as event:
            return played(state or Viewer(event.video_id, event.viewer_id), event, recorded.at_ms)
        case DeadlinePassed(at_ms=now_ms):
            assert state is not None
            return passed(state, now_ms)
        case _:
            return state, []


def digest(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=7).digest(), "big")


def played(state: Viewer, event: ClientEvent, at_ms: int) -> Result:
    start_ms = min(event.client_at_ms, at_ms)
    session = state.sessions.get(event.session_id) or Session(event.session_id, start_ms, at_ms)
    if digest(event.session_id) in state.forgotten:
        return state, [Emit(VIEWS, late(state, session, event))]
    seen = digest(event.event_id)
    if seen in session.seen:
        return state, []
    session = replace(session, seen=(*session.seen, seen)[-EVENTS_MAX:])
    if session.over:
        return with_session(state, session), [Emit(VIEWS, late(state, session, event))]
    state, emits = with_room(state, session)
    session = replace(
        session,
        last_ms=max(session.last_ms, at_ms),
        watched_ms=max(session.watched_ms, event.watched_ms),
        duration_ms=max(session.duration_ms, event.duration_ms),
    )
    if session.decision or not enough(session) or repeated(state, session):
        return with_session(state, session), emits
    session = replace(session, decision="counted")
    state = with_session(state, session)
    state = replace(state, counted=(*state.counted, session.start_ms))
    return state, [*emits, Emit(VIEWS, counted(state, session))]


def with_room(state: Viewer, session: Session) -> tuple[Viewer, list[Emit]]:
    """The state with room for the session: the one longest silent is decided and forgotten."""
    if session.session_id in state.sessions or len(state.sessions) < SESSIONS_MAX:
        return state, []
    oldest = min(state.sessions.values(), key=lambda one: (one.last_ms, one.session_id))
    _, emits = ended(state, oldest)
    sessions = {name: one for name, one in state.sessions.items() if one is not oldest}
    forgotten = (*state.forgotten, digest(oldest.session_id))[-FORGOTTEN_MAX:]
    return replace(state, sessions=sessions, forgotten=forgotten), emits


def ended(state: Viewer, session: Session) -> tuple[Session, list[Emit]]:
    """The session over, decided if it was not."""
    if session.decision:
        return replace(session, over=True), []
    reason = "repeated" if enough(session) else "too_short"
    session = replace(session, decision="rejected", over=True)
    return session, [Emit(VIEWS, rejected(state, session, reason))]


def enough(session: Session) -> bool:
    half_ms = session.duration_ms // 2 if session.duration_ms else COUNTED_MS
    return session.watched_ms >= min(COUNTED_MS, half_ms)


def repeated(state: Viewer, session: Session) -> bool:
    """True within 24 hours of a counted session of the viewer, to either side."""
    return any(abs(session.start_ms - start_ms) < WINDOW_MS for start_ms in state.counted)


def with_session(state: Viewer, session: Session) -> Viewer:
    return replace(state, sessions={**state.sessions, session.session_id: session})


def passed(state: Viewer, now_ms: int) -> Result:
    """Sessions that fell silent are decided; what is older than the window is forgotten."""
    sessions: dict[str, Session] = {}
    emits: list[Emit] = []
    for name, session in state.sessions.items():
        if session.over and session.last_ms + WINDOW_MS <= now_ms:
            continue
        if not session.over and session.last_ms + SESSION_IDLE_MS <= now_ms:
            session, decided = ended(state, session)
            emits += decided
        sessions[name] = session
    counted = tuple(start_ms for start_ms in state.counted if start_ms + REMEMBERED_MS > now_ms)
    if not sessions and not counted:
        return None, emits
    return replace(state, sessions=sessions, counted=counted), emits


def deadline(state: Viewer) -> Deadline | None:
    ends = [
        session.last_ms + (WINDOW_MS if session.over else SESSION_IDLE_MS)
        for session in state.sessions.values()
    ]
    return Deadline("silence", min([*ends, *(start + REMEMBERED_MS for start in state.counted)]))


def hour_of(session: Session) -> int:
    return session.start_ms - session.start_ms % HOUR_MS


def shard_of(viewer_id: str) -> int:
    return digest(viewer_id) % SHARDS


def counted(state: Viewer, session: Session) -> ViewCounted:
    return ViewCounted(
        video_id=state.video_id,
        viewer_id=state.viewer_id,
        session_id=session.session_id,
        hour_ms=hour_of(session),
        shard=shard_of(state.viewer_id),
        watched_ms=session.watched_ms,
        rule=RULE,
    )


def rejected(state: Viewer, session: Session, reason: str) -> ViewRejected:
    return ViewRejected(
        video_id=state.video_id,
        viewer_id=state.viewer_id,
        session_id=session.session_id,
        hour_ms=hour_of(session),
        shard=shard_of(state.viewer_id),
        watched_ms=session.watched_ms,
        reason=reason,
        rule=RULE,
    )


def late(state: Viewer, session: Session, event: ClientEvent) -> LateView:
    return LateView(
        video_id=state.video_id,
        viewer_id=state.viewer_id,
        session_id=session.session_id,
        event_id=event.event_id,
        hour_ms=hour_of(session),
        shard=shard_of(state.viewer_id),
    )
