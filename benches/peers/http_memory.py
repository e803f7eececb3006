"""What idle streams and open connections cost the server in memory.

An idle stream here is one that the server has accepted and begun, and on which there is nothing to say yet:
the engine is kept busy by one request with more texts to go on with than it works on at once, so the
streams wait for their turn, each with its head and its first event sent and nothing more read of it. The
memory of keys and values cannot be taken for theirs that way, since none of them has any. What the busy
engine itself grows by in the meantime is measured just before and taken off.

A connection is open and idle once it has asked `/health` and read the answer.
"""

import resource
import socket
import time

from http_serve import PATIENCE, Serve, kernel_memory
from side_by_side import Mismatch

STREAMS, CONNECTIONS = 64, 1000
# As many as a request may have: half of them run, half of them wait before our streams do.
TEXTS, TOKENS = 64, 1500
# The engine reads all texts first; then it grows by the keys and values of the tokens that it adds. How long
# it is left alone, and how long its growth is looked at.
READING, BASELINE = 6.0, 3.0
SETTLE = 0.5
# Beside our connections the server has files open and the watcher's own connection.
SPARE_FILES = 200


def measure(program: str, flags: list, routes: list) -> dict:
    """For streams of each of the routes, what the server held before, with them, and with connections, too."""
    return {route: one(program, flags, route) for route in routes}


def one(program: str, flags: list, route: str) -> dict:
    allow_open_files()
    with Serve(program, [*flags, "--warm"]) as server:
        requests = REQUESTS[route](server)
        for connection in open_streams(server, requests[:1]):
            read_to_end(connection)
        busy = keep_busy(server)
        try:
            return sample_growth(server, requests)
        finally:
            # Whoever waits for the texts leaves, which stops the engine.
            busy.close()


def sample_growth(server: Serve, requests: list) -> dict:
    samples = [sample(server)]
    time.sleep(BASELINE)
    samples.append(sample(server))
    streams = open_streams(server, requests)
    time.sleep(SETTLE)
    samples.append(sample(server))
    check_waiting(server)
    connections = [open_connection(server) for _ in range(CONNECTIONS)]
    time.sleep(SETTLE)
    samples.append(sample(server))
    check_waiting(server)
    check_open(samples)
    for connection in [*streams, *connections]:
        connection.close()
    return {"streams": STREAMS, "connections": CONNECTIONS, "samples": samples, **growth(samples)}


def sample(server: Serve) -> dict:
    return {
        "seconds": time.perf_counter(),
        "resident": server.resident(),
        "kernel": kernel_memory(),
        "open_files": server.open_files(),
    }


def growth(samples: list) -> dict:
    """Bytes that streams and connections cost, without what the engine grew by meanwhile."""
    first, before, with_streams, with_all = samples
    drift = max(0.0, (before["resident"] - first["resident"]) / (before["seconds"] - first["seconds"]))

    def grown(after: dict) -> float:
        return after["resident"] - before["resident"] - drift * (after["seconds"] - before["seconds"])

    kernel = None if before["kernel"] is None else with_all["kernel"] - before["kernel"]
    return {
        "drift_per_second": drift,
        "streams_bytes": grown(with_streams),
        "all_bytes": grown(with_all),
        "all_bytes_with_drift": with_all["resident"] - before["resident"],
        "kernel_bytes": kernel,
    }


def keep_busy(server: Serve) -> socket.socket:
    """Gives the engine more texts to go on with than it works on at once; its connection."""
    body = {
        "model": server.default_model("text"),
        "prompt": [f"{number}. Once upon a time" for number in range(TEXTS)],
        "max_tokens": TOKENS,
        "temperature": 1.0,
        "seed": 1,
    }
    busy = server.send("/v1/completions", body)
    deadline = time.monotonic() + PATIENCE
    while not (server.figure("longtrainer_engine_running") and server.figure("longtrainer_engine_waiting")):
        if time.monotonic() > deadline:
            raise Mismatch("the engine was given texts and does not get busy")
        time.sleep(0.1)
    time.sleep(READING)
    return busy


def check_waiting(server: Serve) -> None:
    """All streams must still wait: one that is answered has memory of its own."""
    waiting = server.figure("longtrainer_engine_waiting")
    if waiting < STREAMS:
        raise Mismatch(f"{waiting} streams wait for the engine, not {STREAMS}: they are not idle")


def check_open(samples: list) -> None:
    opened = samples[-1]["open_files"] - samples[1]["open_files"]
    if opened < STREAMS + CONNECTIONS:
        raise Mismatch(f"the server has {opened} connections open, not {STREAMS + CONNECTIONS}")


def open_streams(server: Serve, requests: list) -> list:
    """A stream for each request, begun."""
    streams = [server.send(path, body) for path, body in requests]
    for stream in streams:
        begin(stream)
    return streams


def begin(stream: socket.socket) -> None:
    """Reads the head and the first event."""
    read = b""
    while b"data:" not in read:
        piece = stream.recv(1 << 16)
        if not piece:
            raise Mismatch(f"a stream ended before it began: {read[:500]!r}")
        read += piece
    if not read.startswith(b"HTTP/1.1 200"):
        raise Mismatch(f"a stream was refused: {read[:500]!r}")


def read_to_end(stream: socket.socket) -> None:
    """Reads to the empty chunk that ends the body."""
    read = b""
    while not read.endswith(b"0\r\n\r\n"):
        piece = stream.recv(1 << 16)
        if not piece:
            raise Mismatch("a stream broke off")
        read += piece
    stream.close()


def open_connection(server: Serve) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    connection.sendall(f"GET /health HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode())
    reply = connection.recv(1 << 16)
    if not reply.startswith(b"HTTP/1.1 200"):
        raise Mismatch(f"a connection was refused: {reply[:200]!r}")
    return connection


def of_openai(server: Serve) -> list:
    """Chat completions of the model."""
    message = {"role": "user", "content": "Say hello."}
    body = {"model": server.default_model("text"), "messages": [message], "max_tokens": 8, "stream": True}
    return [("/v1/chat/completions", body)] * STREAMS


def of_chats(server: Serve) -> list:
    """Chats of a bot, which have a thread each while they are answered."""
    bot = server.ask("POST", "/bots", {})["bot_id"]
    server.ask("POST", f"/bots/{bot}/build", {})
    chats = [server.ask("POST", f"/bots/{bot}/chats", {})["chat_id"] for _ in range(STREAMS)]
    return [(f"/bots/{bot}/chats/{chat}", {"query": "Say hello."}) for chat in chats]


REQUESTS = {"/v1/chat/completions": of_openai, "/bots/{bot}/chats/{chat}": of_chats}


def allow_open_files() -> None:
    """Both ends of a connection are files; the server is started with what this process may have."""
    least = STREAMS + CONNECTIONS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < least:
        raise Mismatch(f"this process may have {hard} files open; {least} are needed")
    if soft != resource.RLIM_INFINITY and soft < least:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
