"""Where the servers of one stack listen and where their files lie: each port is written here.

It must never be read by anything but the stack and its tests: Millrace is told addresses by its
own settings.
"""

import random
import socket
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
CACHE = Path("var/cache/stack")
# Below every system's range of ephemeral ports: nobody's outgoing connection takes one while its
# server is away. The usual stack's own are further below.
FREE_PORTS = range(20_000, 32_000)

# The S3 server's only account. It guards nothing: whoever reaches loopback reads the files too.
S3_ACCESS_KEY = "millrace"
S3_SECRET_KEY = "millrace-loopback-only"
S3_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Places:
    """One stack: its folder, and a port for each thing that listens.

    None is a server's own default, which a server of the operating system's may hold already.
    """

    folder: Path = Path("var/stack")
    kafka_port: int = 19092
    kafka_controller_port: int = 19093
    cassandra_port: int = 19042
    cassandra_storage_port: int = 17000
    s3_port: int = 17070
    redis_port: int = 16379

    @classmethod
    def anywhere(cls, folder: Path) -> Self:
        """A stack over the folder on ports that nobody listens on now."""
        wanted = [one.name for one in fields(cls) if one.name != "folder"]
        ports: set[int] = set()
        while len(ports) < len(wanted):
            port = random.choice(FREE_PORTS)
            if free(port):
                ports.add(port)
        return cls(folder, *ports)


def free(port: int) -> bool:
    """Whether a server could listen on it now."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
