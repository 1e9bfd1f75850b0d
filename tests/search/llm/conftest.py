import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class HttpModel(ThreadingHTTPServer):
    """An endpoint that answers in order: text, an HTTP status (with its body or not), a raw body,
    a delay in seconds, or None: the connection breaks."""

    daemon_threads = True

    def __init__(self, replies):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies, self.requests = list(replies), []
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: HttpModel

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(
            {
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": json.loads(body),
            }
        )
        reply = self.server.replies.pop(0)
        if reply is None:
            self.close_connection = True
            return
        if isinstance(reply, float):
            time.sleep(reply)
            reply = "late"
        with contextlib.suppress(OSError):  # nobody may wait for a late reply
            self._answer(reply)

    def _answer(self, reply):
        status, content = 200, reply
        if isinstance(reply, int):
            status, content = reply, b"out of  order"
        elif isinstance(reply, tuple):
            status, content = reply
        elif isinstance(reply, str):
            choice = {"message": {"content": reply}, "finish_reason": "stop"}
            content = json.dumps({"choices": [choice], "usage": {"total_tokens": 3}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def http_model():
    servers = []

    def start(*replies):
        server = HttpModel(replies)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
