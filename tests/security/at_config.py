"""Configuration files, as `rhizome config check` and every program reads them. What each setting may be stands in the table of
proto/base/setting.c, which is read here as text."""
import pathlib
import re
import subprocess

import hostile
from hostile import ACCEPTED, bad, cases
from stages import BIN, PATIENCE, Folder, field_of

TOP = pathlib.Path(__file__).resolve().parents[2]
TEXT = {"type": "string", "maxLength": 4096}
ID = {"type": "string", "pattern": hostile.ID_PATTERN}
ENDPOINT = {"type": "string", "pattern": r"^(tcp|ipc)://.+$"}
KINDS = {
    "TEXT": TEXT, "ID": ID, "ENDPOINT": ENDPOINT, "HTTP": {"type": "string", "pattern": "^tcp://.+$"},
    "SECRET": TEXT, "BOOL": {"type": "boolean"}, "URL": {"type": "string", "pattern": "^unix:.+$"},  # one of its forms
    "TEXTS": {"type": "array", "maxItems": 256, "items": {**TEXT, "minLength": 1}},
    "IDS": {"type": "array", "maxItems": 256, "items": ID},
    "ENDPOINTS": {"type": "array", "maxItems": 256, "items": ENDPOINT},
}
EXCEPTIONS = [
    ("config : an unknown member", bad("BAD_FIELD", "nearest", at="no_such_member"), "a setting that nobody reads is a mistake"),
    *[(f"config broker.sync_ms: {what}", bad("BAD_FIELD", "twice broker.sync_ms", at="broker.lease_ms"), "a lease of 100 ms stands beside it")
      for what in ("missing", "at the limit")],
    ("config redis.password: at the limit", bad("BAD_FIELD", "redis.password is set too", at="redis.password_file"), "one of the two"),
]
NO_PASSWORD = {"redis": {"password": ""}}  # there is a file for it
AT_ONCE = 100  # files of one command


def number(expression):
    """The value of a bound as C has it there: 1000, RZ_QUEUE_MAX, (int64_t)RZ_JOB_MAX."""
    limits = dict(re.findall(r"^#define (RZ_\w+) +(.*?)(?: +/\*.*)?$", (TOP / "proto/base/limits.h").read_text(), re.M))
    expression = re.sub(r"\((?:int64_t|size_t)\)", "", expression)
    expression = re.sub(r"RZ_\w+", lambda name: re.sub(r"\(size_t\)", "", limits[name[0]]), expression)
    return int(eval(expression, {"__builtins__": {}}))  # digits, brackets and << of our own source


def optional(kind):
    """Empty when there is none."""
    return {"anyOf": [kind, {"const": ""}]} if "pattern" in kind else kind


def settings():
    """Yields (key, schema)."""
    table = re.search(r"rz_settings\[\] = \{\n(.*?)\n\};", (TOP / "proto/base/setting.c").read_text(), re.S)[1]
    for kind, key, rest in re.findall(r'^    (\w+)\("([a-z._]+)", ?(.*)\),$', table, re.M):
        if kind == "OF":
            kind, rest = re.match(r"RZ_SETTING_(\w+), (.*)", rest).groups()
        if kind == "INT":
            low, high = re.match(r'"[^"]*", ([^,]+), ([^,]+),', rest).groups()
            yield key, {"type": "integer", "minimum": number(low), "maximum": number(high)}
        elif kind == "WORD":
            yield key, {"enum": re.findall(r'"([^"]*)"', rest)[2:]}  # behind the default and the sentence
        else:
            yield key, optional(KINDS[kind]) if kind in ("ID", "HTTP") or rest.startswith('""') else KINDS[kind]


def schema():
    """Of a whole file: sections and their settings."""
    top = {"$id": "config.schema.json", "type": "object", "additionalProperties": False, "properties": {}}
    for key, kind in settings():
        section, _, name = key.rpartition(".")
        owner = top
        if section:
            owner = top["properties"].setdefault(section, {"type": "object", "additionalProperties": False, "properties": {}})
        owner["properties"][name] = kind
    return top


class Config(Folder):
    def __enter__(self):
        super().__enter__()
        hostile.STORE["config.schema.json"] = hostile.IDS["config.schema.json"] = schema()
        return self

    def cases(self):
        """Whatever a value may not be is BAD_FIELD here, and a list is one value."""
        for case in cases("config", NO_PASSWORD, EXCEPTIONS):
            if case.code not in (ACCEPTED, "BAD_JSON", "TOO_DEEP"):
                field = tuple(re.sub(r"\[.*", "", name) for name in case.field)
                case = case._replace(code="BAD_FIELD", field=field + tuple(name + "." for name in field))
            yield case

    def answers(self, batch):
        for first in range(0, len(batch), AT_ONCE):
            window = batch[first:first + AT_ONCE]
            for number_, case in enumerate(window):
                (self.path / f"{number_}.json").write_bytes(case.body)
            done = subprocess.run([BIN / "rhizome", "config", "check", *(f"{i}.json" for i in range(len(window)))], cwd=self.path,
                                  capture_output=True, timeout=PATIENCE, check=False)
            told = dict(re.findall(r"^rhizome: (\d+)\.json: (.*)$", done.stderr.decode(), re.M))
            assert done.returncode == (78 if told else 0), done
            for number_, case in enumerate(window):
                yield case, self.answer(told.get(str(number_)))

    @staticmethod
    def answer(line):
        if line is None:
            return None, None, ""
        text, code = re.fullmatch(r"(.*) \(([A-Z_]+)\)", line).groups()
        return code, field_of(text), text

    def untouched(self):
        return {}

    def serves(self):
        pass


ENTRIES = {"config": Config}
