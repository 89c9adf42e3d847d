"""What a player gets of a published video, read over HTTP with libraries that are not ours.

It must never ask the server what it meant to publish: playlists are fetched and followed.
"""

import io
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urljoin

import av
import m3u8
from lxml import etree

from tests.e2e.servers import Answer, request
from tests.media.clips import number_of

MPD = "{urn:mpeg:dash:schema:mpd:2011}"


@dataclass(frozen=True, slots=True)
class Track:
    """A playlist that was followed: the bytes a decoder gets, and the addresses they came from."""

    body: bytes
    addresses: tuple[str, ...]
    seconds: float
    ended: bool

    def frames(self) -> int:
        with av.open(io.BytesIO(self.body), "r") as container:
            return sum(1 for _ in container.decode(video=0))

    def numbers(self) -> list[int]:
        """The number burnt into each frame, in the order in which they are shown."""
        with av.open(io.BytesIO(self.body), "r") as container:
            return [number_of(frame) for frame in container.decode(video=0)]

    def samples(self) -> int:
        with av.open(io.BytesIO(self.body), "r") as container:
            return sum(frame.samples for frame in container.decode(audio=0))


def fetched(url: str) -> bytes:
    found = request("GET", url)
    assert found.status == 200, f"{url}: {found.text}"
    return found.body


def variants(hls_url: str) -> dict[tuple[int, int], Track]:
    """Each variant of a master playlist by its resolution."""
    master = m3u8.loads(fetched(hls_url).decode())
    return {
        one.stream_info.resolution: track(urljoin(hls_url, one.uri)) for one in master.playlists
    }


def sounds(hls_url: str) -> list[Track]:
    master = m3u8.loads(fetched(hls_url).decode())
    return [track(urljoin(hls_url, one.uri)) for one in master.media if one.type == "AUDIO"]


def track(url: str) -> Track:
    playlist = m3u8.loads(fetched(url).decode())
    addresses = [urljoin(url, playlist.segment_map[0].uri)]
    addresses += [urljoin(url, segment.uri) for segment in playlist.segments]
    body = b"".join(map(fetched, addresses))
    seconds = sum(segment.duration for segment in playlist.segments)
    return Track(body, tuple(addresses), seconds, playlist.is_endlist)


def dash_addresses(dash_url: str) -> set[str]:
    """Every address that a manifest names: init and media segments of all representations."""
    root = etree.fromstring(fetched(dash_url))
    found = set()
    for adaptation in root.iter(f"{MPD}AdaptationSet"):
        (template,) = adaptation.iter(f"{MPD}SegmentTemplate")
        segments = sum(1 + int(entry.get("r", "0")) for entry in template.iter(f"{MPD}S"))
        first = int(template.attrib["startNumber"])
        media = str(template.attrib["media"])
        names = [str(template.attrib["initialization"])]
        names += [media.replace("$Number$", str(n)) for n in range(first, first + segments)]
        for base in adaptation.iter(f"{MPD}BaseURL"):
            folder = urljoin(dash_url, str(base.text))
            found |= {urljoin(folder, name) for name in names}
    return found


def content(answer: Answer) -> dict[str, object]:
    """What a player can reach: by path below the video's folder, and by rung what it shows.

    answer is what `upload --json` said. Sound is compared by its bytes. Pictures by the numbers
    burnt into them and by the paths of their segments, which name the recipe: two encodes of a
    chunk by two warm workers differ, rarely, by one level in some pixels.
    """
    hls_url, folder = answer.json["hls_url"], f"/videos/{answer.json['video_id']}/"
    found: dict[str, object] = {}
    addresses: set[str] = set()
    for size, shown in variants(hls_url).items():
        found |= {url.split(folder)[1]: "segment" for url in shown.addresses}
        found[f"{size} ended {shown.ended}"] = shown.numbers()
        addresses |= set(shown.addresses)
    for heard in sounds(hls_url):
        for url in heard.addresses:
            found[url.split(folder)[1]] = sha256(fetched(url)).hexdigest()
        addresses |= set(heard.addresses)
    assert dash_addresses(answer.json["dash_url"]) == addresses
    return found
