"""Whose turn it is: a fair queue, in which nobody keeps the others out and nothing is made that nobody waits for."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import fastapi
from gradio.context import LocalContext
from gradio.queueing import Event, Queue
from gradio.utils import run_coro_in_background

from demo import words

MOST_WAITING = 32
MOST_WAITING_EACH = 6
PATIENCE_S = 30.0
SWEEP_S = 1.0


def visitor_of(connection: Any) -> str:
    """Tell visitors apart by their network address.

    Args:
        connection: A request or another connection of Starlette's.

    Returns:
        The address. On a Hugging Face Space, whose proxies all visitors come through, it is the one that the proxy
        gives; elsewhere anybody could write that header, so it is not read.
    """
    if "SPACE_ID" in os.environ and (passed_on := connection.headers.get("x-forwarded-for")):
        return passed_on.partition(",")[0].strip()
    return connection.client.host if connection.client else "unknown"


class FairQueue(Queue):
    """Gradio's queue with a bound for each visitor, turns that go round, and an end to what nobody waits for."""

    def start(self) -> None:
        """Begin to work, and to look for what is abandoned."""
        super().start()
        self._served: dict[str, float] = {}
        self._unread_since: dict[str, float] = {}
        run_coro_in_background(self._sweep_for_ever)

    async def push(self, body: Any, request: fastapi.Request, username: str | None) -> Any:
        """Take an event in, where there is room for it.

        Args:
            body: What the client sent.
            request: The client's request.
            username: Of the visitor, where there are names.

        Returns:
            As Gradio's queue does.

        Raises:
            fastapi.HTTPException: With status 429 where there is no room; the message says when to come back.
        """
        visitor = visitor_of(request)
        mine = sum(visitor_of(event.request) == visitor for event in self.waiting())
        if mine >= MOST_WAITING_EACH:
            raise fastapi.HTTPException(429, words.TOO_MANY_OF_YOURS.format(most=MOST_WAITING_EACH))
        if len(self) >= MOST_WAITING:
            seconds = self.seconds_of_work()
            raise fastapi.HTTPException(429, words.QUEUE_FULL.format(count=len(self), seconds=seconds))
        return await super().push(body, request, username)

    def waiting(self) -> list[Event]:
        """List the events that wait.

        Returns:
            Events of all kinds.
        """
        return [event for line in self.event_queue_per_concurrency_id.values() for event in line.queue]

    def seconds_of_work(self) -> int:
        """Reckon how long what waits will take, from how long the like took before.

        Returns:
            Seconds, at least 10.
        """
        known = [self.process_time_per_fn[event.fn].avg_time for event in self.waiting()]
        return max(10, 10 * round(sum(known) / 10))

    def get_events(self) -> Any:
        """Choose whose turn it is: in each line, the visitor who was served longest ago.

        Returns:
            As Gradio's queue does.
        """
        for line in self.event_queue_per_concurrency_id.values():
            if len(line.queue) > 1:
                first = min(line.queue, key=lambda event: self._served.get(visitor_of(event.request), 0.0))
                line.queue.remove(first)
                line.queue.insert(0, first)
        chosen = super().get_events()
        if chosen is not None:
            self._served[visitor_of(chosen[0][0].request)] = time.monotonic()
        return chosen

    async def sweep(self) -> None:
        """End what nobody waits for: events whose messages have lain unread for long, and such messages."""
        now = time.monotonic()
        for session, messages in list(self.pending_messages_per_session.items()):
            if messages.empty():
                self._unread_since.pop(session, None)
            elif now - self._unread_since.setdefault(session, now) > PATIENCE_S:
                await self.clean_events(session_hash=session)
                del self.pending_messages_per_session[session], self._unread_since[session]
        for session in self._unread_since.keys() - self.pending_messages_per_session.keys():
            del self._unread_since[session]
        for visitor in [visitor for visitor, when in self._served.items() if now - when > 3600]:
            del self._served[visitor]

    async def _sweep_for_ever(self) -> None:
        while not self.stopped:
            await asyncio.sleep(SWEEP_S)
            await self.sweep()


def anybody_listens() -> bool:
    """Whether somebody still waits for the event that is being handled; a handler asks between its steps.

    Returns:
        Whether so; always where the call did not come through the queue.
    """
    blocks, name = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = blocks._queue.event_ids_to_events.get(name) if blocks is not None and name is not None else None
    return event is None or event.alive
