"""Real Kafka, Cassandra, S3 and Redis on one machine without Docker: fetched, started, stopped.

For developers, tests and small installations. It must never listen anywhere but on loopback, and
never signal a process that it did not start.
"""
