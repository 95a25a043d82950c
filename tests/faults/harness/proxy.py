"""A TCP proxy that misbehaves on request: HERE:PORT=THERE:PORT... on the command line, orders on stdin.

    delay MS [HERE]   every byte arrives this much later (0: no more)      stall HERE|- [on|off]   connections stay, nothing passes
    rate BYTES [HERE] at most so many bytes a second (0: any)              cut HERE|-              all connections are reset
HERE is the address that was listened on; without it (or -) every one is meant. The bytes themselves are never changed.
"""
import asyncio
import socket
import struct
import sys

CHUNK = 65536
QUEUE = 256  # chunks on their way in one direction: a slow link is also a full one


class Mood:
    """How one address behaves now."""

    def __init__(self):
        self.delay, self.rate = 0.0, 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.writers = set()


async def take(reader, queue):
    loop = asyncio.get_running_loop()
    while chunk := await reader.read(CHUNK):
        await queue.put((loop.time(), chunk))
    await queue.put((loop.time(), b""))


async def give(queue, writer, mood):
    loop = asyncio.get_running_loop()
    while True:
        came, chunk = await queue.get()
        await asyncio.sleep(max(0.0, came + mood.delay - loop.time()))
        await mood.flowing.wait()
        if not chunk:
            return
        writer.write(chunk)
        await writer.drain()
        if mood.rate:
            await asyncio.sleep(len(chunk) / mood.rate)


async def pipe(reader, writer, mood):
    queue = asyncio.Queue(QUEUE)
    taking = asyncio.ensure_future(take(reader, queue))
    try:
        await give(queue, writer, mood)
    finally:
        taking.cancel()


def reset(writer):
    try:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # it has just been closed
    writer.transport.abort()


async def serve(mood, there, reader, writer):
    mood.writers.add(writer)
    host, port = there.rsplit(":", 1)
    try:
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 5)
    except (OSError, asyncio.TimeoutError):
        mood.writers.discard(writer)
        reset(writer)
        return
    mood.writers.add(far_writer)
    ways = [asyncio.ensure_future(pipe(reader, far_writer, mood)), asyncio.ensure_future(pipe(far_reader, writer, mood))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    for one in (writer, far_writer):
        mood.writers.discard(one)
        one.close()


def obey(words, moods):
    verb, value = words[0], words[1]
    where = (words[2] if verb in ("delay", "rate") else value) if len(words) > (2 if verb in ("delay", "rate") else 1) else "-"
    for mood in moods.values() if where == "-" else [moods[where]]:
        if verb == "delay":
            mood.delay = int(value) / 1000
        elif verb == "rate":
            mood.rate = int(value)
        elif verb == "stall":
            (mood.flowing.clear if words[2] == "on" else mood.flowing.set)()
        elif verb == "cut":
            for writer in list(mood.writers):
                reset(writer)


async def main(routes):
    moods = {}
    for route in routes:
        here, there = route.split("=")
        address, port = here.rsplit(":", 1)
        mood = moods.setdefault(address, Mood())
        await asyncio.start_server(lambda r, w, mood=mood, there=there: serve(mood, there, r, w), address, int(port))
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        obey(line.decode().split(), moods)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
