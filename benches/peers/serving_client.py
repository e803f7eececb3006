"""Asks a server that speaks OpenAI's chat completions, and notes when each piece of the answer came.

All times are taken here, in the same way for every system, so that transport counts for all alike.
What arrives is only stamped and kept while a server is at work; it is parsed when the answer is whole.
"""

import asyncio
import bisect
import dataclasses
import json
import socket
import time
import urllib.request

from side_by_side import Mismatch

# A request that says nothing for so long is taken for lost.
PATIENCE = 300


@dataclasses.dataclass
class Answer:
    """One answer; the times are in seconds on the clock of `time.perf_counter`."""

    started: float
    first: float
    finished: float
    text: str
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    finish_reason: str
    usage: dict

    @property
    def first_token(self) -> float:
        """Seconds from the request to the first text."""
        return self.first - self.started

    @property
    def decoding(self) -> float:
        """Seconds from the first text to the end."""
        return self.finished - self.first


async def ask(port: int, body: dict) -> Answer:
    """One streamed answer over a connection of its own."""
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(head.encode() + content)
    pieces = []
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 16), PATIENCE):
            pieces.append((time.perf_counter(), piece))
            acknowledge_at_once(connection)
    except asyncio.TimeoutError:
        raise Mismatch(f"a server said nothing for {PATIENCE} seconds")
    finally:
        writer.close()
    return parse(started, pieces)


async def ask_all(port: int, bodies: list) -> list:
    """All at once; the answers in the order of the requests."""
    return await asyncio.gather(*(ask(port, body) for body in bodies))


def acknowledge_at_once(connection) -> None:
    """A server without TCP_NODELAY keeps a token back until the one before it was acknowledged."""
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def parse(started: float, pieces: list) -> Answer:
    head, body = split_head(pieces)
    if not head.startswith(("HTTP/1.1 200", "HTTP/1.0 200")):
        raise Mismatch(f"a server refused a request: {head.splitlines()[:1]} {body.text[:500]!r}")
    texts, first, finished, reason, usage = [], None, None, None, {}
    for moment, event in body.events():
        if "error" in event:
            raise Mismatch(f"a server failed: {event['error']}")
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            text = (choice.get("delta") or {}).get("content")
            if text:
                texts.append(text)
                first = moment if first is None else first
            if choice.get("finish_reason"):
                reason, finished = choice["finish_reason"], moment
    if reason is None or not usage:
        raise Mismatch(f"an answer ended without saying why or what it cost: {body.text[-300:]!r}")
    details = usage.get("prompt_tokens_details") or {}
    return Answer(
        started=started,
        # An answer without text has ended where its text would have begun.
        first=finished if first is None else first,
        finished=finished,
        text="".join(texts),
        tokens=usage["completion_tokens"],
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=details.get("cached_tokens", 0),
        finish_reason=reason,
        usage=usage,
    )


class Body:
    """The text of a reply, and when each of its characters was there."""

    def __init__(self, data: bytes, ends: list, moments: list):
        # Up to byte `ends[i]` it had come at `moments[i]`.
        self.data, self.ends, self.moments = data, ends, moments

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")

    def events(self):
        """Every server-sent event as JSON, with the moment at which it was whole."""
        start = 0
        while (end := self.data.find(b"\n\n", start)) >= 0:
            for line in self.data[start:end].splitlines():
                if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                    yield self.moments[bisect.bisect_left(self.ends, end + 2)], json.loads(line[5:])
            start = end + 2


def split_head(pieces: list) -> tuple[str, Body]:
    """The head of a reply and its body, out of the chunks that it may be sent in."""
    data, ends, moments = b"", [], []
    for moment, piece in pieces:
        data += piece
        ends.append(len(data))
        moments.append(moment)
    head, gap, rest = data.partition(b"\r\n\r\n")
    text, offset = head.decode(errors="replace"), len(head) + len(gap)
    if "transfer-encoding: chunked" not in text.lower():
        return text, Body(rest, [end - offset for end in ends], moments)
    body, body_ends, body_moments = b"", [], []
    while offset < len(data):
        line = data.index(b"\r\n", offset)
        size = int(data[offset:line].split(b";")[0], 16)
        if size == 0:
            break
        offset = line + 2 + size
        body += data[line + 2 : offset]
        body_ends.append(len(body))
        body_moments.append(moments[min(bisect.bisect_left(ends, offset), len(moments) - 1)])
        offset += 2
    return text, Body(body, body_ends, body_moments)


def post(port: int, path: str, body: dict) -> dict:
    """A plain request, for what is not measured."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)
