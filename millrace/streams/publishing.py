"""The topology of publishing: states, playlists, and the removal of what nobody needs."""

from collections.abc import Iterator

from millrace.processors import publication, publishing
from millrace.processors.emit import Emit
from millrace.processors.letters import work_letter
from millrace.processors.playlists import hls
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.package import package
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeletionRequested,
    ObjectsDeleted,
    PackageFailed,
    PackageRequested,
    PlaylistsWritten,
)
from millrace.schemas.topics import (
    COMMANDS,
    DEAD_LETTERS,
    DELETION_REQUESTS,
    PACKAGE_REQUESTS,
    PUBLICATIONS,
    RENDITIONS,
    SOURCES,
    UPLOADS,
)
from millrace.sinks.ports import NotFound, Objects, PreconditionFailed
from millrace.streams import outputs
from millrace.streams.declarations import Failure, Fold, Topology, Work, WorkPorts
from millrace.streams.failures import failed_attempt


def do_package(recorded: Recorded[PackageRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Finished playlists once, under the digest of their text; then the growing names over them."""
    request = recorded.event
    made = package(request.grid, request.video, request.audio, request.final, request.sequence)
    prefix = prefixes.of_video(request.video_id)
    for name, text in made.finished.items():
        ports.objects.put_bytes(prefix + name, text.encode(), mutable=False)
    ports.point("package.finished")
    for name, text in made.growing.items():
        replace_older(ports.objects, prefix + name, text, request.sequence)
    ports.point("package.put")
    written = PlaylistsWritten(
        video_id=request.video_id,
        epoch=request.epoch,
        attempt=request.attempt,
        sequence=request.sequence,
        final=request.final,
        hls_key=prefix + made.hls_name,
        dash_key=prefix + made.dash_name if made.dash_name else "",
        worker=ports.worker,
    )
    yield Emit(PUBLICATIONS, written)


def replace_older(objects: Objects, key: str, text: str, sequence: int) -> None:
    """Puts a growing playlist, unless a newer writing stands there: a stalled worker's is stale."""
    while True:
        stat = objects.head(key)
        try:
            if stat is None:
                objects.put_bytes(key, text.encode(), mutable=True, if_none_match=True)
            elif sequence_of(objects.read(key).decode()) < sequence:
                objects.put_bytes(key, text.encode(), mutable=True, if_match=stat.etag)
        except (PreconditionFailed, NotFound):
            # Another writing came between look and put; look again: sequences only rise.
            continue
        return


def sequence_of(text: str) -> int:
    """The number of a playlist's writing; -1 where it bears none."""
    try:
        header = (hls.read_master if "#EXT-X-STREAM-INF" in text else hls.read_media)(text).header
    except PlaylistError:
        return -1
    return -1 if header.sequence is None else header.sequence


def package_failed(recorded: Recorded[PackageRequested], failure: Failure) -> list[Emit]:
    return failed_attempt(PackageFailed, PUBLICATIONS, recorded, failure)


def do_delete(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Removes objects and aborts an upload; doing it twice is the same."""
    request, objects = recorded.event, 0
    if request.multipart_key is not None and request.multipart_id is not None:
        ports.objects.abort(request.multipart_key, request.multipart_id)
    for prefix in request.prefixes:
        if prefix.endswith("/"):
            objects += ports.objects.delete_prefix(prefix)
        else:
            ports.objects.delete(prefix)
            objects += 1
    yield Emit(PUBLICATIONS, ObjectsDeleted(request.video_id, request.reason, objects))


def delete_failed(recorded: Recorded[DeletionRequested], failure: Failure) -> list[Emit]:
    """What could not be deleted is an operator's to look at; no video waits for it."""
    return [work_letter(recorded, "publishing", "delete", f"{failure.code}: {failure.text}")]


PUBLISHING_TOPOLOGY = Topology(
    name="publishing",
    lead=PUBLICATIONS,
    steps=(
        Fold(
            name="publishing",
            version=1,
            reads=(COMMANDS, UPLOADS, SOURCES, RENDITIONS, PUBLICATIONS),
            writes=(PUBLICATIONS, PACKAGE_REQUESTS, DELETION_REQUESTS, DEAD_LETTERS),
            state=publication.Publication,
            apply=publishing.apply,
            deadline=publication.deadline,
            waiting=publication.waiting,
        ),
        Work(
            name="package",
            lanes=(PACKAGE_REQUESTS,),
            takes=(PackageRequested,),
            writes=(PUBLICATIONS,),
            do=do_package,
            failed=package_failed,
            still_wanted=outputs.still_wanted,
            timeout_s=60.0,
        ),
        Work(
            name="delete",
            lanes=(DELETION_REQUESTS,),
            takes=(DeletionRequested,),
            writes=(PUBLICATIONS, DEAD_LETTERS),
            do=do_delete,
            failed=delete_failed,
            timeout_s=120.0,
        ),
    ),
)
