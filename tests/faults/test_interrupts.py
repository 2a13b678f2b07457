"""SIGTERM and Ctrl-C in the middle of asynchronous work: wherever they arrive, the work ends and the handler of before hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from assets import interrupts

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """What a handler raises that was there before, as Dagster's does."""


@pytest.fixture
def _raising_handler() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Socket(socket.socket):
    """A socket in whose `send` a signal arrives: what it raises there, asyncio takes for a broken connection."""

    number = signal.SIGTERM

    def send(self, data: Any, flags: int = 0) -> int:
        signal.raise_signal(self.number)
        return super().send(data, flags)


async def _in_the_work(number: int) -> None:
    signal.raise_signal(number)


async def _in_a_callback(number: int) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)


async def _in_another_task(number: int) -> None:
    asyncio.ensure_future(asyncio.to_thread(os.kill, os.getpid(), number))  # noqa: RUF006 - nobody awaits it: that is the case


async def _in_a_send(number: int) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    with there:
        ours = Socket(fileno=here.detach())
        ours.number = signal.Signals(number)
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        writer.close()


@pytest.mark.fault("S3")
@pytest.mark.usefixtures("_raising_handler")
def test_a_signal_ends_the_work_wherever_it_arrives(record_property: Callable[[str, object], None]) -> None:
    """With `asyncio.run` three of the four go on to their end as if nothing had happened."""
    cases = 0
    for number in SIGNALS:
        for arrive in (_in_the_work, _in_a_callback, _in_another_task, _in_a_send):
            told = []

            async def work(arrive: Any = arrive, number: int = number, told: list[str] = told) -> None:
                try:
                    await arrive(number)
                    await asyncio.sleep(20)
                    told.append("went on")
                finally:
                    told.append("cleaned up")

            with pytest.raises(Stopped) as stopped:
                interrupts.run(work())
            assert (stopped.value.args, told) == ((number,), ["cleaned up"]), arrive.__name__
            cases += 1
    record_property("cases", cases)


@pytest.mark.fault("S3")
@pytest.mark.usefixtures("_raising_handler")
def test_a_signal_after_the_last_answer_is_heard_and_without_one_nothing_changes() -> None:
    async def late() -> str:
        signal.raise_signal(signal.SIGTERM)
        return "whole"

    async def undisturbed() -> str:
        return "whole"

    with pytest.raises(Stopped):
        interrupts.run(late())
    handlers = [signal.getsignal(number) for number in SIGNALS]
    assert interrupts.run(undisturbed()) == "whole"
    assert [signal.getsignal(number) for number in SIGNALS] == handlers
