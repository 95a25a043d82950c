"""RZ_SECURE=1 for tests in Python: what secured.h says, by the commands that a person uses."""
import json
import os
import pathlib
import subprocess

WANTED = os.environ.get("RZ_SECURE") == "1"
TOP = pathlib.Path(__file__).resolve().parents[2]
OWNER = "owner"  # name and password of the test's own user of Redis


def give_key(socket, path):
    """Before bind or connect."""
    key = json.loads(pathlib.Path(path).read_text())
    socket.curve_publickey, socket.curve_secretkey = key["public_key"].encode(), key["secret_key"].encode()
    if key["role"] == "broker":
        socket.curve_server = True
    else:
        socket.curve_serverkey = key["server_key"].encode()


class Keys:
    """A broker's key, its list, and a key of each role that is asked for. Where nothing is wanted: none, and no flags."""

    def __init__(self, programs, folder):
        self.rhizome, self.folder = programs / "rhizome", pathlib.Path(folder)
        self.allow, self.at_broker = self.folder / "allow.json", []
        if WANTED:
            self.at_broker = ["--security-key", self.path("broker"), "--security-allow", self.allow]
            self._new("broker", "--role", "broker")
            self._new("admin", "--role", "admin", *self.at_broker)
            self._new("runner", "--role", "runner", "--runners", "*", *self.at_broker)

    def path(self, name):
        return self.folder / f"{name}.key"

    def _new(self, name, *flags):
        subprocess.run([self.rhizome, "key", "new", name, *flags, "--out", self.path(name)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def at_runner(self):
        return ["--security-key", self.path("runner")] if WANTED else []

    def apply(self, socket, name):
        """Before bind or connect."""
        if WANTED:
            give_key(socket, self.path(name))


class Users:
    """The shipped users of Redis, and the test's own. Where nothing is wanted: none."""

    def __init__(self, folder):
        self.folder, self.redis, self.login = pathlib.Path(folder), [], None
        if WANTED:
            rules = subprocess.run([TOP / "ops" / "redis" / "acl", self.folder], check=True, stdout=subprocess.PIPE, text=True).stdout
            path = self.folder / "users.acl"
            path.write_text(f"{rules}user {OWNER} on >{OWNER} ~* &* +@all\n")
            self.redis, self.login = ["--aclfile", path], (OWNER, OWNER)

    def flags(self, user):
        """Of a broker ("broker"), of `rhizome store` ("admin")."""
        return ["--redis-user", user, "--redis-password-file", self.folder / f"redis.{user}"] if WANTED else []
