"""The real server as a figure needs it: started with nothing stored, asked, looked at from outside, stopped."""

import http.client
import json
import os
import pathlib
import shlex
import socket
import subprocess
import tempfile
import time

from side_by_side import Mismatch, process_seconds

START_PATIENCE = 60
PATIENCE = 300


class Serve:
    """A server at work over a folder of its own; stopped at the end of the `with` block."""

    def __init__(self, program: str, flags: list):
        self.program, self.flags = program, flags

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.log = tempfile.TemporaryFile()
        command = [self.program, "--offline", "--port", "0", "--data-dir", self.folder.name, *self.flags]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        try:
            self.port = self.listening_port()
            self.ready_after = self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.folder.cleanup()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def listening_port(self) -> int:
        """The port that it says it listens on."""
        for line in self.process.stdout:
            _, found, rest = line.decode().partition("http://")
            if found:
                return int(rest.split()[0].split("/")[0].rpartition(":")[2])
        raise Mismatch(f"the server ended at its start:\n{self.last_lines()}")

    def wait_until_ready(self) -> float:
        """Seconds from the start of the process to the first 200 of `/ready`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_PATIENCE)
        said = ""
        while time.perf_counter() - self.started < START_PATIENCE:
            connection.request("GET", "/ready")
            reply = connection.getresponse()
            said = reply.read().decode()
            if reply.status == 200:
                connection.close()
                return time.perf_counter() - self.started
            time.sleep(0.002)
        raise Mismatch(f"the server was not ready after {START_PATIENCE} seconds: {said}\n{self.last_lines()}")

    def last_lines(self) -> str:
        self.log.seek(0)
        return "\n".join(self.log.read().decode(errors="replace").splitlines()[-8:])

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """A JSON answer that must be a success."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        said = reply.read().decode(errors="replace")
        connection.close()
        if reply.status not in (200, 202):
            raise Mismatch(f"{method} {path}: {reply.status} {said[:500]}")
        return json.loads(said)

    def send(self, path: str, body: dict) -> socket.socket:
        """Asks for a stream of events on a connection of its own, and reads nothing yet."""
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.address}\r\nContent-Type: application/json\r\n"
            f"Accept: text/event-stream\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(head.encode() + content)
        return connection

    def default_model(self, role: str) -> str:
        models = self.ask("GET", "/models")["models"]
        return next(model["name"] for model in models if model["role"] == role and model["default"])

    def figure(self, name: str) -> int:
        """The sum of a figure of `/metrics` over its labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
        return int(sum(float(value) for series, _, value in lines if series.partition("{")[0] == name))

    def resident(self) -> int:
        """Bytes of memory, as the system tells."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(kilobytes) * 1024

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def seconds(self) -> float:
        """Its processor time so far."""
        return process_seconds(self.process.pid)

    def command(self) -> str:
        """How it was started, with the names of files only."""
        return shlex.join([pathlib.PurePath(self.program).name, *self.flags])


def kernel_memory() -> int | None:
    """Bytes that the system holds for all TCP connections, both ends of ours included."""
    try:
        lines = pathlib.Path("/proc/net/sockstat").read_text().splitlines()
    except OSError:
        return None
    [fields] = [line.split() for line in lines if line.startswith("TCP:")]
    return int(fields[fields.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
