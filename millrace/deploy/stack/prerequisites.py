"""What the stack needs of the machine, and the line that installs it where it is missing.

It must never stop at the first thing that is missing: whoever reads the message installs once.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Kafka 4.3 wants 17 or newer; Cassandra 5.0 runs on 11 and 17 only.
JAVA_VERSION = re.compile(r'version "17\b')
# From 1.21 on, Go fetches the newer Go that a program asks for; Debian 12 has 1.19.
GO_VERSION = re.compile(r"go1\.(?:2[1-9]|[3-9]\d)")
# Programs that are not on the PATH: Debian's and Homebrew's places, and Go's own.
JAVA_PLACES = (
    "/usr/lib/jvm/*17*/bin/java",
    "/opt/homebrew/opt/openjdk@17/bin/java",
    "/usr/local/opt/openjdk@17/bin/java",
)
GO_PLACES = ("/usr/local/go/bin/go", "/opt/homebrew/bin/go")
INSTALL_LINES = {
    "java": ("a JDK 17", "openjdk-17-jdk-headless", "openjdk@17"),
    "mvn": ("Maven", "maven", "maven"),
    "go": ("Go 1.21 or newer", "golang-go (Debian 12: bookworm-backports, or go.dev/dl)", "go"),
    "redis-server": ("Redis", "redis-server", "redis"),
}


class Incomplete(Exception):
    """Programs are missing; the message has a line for each."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The paths of the programs that were found, by name."""

    found: dict[str, str]

    def __getitem__(self, name: str) -> str:
        """Its path; its bare name where it was not found, which is enough to describe a server."""
        return self.found.get(name, name)

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def require(self, names: Iterable[str]) -> None:
        """Raises Incomplete, naming every one that is missing and what installs it."""
        lines = [install_line(name) for name in names if name not in self]
        if lines:
            raise Incomplete("the stack needs programs that are missing:\n" + "\n".join(lines))


def look(path: str | None = None) -> Tools:
    """Looks for every program, on `path` (the PATH where none is given) and in known places."""
    known = path is None
    candidates = {
        "java": [which("java", path), *(JAVA_PLACES if known else ())],
        "mvn": [which("mvn", path)],
        "go": [which("go", path), *(GO_PLACES if known else ())],
        "redis-server": [which("redis-server", path)],
    }
    fits = {"java": ("-version", JAVA_VERSION), "go": ("version", GO_VERSION)}
    found = {}
    for name, places in candidates.items():
        paths = (one for place in places for one in expanded(place))
        chosen = next((one for one in paths if name not in fits or says(one, *fits[name])), None)
        if chosen is not None:
            found[name] = chosen
    return Tools(found)


def which(name: str, path: str | None) -> str:
    return shutil.which(name, path=path) or ""


def expanded(place: str) -> list[str]:
    if "*" not in place:
        return [place] if place and Path(place).exists() else []
    return sorted(str(found) for found in Path("/").glob(place.lstrip("/")))


def says(program: str, argument: str, version: re.Pattern[str]) -> bool:
    """Whether the program runs and its version is one that fits."""
    asked = subprocess.run([program, argument], capture_output=True, text=True, check=False)
    return version.search(asked.stdout + asked.stderr) is not None


def install_line(name: str) -> str:
    what, apt, brew = INSTALL_LINES[name]
    if shutil.which("brew"):
        return f"  {what}: brew install {brew}"
    return f"  {what}: {'' if os.geteuid() == 0 else 'sudo '}apt-get install {apt}"


def install_redis() -> bool:
    """Installs Redis where that asks nobody for a password: as root on Debian, or by Homebrew.

    Whether it did. The package manager's own messages are shown.
    """
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        steps = [
            [*quiet, "update", "-qq"],
            [*quiet, "install", "-qq", "-y", "--no-install-recommends", "redis-server"],
        ]
    elif shutil.which("brew"):
        steps = [["brew", "install", "--quiet", "redis"]]
    else:
        return False
    done = (subprocess.run(step, stdin=subprocess.DEVNULL, check=False) for step in steps)
    return all(one.returncode == 0 for one in done)
