"""The stores of a cluster, opened from the settings. None of them needs its server to be up.

A process opens each once, after its last fork, and closes it.
"""

from dataclasses import dataclass

from millrace.deploy.clock import now_ms
from millrace.deploy.places import cassandra_place, s3_place
from millrace.deploy.settings import Settings
from millrace.sinks.cassandra_keyspaces import ActiveSpace, Keyspaces
from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.cassandra_tables import CassandraTables
from millrace.sinks.s3_objects import S3Objects
from millrace.sinks.signing import Signer, SigningKeys


@dataclass(frozen=True, slots=True)
class Rows:
    """The tables in the keyspace that is read now, and the keyspaces there are."""

    session: CassandraSession
    keyspaces: Keyspaces
    space: ActiveSpace
    tables: CassandraTables

    def close(self) -> None:
        self.space.close()
        self.session.close()


def open_tables(settings: Settings) -> Rows:
    session = CassandraSession(cassandra_place(settings))
    keyspaces = Keyspaces(session, settings.keyspace)
    space = ActiveSpace(keyspaces)
    return Rows(session, keyspaces, space, CassandraTables(session, space, now_ms))


def open_objects(settings: Settings, keys: SigningKeys) -> S3Objects:
    """Objects whose readers' addresses are the edge's."""
    signer = Signer(keys, settings.objects_url, now_ms)
    return S3Objects(s3_place(settings), signer, now_ms)
