"""Calls from the engine's thread into an event loop."""

import asyncio
import threading

from millrace.streams.embedded.log import Mailbox


async def test_a_call_that_raises_costs_the_others_nothing() -> None:
    loop = asyncio.get_running_loop()
    raised: list[object] = []
    loop.set_exception_handler(lambda loop, context: raised.append(context["exception"]))
    mailbox, heard = Mailbox(loop), list[int]()
    mailbox.put(lambda: heard.append(1 // 0))
    mailbox.put(lambda: heard.append(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert heard == [1]
    mailbox.put(lambda: heard.append(2))
    for _ in range(3):
        await asyncio.sleep(0)
    assert heard == [1, 2]
    assert [type(error) for error in raised] == [ZeroDivisionError]


async def test_no_call_of_several_threads_is_lost() -> None:
    mailbox, heard = Mailbox(asyncio.get_running_loop()), list[int]()

    def bring(first: int) -> None:
        for number in range(first, first + 2000):
            mailbox.put(lambda n=number: heard.append(n))  # type: ignore[misc]

    threads = [threading.Thread(target=bring, args=(first,)) for first in (0, 2000)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(10):
        while len(heard) < 4000:
            await asyncio.sleep(0)
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(4000))


def test_a_loop_that_was_closed_hears_nothing_and_harms_nobody() -> None:
    loop = asyncio.new_event_loop()
    mailbox = Mailbox(loop)
    heard: list[int] = []
    loop.close()
    mailbox.put(lambda: heard.append(1))
    mailbox.put(lambda: heard.append(2))
    assert heard == []
