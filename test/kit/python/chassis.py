"""Asks the test that started this program about the machine behind the BMC, and orders it about."""

import http.client
import socket


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("chassis", timeout=5)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Chassis:
    """One machine; `name` tells it from others behind the same socket."""

    def __init__(self, path, name=""):
        self._path = path
        self._name = name

    def ask(self, *words):
        """Sends the words and gives the answer's lines. Raises ValueError when the other side does not understand."""
        connection = _UnixConnection(self._path)
        try:
            connection.request("POST", "/", " ".join((self._name, *words)).strip())
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{' '.join(words)}: {answer.status} {text}")
        return text.splitlines()

    def is_on(self):
        return self.ask("get", "power") == ["power:1"]
