"""Where a cluster's servers are, from the settings: Kafka, Cassandra, S3, Redis.

Every process of a cluster is told the same ones. Nothing is connected to here.
"""

from millrace.deploy.settings import Settings
from millrace.sinks.cassandra_session import CassandraPlace
from millrace.sinks.s3_client import S3Place
from millrace.streams.kafka.cluster import Cluster


def kafka_place(settings: Settings) -> Cluster:
    return Cluster(
        bootstrap=settings.kafka,
        prefix=settings.topic_prefix,
        partitions=settings.partitions,
        replication=settings.replication,
        session_timeout_ms=settings.session_timeout_ms,
    )


def cassandra_place(settings: Settings) -> CassandraPlace:
    return CassandraPlace(
        hosts=tuple(settings.cassandra.split(",")),
        port=settings.cassandra_port,
        datacenter=settings.cassandra_datacenter,
        replicas=settings.cassandra_replicas,
    )


def s3_place(settings: Settings) -> S3Place:
    return S3Place(
        endpoint_url=settings.s3_endpoint,
        bucket=settings.s3_bucket,
        access_key_id=settings.s3_access_key,
        secret_access_key=settings.s3_secret_key,
        region=settings.s3_region,
        public_url=settings.s3_public_url,
    )
