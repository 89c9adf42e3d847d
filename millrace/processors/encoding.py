"""The join of a video's chunks and rungs: what to encode, what is done, what is complete (TRN-6).

Proof against duplicates, disorder, lost workers and two chunks that finish at once: it keeps sets,
first wins. The lowest rung's pass of every chunk goes first; the other rungs of a chunk are asked
for when its lowest is stored, so that a video is playable early and no viewer catches up (TRN-3).
It must never keep a list of facts: failures and results carry the chunk that they are made from.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from millrace.processors import bits, runs
from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.processors.letters import work_letter
from millrace.processors.reasons import sentence
from millrace.processors.renditions import RungDone, for_playlist, summary, with_chunk
from millrace.processors.retries import ATTEMPTS_MAX, GIVE_UP_MS, backoff_ms
from millrace.schemas import codec, prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    ChunkCut,
    ChunkEncoded,
    DeadlinePassed,
    DeletionRequested,
    EncodeFailed,
    EncodeRequested,
    EncodeWorkStarted,
    LadderPlanned,
    RenditionCompleted,
    RenditionFailed,
    RenditionPlayable,
    RenditionProgressed,
    Rung,
    SourceAbandoned,
    SourceCut,
    VideoDeleted,
    VideoFailed,
)
from millrace.schemas.topics import DELETION_REQUESTS, LANES, RENDITIONS

Result = tuple["Join | None", list[Emit]]
# Two segments are 12 s: more than a player buffers before it starts.
PLAYABLE_SEGMENTS = 2


# More tasks than this that wait for another attempt are no bad luck of a chunk: encoding itself
# fails, and each waiting one is 200 bytes of state.
RETRIES_MAX = 100


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed task: its next attempt, when it is due, and the failure, encoded, with its chunk."""

    attempt: int
    at_ms: int
    failure: bytes


@dataclass(frozen=True, slots=True)
class Join:
    """Expected set against done set of one video and epoch.

    cut is the bitset of chunks announced; packed are the durations of the segments without a hole
    (runs.pack); ahead maps the first segment of a stretch behind a hole to its durations, packed
    and neighbours merged; retries and holders are keyed `chunk/group`, holders only while a worker
    has the task in hand.
    """

    plan: LadderPlanned | None = None
    since_ms: int = 0
    cut: bytes = b""
    chunks: int | None = None
    rungs: dict[str, RungDone] = field(default_factory=dict)
    packed: bytes = b""
    ahead: dict[int, bytes] = field(default_factory=dict)
    retries: dict[str, Retry] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    stopped_epoch: int = 0
    deleted: bool = False


def apply(state: Join | None, recorded: Recorded[Any]) -> Result:
    join, event = state or Join(), recorded.event
    match event:
        case LadderPlanned() as plan:
            if join.deleted or plan.epoch <= max(join.stopped_epoch, epoch_of(join)):
                return state, []
            return started(join, plan, recorded.at_ms)
        case VideoDeleted():
            return Join(deleted=True), []
        case VideoFailed(epoch=epoch):
            if epoch < epoch_of(join) or join.deleted:
                return state, []
            return Join(stopped_epoch=epoch), []
        case ChunkEncoded() | ChunkCut() if join.deleted:
            return join, [unwanted(event)]
        case ChunkCut() if event.epoch <= join.stopped_epoch:
            return join, [unwanted(event)]
        case DeadlinePassed():
            return passed(join, event)
        case _ if join.plan is None or getattr(event, "epoch", 0) != join.plan.epoch:
            return state, []
        case _:
            return progress(join, recorded)


def epoch_of(join: Join) -> int:
    return join.plan.epoch if join.plan else 0


def progress(join: Join, recorded: Recorded[Any]) -> Result:
    match recorded.event:
        case ChunkCut() as cut:
            return cut_chunk(join, cut)
        case SourceCut(chunks=chunks) if join.chunks is None:
            return completed(replace(join, chunks=chunks))
        case SourceAbandoned(code=code, text=text):
            return give_all_up(join, code, text)
        case EncodeWorkStarted() as begun:
            name = f"{begun.number}/{begun.group}"
            if join.attempts.get(name, 1) != begun.attempt:
                return join, []
            return replace(join, holders={**join.holders, name: begun.worker}), []
        case ChunkEncoded() as made:
            return encoded(join, made, recorded.at_ms)
        case EncodeFailed() as failure:
            return failed(join, failure, recorded)
        case _:
            return join, []


def started(join: Join, plan: LadderPlanned, at_ms: int) -> Result:
    if not plan.rungs:
        return None, []
    rungs = {rung.name: RungDone() for rung in plan.rungs}
    return Join(plan=plan, since_ms=at_ms, rungs=rungs), []


def cut_chunk(join: Join, cut: ChunkCut) -> Result:
    number = cut.range.number
    if bits.has_bit(join.cut, number):
        return join, []
    join = replace(join, cut=bits.with_bit(join.cut, number))
    group = 0 if is_open(join, 0) else 1
    return join, [request(join, group, 1, cut)] if is_open(join, group) else []


