"""The ports to the outside world; their docstrings are the contract.

They exist so that topologies and the gateway are the same values over a directory, SQLite and a
dictionary as over S3, Cassandra and Redis. Nothing here may import an implementation, and no
implementation may promise more than is written here. One contract suite runs over all of them.
"""

from millrace.sinks.ports.cache import Allowance, Cache
from millrace.sinks.ports.errors import (
    BadDigest,
    InvalidKey,
    InvalidPart,
    NoSuchUpload,
    NotFound,
    PreconditionFailed,
    SinkError,
    StoreBusy,
    StoreFull,
)
from millrace.sinks.ports.log import Append, Appended, Log
from millrace.sinks.ports.objects import (
    Listed,
    Objects,
    ObjectStat,
    OpenObject,
    OpenUpload,
    Part,
)
from millrace.sinks.ports.tables import Column, ColumnType, Key, Page, Row, Table, Tables, Version

__all__ = [
    "Allowance",
    "Append",
    "Appended",
    "BadDigest",
    "Cache",
    "Column",
    "ColumnType",
    "InvalidKey",
    "InvalidPart",
    "Key",
    "Listed",
    "Log",
    "NoSuchUpload",
    "NotFound",
    "ObjectStat",
    "Objects",
    "OpenObject",
    "OpenUpload",
    "Page",
    "Part",
    "PreconditionFailed",
    "Row",
    "SinkError",
    "StoreBusy",
    "StoreFull",
    "Table",
    "Tables",
    "Version",
]
