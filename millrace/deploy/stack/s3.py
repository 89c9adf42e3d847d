"""One S3 server over a folder: versitygw. Uploads that a crash hid are given back at each start.

It must never be started over a folder without that repair: an upload whose Complete was cut by
kill -9 stays hidden for ever (measured: 7 of 7; with the repair 7 of 7 came back).
"""

from dataclasses import dataclass
from typing import ClassVar

from millrace.deploy.stack import probes
from millrace.deploy.stack.places import S3_ACCESS_KEY, S3_REGION, S3_SECRET_KEY
from millrace.deploy.stack.repair import repair
from millrace.deploy.stack.server import Server

HEALTH = "/healthz"


@dataclass(frozen=True, slots=True)
class S3(Server):
    """`binary` is versitygw; `options` go before its posix backend, such as an event sink's."""

    binary: str
    options: tuple[str, ...] = ()

    name: ClassVar[str] = "s3"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def prepare(self) -> None:
        for folder in ("buckets", "versions", "accounts"):
            (self.data / folder).mkdir(exist_ok=True)
        repaired = repair(self.data / "buckets")
        with (self.folder / "log").open("a") as log:
            log.writelines(f"repair: {line}\n" for line in repaired)

    def command(self) -> list[str]:
        return [
            "env", f"ROOT_ACCESS_KEY_ID={S3_ACCESS_KEY}", f"ROOT_SECRET_ACCESS_KEY={S3_SECRET_KEY}",
            self.binary, "--port", self.address, "--region", S3_REGION, "--health", HEALTH,
            "--keep-alive", "--quiet", "--iam-dir", str(self.data / "accounts"), *self.options,
            "posix", "--versioning-dir", str(self.data / "versions"), str(self.data / "buckets"),
        ]  # fmt: skip

    def answers(self) -> bool:
        return probes.healthy(self.port, HEALTH)
