"""The daemon's socket, spoken byte by byte: the native Varlink protocol and HTTP, without any client library."""

import http.client
import json
import socket
from collections.abc import Iterator

INTERFACE = "org.evidenced.Ledger"
TIMEOUT = 30


class CallError(Exception):
    """An error reply. `name` is the last part of the error's name, `full_name` all of it."""

    def __init__(self, full_name: str, parameters: dict):
        super().__init__(f"{full_name} {parameters}")
        self.full_name = full_name
        self.name = full_name.rpartition(".")[2]
        self.parameters = parameters


def qualified(method: str) -> str:
    return method if "." in method else f"{INTERFACE}.{method}"


class Wire:
    """A raw connection. Also a context manager."""

    def __init__(self, path, timeout: float = TIMEOUT):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.pending = b""
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send_call(self, method: str, parameters: dict | None = None, **flags):
        """Sends one native call; flags are `more`, `oneway`, `upgrade`."""
        self.send(message(method, parameters, **flags))

    def receive(self) -> dict | None:
        """The next native message; None where the daemon closed the connection."""
        while b"\0" not in self.pending:
            data = self._read()
            if not data:
                assert not self.pending, f"the connection ended within a message: {self.pending[:200]!r}"
                return None
            self.pending += data
        text, _, self.pending = self.pending.partition(b"\0")
        return json.loads(text)

    def reply(self) -> dict:
        """The parameters of the next native reply; raises CallError for an error reply."""
        answer = self.receive()
        assert answer is not None, "the daemon closed the connection instead of answering"
        return result(answer)

    def call(self, method: str, parameters: dict | None = None, **flags) -> dict:
        self.send_call(method, parameters, **flags)
        return self.reply()

    def stream(self, method: str, parameters: dict | None = None) -> Iterator[dict]:
        """All replies of a call with `more`, until the last one."""
        self.send_call(method, parameters, more=True)
        while True:
            answer = self.receive()
            assert answer is not None, "the daemon closed the connection within a stream"
            yield result(answer)
            if not answer.get("continues"):
                return

    def receive_all(self) -> bytes:
        """Everything until the daemon closes the connection."""
        data, self.pending = self.pending, b""
        while part := self._read():
            data += part
        return data

    def _read(self) -> bytes:
        try:
            return self.socket.recv(1 << 16)
        except ConnectionResetError:
            return b""


def message(method: str, parameters: dict | None = None, **flags) -> bytes:
    """A native call as bytes, with its NUL."""
    call = {"method": qualified(method)} | flags
    if parameters is not None:
        call["parameters"] = parameters
    return json.dumps(call, ensure_ascii=False).encode() + b"\0"


def result(answer: dict) -> dict:
    if "error" in answer:
        raise CallError(answer["error"], answer.get("parameters") or {})
    return answer["parameters"]


class UnixHTTPConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path, timeout: float = TIMEOUT):
        super().__init__("ledger", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, verb: str, path: str, body=None, headers: dict | None = None):
        """One request; gives status, headers and body. A dict as body is sent as JSON."""
        if isinstance(body, dict):
            body = json.dumps(body)
        self.request(verb, path, body, headers or {})
        response = self.getresponse()
        return Answer(response.status, response.headers, response.read())

    def call(self, method: str, parameters: dict | None = None, headers: dict | None = None):
        return self.ask("POST", f"/call/{qualified(method)}", parameters or {}, headers)


class Answer:
    def __init__(self, status: int, headers, body: bytes):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"