def is_open(join: Join, group: int) -> bool:
    """True where a rung of the group is still to be made."""
    names = [rung.name for rung in plan_of(join).rungs if rung.group == group]
    return any(not join.rungs[name].failed for name in names)


def encoded(join: Join, made: ChunkEncoded, at_ms: int) -> Result:
    plan = plan_of(join)
    rung = join.rungs.get(made.rung)
    if rung is None or bits.has_bit(rung.chunks, made.number):
        return join, []
    rung = with_chunk(rung, made, plan.grid)
    join = replace(join, rungs={**join.rungs, made.rung: rung}, since_ms=at_ms)
    join = with_durations(without_task(join, made), made)
    spec = next(r for r in plan.rungs if r.name == made.rung)
    emits = []
    if spec.group == 0 and group_done(join, 0, made.number) and is_open(join, 1):
        emits.append(request(join, 1, 1, made))
    if not rung.failed:
        emits.append(Emit(RENDITIONS, progressed(join, spec)))
    join, more = completed(join)
    return join, emits + more


def with_durations(join: Join, made: ChunkEncoded) -> Join:
    """Every rung shows the same frames, so the first rung to bring a chunk gives its durations."""
    first = made.range.first_segment
    known = {at: runs.unpack(packed) for at, packed in join.ahead.items()}
    known[0] = runs.unpack(join.packed)
    if any(at <= first < at + runs.length(stretch) for at, stretch in known.items()):
        return join
    known = runs.followed(known, first, runs.of(s.duration_ticks for s in made.segments))
    packed = {at: runs.pack(stretch) for at, stretch in known.items()}
    return replace(join, packed=packed.pop(0), ahead=packed)


def without_task(join: Join, made: ChunkEncoded) -> Join:
    """The group's task is done when its last rung is; nobody holds it, nothing retries it."""
    group = next(r.group for r in plan_of(join).rungs if r.name == made.rung)
    if not group_done(join, group, made.number):
        return join
    name = f"{made.number}/{group}"
    return replace(
        join,
        holders=dropped(join.holders, name),
        retries=dropped(join.retries, name),
        attempts=dropped(join.attempts, name),
    )


