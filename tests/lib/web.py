# SPDX-License-Identifier: MIT
"""Servers on the loopback address that a guest behind user networking reaches as 10.0.2.2."""
import hashlib
import http.server
import socket
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(urllib.parse.unquote(self.path))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.payload)))
        self.end_headers()
        try:
            self.wfile.write(self.server.payload)
        except ConnectionError:
            pass  # the guest was switched off meanwhile

    def log_message(self, *_):
        pass


def serve(payload):
    """Answers every GET with payload; .asked has the paths, .port the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.payload, server.port = [], payload, server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Upload(threading.Thread):
    """Takes one connection and digests what comes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.digest = None
        self.start()

    def run(self):
        conn = self.sock.accept()[0]
        h = hashlib.sha256()
        while data := conn.recv(65536):
            h.update(data)
        self.digest = h.hexdigest()
