"""Which partition a key lies on: Kafka's own murmur2, computed by us and given by every producer.

It must never differ from the Java client's partitioner: records of other producers join ours.
"""

from functools import lru_cache

SEED = 0x9747B28C
M = 0x5BD1E995
MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit hash of `org.apache.kafka.common.utils.Utils.murmur2`, as an unsigned number."""
    length = len(data)
    h = (SEED ^ length) & MASK
    body = length & ~3
    for i in range(0, body, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = k * M & MASK
        k = (k ^ k >> 24) * M & MASK
        h = h * M & MASK ^ k
    if tail := data[body:]:
        h = (h ^ int.from_bytes(tail, "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


@lru_cache(maxsize=65536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition, from 0, as the Java client's default partitioner chooses it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