def dropped(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def groups(plan: LadderPlanned) -> int:
    return 1 + max(rung.group for rung in plan.rungs)


def group_done(join: Join, group: int, number: int) -> bool:
    names = [rung.name for rung in plan_of(join).rungs if rung.group == group]
    return all(bits.has_bit(join.rungs[name].chunks, number) for name in names)


def completed(join: Join) -> tuple[Join, list[Emit]]:
    """What has become playable or complete, said once."""
    plan, emits = plan_of(join), []
    total = join.chunks
    for spec in plan.rungs:
        rung = join.rungs[spec.name]
        whole = total is not None and total == bits.count(rung.chunks) and not join.ahead
        if rung.failed:
            continue
        if not rung.playable and (rung.prefix.segments >= PLAYABLE_SEGMENTS or whole):
            rung = replace(rung, playable=True)
            playable = RenditionPlayable(plan.video_id, plan.epoch, spec.name)
            emits.append(Emit(RENDITIONS, playable))
        if not rung.completed and whole:
            rung = replace(rung, completed=True)
            emits.append(Emit(RENDITIONS, completion(join, spec, rung)))
        join = replace(join, rungs={**join.rungs, spec.name: rung})
    return join, emits


def completion(join: Join, spec: Rung, rung: RungDone) -> RenditionCompleted:
    plan = plan_of(join)
    assert plan.video is not None
    all_runs = runs.unpack(join.packed)
    return RenditionCompleted(
        video_id=plan.video_id,
        epoch=plan.epoch,
        summary=summary(spec, rung, all_runs, plan.grid),
        rendition=for_playlist(spec, rung, all_runs, plan.grid, plan.video),
    )


def progressed(join: Join, spec: Rung) -> RenditionProgressed:
    plan, rung = plan_of(join), join.rungs[spec.name]
    assert plan.video is not None
    all_runs = runs.unpack(join.packed)
    return RenditionProgressed(
        video_id=plan.video_id,
        epoch=plan.epoch,
        chunks_done=bits.count(rung.chunks),
        chunks_total=join.chunks,
        size_bytes=rung.size_bytes,
        rendition=for_playlist(spec, rung, all_runs, plan.grid, plan.video),
    )


def failed(join: Join, failure: EncodeFailed, recorded: Recorded[Any]) -> Result:
    name = f"{failure.number}/{failure.group}"
    waits = name in join.retries
    if waits or join.attempts.get(name, 1) != failure.attempt:
        return join, []
    if group_done(join, failure.group, failure.number):
        return join, []
    join = replace(join, holders=dropped(join.holders, name))
    if len(join.retries) >= RETRIES_MAX:
        return give_all_up(join, "encoding_failing", failure.text)
    if failure.attempt < ATTEMPTS_MAX and not failure.permanent:
        at_ms = recorded.at_ms + backoff_ms(failure.attempt, recorded.id)
        retry = Retry(failure.attempt + 1, at_ms, codec.encode(failure))
        return replace(join, retries={**join.retries, name: retry}), []
    letter = work_letter(recorded, "encoding", "encode", f"{failure.code}: {failure.text}")
    join, emits = give_up(join, failure.group, failure.number, failure.code, failure.text)
    if failure.group == 0 and is_open(join, 1):
        # The other rungs may still come out, and a video with them is better than none.
        emits.append(request(join, 1, 1, failure))
    return join, [letter, *emits]


def plan_of(join: Join) -> LadderPlanned:
    assert join.plan is not None
    return join.plan


def give_up(join: Join, group: int, number: int, code: str, text: str) -> tuple[Join, list[Emit]]:
    """The rungs of the group are dropped and flagged; the others go on (OPS-1)."""
    plan, emits, rungs = plan_of(join), [], dict(join.rungs)
    for spec in plan.rungs:
        if spec.group != group or rungs[spec.name].failed or rungs[spec.name].completed:
            continue
        rungs[spec.name] = replace(rungs[spec.name], failed=True)
        event = RenditionFailed(
            video_id=plan.video_id,
            epoch=plan.epoch,
            rung=spec.name,
            number=number,
            code=code,
            text=sentence(code, text),
            summary=summary(spec, rungs[spec.name], runs.unpack(join.packed), plan.grid),
        )
        emits.append(Emit(RENDITIONS, event))
    return replace(join, rungs=rungs), emits


def give_all_up(join: Join, code: str, text: str) -> Result:
    """Nothing more is made of the video; what there is without a hole is told with each rung."""
    emits: list[Emit] = []
    for group in range(groups(plan_of(join))):
        join, more = give_up(join, group, -1, code, text)
        emits += more
    return replace(join, retries={}, holders={}), emits


def passed(join: Join, event: DeadlinePassed) -> Result:
    name, _, task = event.name.partition(" ")
    if name == "retry":
        retry = join.retries[task]
        join = replace(
            join,
            retries=dropped(join.retries, task),
            attempts={**join.attempts, task: retry.attempt},
            since_ms=event.at_ms,
        )
        failure = codec.decode(retry.failure)
        assert isinstance(failure, EncodeFailed)
        if not is_open(join, failure.group):
            return join, []
        return join, [request(join, failure.group, retry.attempt, failure)]
    text = "Encoding made no progress for a day. Ask for a retry."
    return give_all_up(join, "processing_timed_out", text)


def request(
    join: Join, group: int, attempt: int, chunk: ChunkCut | ChunkEncoded | EncodeFailed
) -> Emit:
    """The task of one chunk and group, from any event that carries the chunk."""
    plan = plan_of(join)
    assert plan.video is not None
    digest = chunk.sha256 if isinstance(chunk, ChunkCut) else chunk.chunk_sha256
    event = EncodeRequested(
        video_id=plan.video_id,
        upload_id=plan.upload_id,
        epoch=plan.epoch,
        attempt=attempt,
        lane=plan.lane,
        object_key=chunk.object_key,
        chunk_sha256=digest,
        video=plan.video,
        grid=plan.grid,
        range=chunk.range,
        rungs=tuple(rung for rung in plan.rungs if rung.group == group),
    )
    return Emit(LANES[plan.lane], event)


def unwanted(event: ChunkCut | ChunkEncoded) -> Emit:
    """The objects of a result that came for a deleted video go too."""
    made = isinstance(event, ChunkEncoded)
    late = prefixes.of_results(event.video_id) if made else (event.object_key,)
    return Emit(
        DELETION_REQUESTS,
        DeletionRequested(
            video_id=event.video_id,
            reason="a result came after the video was deleted",
            prefixes=late,
            multipart_key=None,
            multipart_id=None,
        ),
    )


def open_rungs(join: Join) -> list[str]:
    return [name for name, rung in join.rungs.items() if not (rung.completed or rung.failed)]


def deadline(join: Join) -> Deadline | None:
    if join.plan is None or not open_rungs(join):
        return None
    due = [(retry.at_ms, f"retry {name}") for name, retry in join.retries.items()]
    at_ms, name = min([*due, (join.since_ms + GIVE_UP_MS, "give-up")])
    return Deadline(name, at_ms)


def waiting(join: Join) -> Waiting | None:
    names = open_rungs(join) if join.plan else []
    if not names or join.plan is None:
        return None
    total = "?" if join.chunks is None else str(join.chunks)
    done = [f"{name} {bits.count(join.rungs[name].chunks)} of {total}" for name in names]
    holders = sorted(f"chunk {task} (group): {who}" for task, who in join.holders.items())
    return Waiting(
        video_id=join.plan.video_id,
        waits_for=f"chunks to be encoded: {', '.join(done)}",
        since_ms=join.since_ms,
        holder=", ".join(holders),
        next=f"{len(join.retries)} failed tasks are tried again" if join.retries else "published",
    )
