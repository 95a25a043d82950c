"""A Redis client of one page: the checker must not see the store through the code that it checks."""
import socket


class Down(Exception):
    """Redis is not there, or did not answer in time."""


class Redis:
    def __init__(self, path, timeout=10.0, login=None):
        """login: a user and a password, if the store asks for them."""
        self.path, self.timeout, self.login, self.socket, self.file = path, timeout, login, None, None

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(self.timeout)
        self.socket.connect(self.path)
        self.file = self.socket.makefile("rb")
        if self.login is not None:
            self.socket.sendall(encode(("AUTH", *self.login)))
            if self._read() != "OK":
                raise ValueError("it does not know us")

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def __call__(self, *words):
        return self.many([words])[0]

    def many(self, commands):
        """The answers of many commands, sent at once. An error answer is an instance of Error."""
        try:
            if self.socket is None:
                self.connect()
            self.socket.sendall(b"".join(encode(words) for words in commands))
            answers = [self._read() for _ in commands]
        except (OSError, ValueError, IndexError) as error:
            self.close()
            raise Down(str(error) or type(error).__name__) from error
        for answer in answers:
            if isinstance(answer, Error) and answer.startswith(("LOADING", "BUSY")):  # BUSY: it was stopped in mid script, and wakes up
                raise Down(f"it is {answer.split()[0].lower()}")
        return answers

    def _read(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Error(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            body = self.file.read(int(rest) + 2)
            return body[:-2].decode("utf-8", "replace")
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        raise ValueError(f"not RESP: {line!r}")


class Error(str):
    """An answer that begins with a minus."""


def encode(words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
