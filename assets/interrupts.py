"""Asynchronous work that SIGTERM and Ctrl-C end for sure.

Dagster's handler raises its error wherever the process is. Inside an event loop that may be asyncio's own code, which takes any error but
KeyboardInterrupt for one of a callback or of a socket: it is logged, the request is tried again on a new connection, and the sync goes on.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """`asyncio.run`, in which a signal cancels the work; whose handler it was before is told when the loop has ended."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # signals reach the main thread only
    caught: list[int] = []
    tasks: list[asyncio.Task[Any]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for task in tasks:
            task.get_loop().call_soon_threadsafe(task.cancel)  # wakes the loop up, too

    async def watched() -> _Result:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        if caught:  # before there was anything to cancel
            task.cancel()
        try:
            return await work
        finally:
            tasks.clear()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        return asyncio.run(watched())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
