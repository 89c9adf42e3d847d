"""One look at what notifications missed (ING-4), over a cluster's own stores and log."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from millrace.deploy.clock import now_ms
from millrace.deploy.keys import read_keys
from millrace.deploy.places import kafka_place
from millrace.deploy.reconciling import find, mend
from millrace.deploy.settings import Settings
from millrace.deploy.stores import open_objects, open_tables
from millrace.schemas.topics import OBJECT_NOTIFICATIONS
from millrace.streams.kafka.log import KafkaLog


async def reconcile(settings: Settings, mending: bool) -> Mapping[str, Sequence[str]]:
    """Keys that were `missed`, are `unknown` to any session, or were `left` half uploaded.

    Mending repeats the store's hint for the first and throws the parts of the last away. Raises
    StoreBusy, NoKeys.
    """
    loop = asyncio.get_running_loop()
    log = KafkaLog(kafka_place(settings))

    def notify(event: dict[str, Any]) -> None:
        key = event["Records"][0]["s3"]["object"]["key"].encode()
        told = log.append_bytes(OBJECT_NOTIFICATIONS.name, key, json.dumps(event).encode())
        asyncio.run_coroutine_threadsafe(told, loop).result()

    session_ms_max = settings.upload_expires_s * 1_000
    try:
        with (
            closing(open_objects(settings, read_keys(settings).objects)) as objects,
            closing(open_tables(settings)) as rows,
        ):
            tables = rows.tables
            found = await asyncio.to_thread(find, objects, tables, now_ms(), session_ms_max)
            if mending:
                await asyncio.to_thread(mend, found, objects, notify)
    finally:
        await log.close()
    return {
        "missed": [one.key for one in found.missed],
        "unknown": [one.key for one in found.unknown],
        "left": [one.key for one in found.left],
    }
