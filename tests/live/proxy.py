"""A TCP proxy that does what networks do: delay, slice, reset, swallow, refuse.

It runs an asyncio loop in its own thread, so that tests, clients and sidecars in other processes go
through it alike. Nothing in the bytes is rewritten, so a broker behind it must advertise its
address: `Broker(advertise={"proxied": proxy.address})`, and then
`proxy.target = broker.listeners["proxied"]`.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

CHUNK_BYTES = 65_536
CHUNKS_MAX = 256  # underway in one direction; then the sender has to wait, as TCP makes it
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: RST and not FIN


class Proxy:
    """A listening port whose connections are carried on to `target`; a context manager.

    target: host:port, may be set later (connections before that are closed at once).
    host, port: where it listens, port 0: a free one.

    Knobs, to be turned at any time from any thread:
    latency_s: every chunk waits so long, in order, in both directions;
    slice_bytes: chunks are cut to this size, each sent by itself (0: not cut);
    blackhole: while True nothing passes and connections stay open (new ones are accepted), as on a
    network that drops packets. Afterwards what waited is passed on, as TCP sends again what was
    lost.
    """

    def __init__(self, target: str = "", host: str = "127.0.0.1", port: int = 0) -> None:
        self.target = target
        self.latency_s = 0.0
        self.slice_bytes = 0
        self.blackhole = False
        self.connections = 0  # ever taken
        self._host, self._port = host, port
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        """Where clients connect, host:port."""
        return f"{self._host}:{self._port}"

    def up(self) -> None:
        """Listen (again, on the same port)."""
        self._call(self._up())

    def down(self) -> None:
        """Refuse new connections and reset the open ones, as a broker that is away."""
        self._call(self._down())

    def reset(self) -> None:
        """Reset every open connection; new ones are taken."""
        self._call(self._reset())

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(30)

    async def _up(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self._host, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        for writer in self._writers:
            end = writer.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def _close(self) -> None:
        await self._down()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            host, port = self.target.rsplit(":", 1)
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
        except (OSError, ValueError):
            self._forget(writer)
            return
        self._writers.append(there_writer)
        try:
            await asyncio.gather(
                self._carry(reader, there_writer), self._carry(there_reader, writer)
            )
        finally:
            self._forget(writer)
            self._forget(there_writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until either end is gone; then the other direction ends too."""
        # Chunks wait with their due time, so that latency delays and does not throttle.
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_MAX)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._take(reader, waiting))
                both.create_task(self._deliver(waiting, writer))
        except* OSError:
            pass
        writer.close()

    async def _take(
        self, reader: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        chunk = b"."
        while chunk:
            chunk = await reader.read(CHUNK_BYTES)
            await waiting.put((asyncio.get_running_loop().time() + self.latency_s, chunk))

    async def _deliver(
        self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, chunk = await waiting.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            while self.blackhole:
                await asyncio.sleep(0.01)
            if not chunk:
                return
            step = self.slice_bytes or len(chunk)
            for start in range(0, len(chunk), step):
                writer.write(chunk[start : start + step])
                await writer.drain()
                if self.slice_bytes:
                    await asyncio.sleep(0)  # to the socket before the next slice

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        if writer in self._writers:
            self._writers.remove(writer)
