"""Hostile neighbours of a good message, made from its schema: for every place in it one document for each way in which
that place can be wrong, and the answer that it must get. The schemas of proto/schema are the only table; what a rule
here cannot know of a field stands in EXCEPTIONS, with its reason."""
import collections
import copy
import fnmatch
import json
import pathlib
import re

from jsonschema import Draft202012Validator, RefResolver

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "proto" / "schema"
STORE = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
IDS = {schema["$id"]: schema for schema in STORE.values()}
DEPTH_MAX = 64
EXACT = 2 ** 53
MARK = "\u2603 here \u2603"
ID_PATTERN = STORE["common.schema.json"]["$defs"]["id"]["pattern"]
SAMPLES = ["x-1", "0" * 32, "0" * 40, "0" * 64, "2026-01-01T00:00:00Z", "OK", "1:1", "ws://127.0.0.1:1", "tcp://127.0.0.1:1", "unix:/x"]
OF_TYPE = {"boolean": b"true", "integer": b"7", "number": b"1.5", "string": b'"x"', "array": b"[]", "object": b"{}"}
OF_THE_TEXT = ("BAD_JSON", "TOO_DEEP")  # what no message is excepted from
ACCEPTED = "accepted"  # not a code: the message is good as far as its codec can tell

# code: what must come back; field: its name, one of several, or None; says: what the message must contain
Case = collections.namedtuple("Case", "name body code field says")


# ---- schemas ----

class Form:
    """Everything that the schema says of one place, its references and conditions resolved for the value there."""

    def __init__(self, node, base, value):
        self.types, self.nullable, self.words, self.also = None, False, {}, []
        self.properties, self.required, self.items, self.entries = {}, set(), None, None
        self.take(node, base, value)

    def take(self, node, base, value):
        if "$ref" in node:
            self.take(*resolve(node["$ref"], base), value)
        for part in node.get("allOf", []):
            self.take(part, base, value)
        if "if" in node and judge(node["if"], base).is_valid(value):
            self.take(node.get("then", {}), base, value)
        for word in ("anyOf", "oneOf"):
            if word in node:
                self.choose(node[word], base, value)
        if "type" in node:
            types = {node["type"]} if isinstance(node["type"], str) else set(node["type"])
            self.nullable |= "null" in types
            self.types = types - {"null"}
        self.required |= set(node.get("required", []))
        self.properties.update({name: (inner, base) for name, inner in node.get("properties", {}).items()})
        if "items" in node:
            self.items = (node["items"], base)
        if isinstance(node.get("additionalProperties"), dict):
            self.entries = (node["additionalProperties"], base)
        for word in ("const", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "uniqueItems",
                     "maxProperties", "additionalProperties", "propertyNames", "prefixItems", "x-max-bytes", "x-code"):
            if word in node:
                self.words[word] = node[word]
        for values in ([node["const"]] if "const" in node else [], node.get("enum", [])):
            for allowed in values:
                self.types = (self.types or set()) | {type_of(allowed)}

    def choose(self, alternatives, base, value):
        others = [node for node in alternatives if node.get("type") != "null"]
        self.nullable |= len(others) < len(alternatives)
        self.also = [node["const"] for node in others if "const" in node and len(others) > 1]
        fits = [node for node in others if judge(node, base).is_valid(value)]
        self.take((fits or others)[0], base, value)

    def __getattr__(self, word):
        return self.words.get(word)

    @property
    def is_id(self):
        return self.pattern == ID_PATTERN

    @property
    def is_map(self):
        return self.entries is not None

    def allows(self, kind):
        if self.types is None:
            return True
        return kind in self.types or (kind == "integer" and "number" in self.types)


def type_of(value):
    return {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def resolve(reference, base):
    """(node, name of the file it stands in)."""
    file, _, way = reference.partition("#")
    base = file or base
    node = STORE[base]
    for step in filter(None, way.split("/")):
        node = node[step]
    return node, base


def judge(node, base):
    root = STORE[base]
    return Draft202012Validator(node, resolver=RefResolver(root["$id"], root, IDS))


def sample(node, base, given=None):
    """A document with every member that the schema knows; `given` is taken as it is and decides conditions."""
    form = Form(node, base, given)
    if isinstance(given, dict) or (given is None and form.types and "object" in form.types):
        document = dict(given or {})
        for name, (inner, where) in sorted(form.properties.items()):
            if Form(inner, where, None).types != set():  # only null is allowed there
                document[name] = sample(inner, where, document.get(name))
        if form.is_map and not document:
            document["KEY"] = sample(*form.entries)
        return document
    if given is not None:
        return given
    if form.const is not None or form.enum:
        return form.const if form.const is not None else form.enum[0]
    if form.types is None:
        return "anything"
    if "string" in form.types:
        return next(text for text in ["x", *SAMPLES] if form.pattern is None or re.search(form.pattern, text))
    if "integer" in form.types:
        return max(form.minimum or 0, 1)
    return True if "boolean" in form.types else [sample(*form.items)] if form.items else []


# ---- places ----

Place = collections.namedtuple("Place", "path form required value owner")


def places(node, base, document, path=(), required=False, owner=None):
    """Every place of the document that the schema speaks of, the whole one first."""
    form = Form(node, base, document)
    yield Place(path, form, required, document, owner)
    if isinstance(document, dict):
        for name, value in document.items():
            inner = form.properties.get(name) or form.entries
            if inner is not None:
                yield from places(*inner, value, (*path, name), name in form.required, form)
    elif isinstance(document, list) and form.items is not None:
        for i, value in enumerate(document[:1]):
            yield from places(*form.items, value, (*path, i), False, form)


def name_of(path):
    """As the codecs write it: session.messages[0].role"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def pack(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def with_value(document, path, raw):
    """The document's bytes with `raw`, JSON or not, at the path."""
    if not path:
        return raw
    document = copy.deepcopy(document)
    owner = document
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = MARK
    return pack(document).replace(pack(MARK), raw)


def without(document, path):
    document = copy.deepcopy(document)
    owner = document
    for step in path[:-1]:
        owner = owner[step]
    del owner[path[-1]]
    return pack(document)


# ---- the rules ----

def bad(code, *says, field=True, at=None):
    """The answer that names the place itself, another one, or (False) none, and says all these words."""
    return code, at or field, says


GOOD = (ACCEPTED, None, ())
NOT_JSON = bad("BAD_JSON", field=False)


def null_rule(place):
    if place.form.nullable or place.form.types is None:
        return GOOD
    if place.required:
        return bad("MISSING_FIELD")
    return bad("BAD_FIELD")


def text_rules(form, wrong):
    """(what, raw, answer) of a place that holds text; `wrong` is the code of a text that may not stand there."""
    fixed = form.enum or form.const is not None
    allowed = form.enum or []
    if (fixed or form.pattern or form.minLength) and "" not in form.also:
        yield "empty", b'""', bad(wrong, *allowed)
    else:
        yield "empty", b'""', GOOD
    if fixed:
        yield "unknown", b'"no such thing"', bad(wrong, *allowed)
    if form.is_id:
        yield "at the limit", pack("x" * 128), GOOD
        yield "beyond", pack("x" * 129), bad(wrong, "128")
        for odd in ("../x", "a b", "a/b", "a\n", "\u00e9", "-a", "$sys", "a\u007f"):
            yield f"odd {odd!a}", pack(odd), bad(wrong)
    elif form.maxLength and not fixed and not form.pattern:
        yield "at the limit", pack("x" * form.maxLength), GOOD
        yield "beyond", pack("x" * (form.maxLength + 1)), bad("TOO_LARGE", str(form.maxLength))
        yield "beyond in bytes", pack("\u00e9" * (form.maxLength // 2 + 1)), bad("TOO_LARGE", str(form.maxLength))
    elif form.pattern and not fixed:
        yield "malformed", pack("\u00e9 " + "x" * 40), bad(wrong)
        if form.maxLength:
            yield "beyond", pack("x" * (form.maxLength + 1)), bad("TOO_LARGE", str(form.maxLength))
    yield "NUL", b'"a\\u0000b"', NOT_JSON
    yield "raw NUL", b'"a\0b"', NOT_JSON
    yield "control character", b'"a\x01b"', NOT_JSON
    for odd in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        yield f"bad UTF-8 {odd.hex()}", b'"' + odd + b'"', NOT_JSON
    yield "lone surrogate", b'"\\ud800"', NOT_JSON


def number_rules(form):
    yield "not whole", b"1.5", bad("BAD_FIELD")
    yield "out of range", b"1e999", NOT_JSON
    yield "leading zero", b"01", NOT_JSON
    yield "not exact", str(EXACT).encode(), bad("BAD_FIELD")
    if form.minimum is not None:
        yield "at the least", str(form.minimum).encode(), GOOD
        yield "below the least", str(form.minimum - 1).encode(), bad(form.words.get("x-code", "BAD_FIELD"), str(form.minimum))
    if form.maximum is not None:
        yield "at the limit", str(form.maximum).encode(), GOOD
        yield "beyond", str(form.maximum + 1).encode(), bad(form.words.get("x-code", "BAD_FIELD"), str(form.maximum))


def entries_of(form, n):
    """n different good entries of a list."""
    entry = Form(*form.items, None)
    if entry.types == {"integer"}:
        return [i + 1 for i in range(n)]
    if entry.pattern and not entry.is_id and "string" in entry.types:
        return [f"{sample(*form.items)}{i}" for i in range(n)]
    return [f"x-{i}" for i in range(n)] if "string" in (entry.types or {"string"}) else [sample(*form.items)] * n


def list_rules(form):
    yield "empty", b"[]", bad("BAD_FIELD") if form.minItems else GOOD
    if form.maxItems and form.items:
        yield "at the limit", pack(entries_of(form, form.maxItems)), GOOD
        yield "beyond", pack(entries_of(form, form.maxItems + 1)), bad("TOO_LARGE", str(form.maxItems))
    if form.uniqueItems:
        yield "the same twice", pack(entries_of(form, 1) * 2), ("BAD_FIELD", "inside", ())


def object_rules(place):
    form = place.form
    if form.words.get("x-max-bytes"):
        yield "larger than it may be", oversized(place), bad("TOO_LARGE", str(form.words["x-max-bytes"]))
    if form.required:
        yield "empty", b"{}", ("MISSING_FIELD", "member", ())
    else:
        yield "empty", b"{}", GOOD
    if form.additionalProperties is False:
        yield "an unknown member", b'{"no_such_member":1}', ("BAD_FIELD", "inside", ())
    if form.is_map:
        value = pack(sample(*form.entries))
        if form.propertyNames:
            known = Form(form.propertyNames, "common.schema.json", None)
            yield "a bad key", b'{"a b":' + value + b"}", ("BAD_ID" if known.is_id else "BAD_FIELD", True, ())
        if form.maxProperties:
            for what, n, answer in (("at the limit", form.maxProperties, GOOD),
                                    ("beyond", form.maxProperties + 1, bad("TOO_LARGE", str(form.maxProperties)))):
                yield what, b"{" + b",".join(b'"K%d":' % i + value for i in range(n)) + b"}", answer


def deep(n):
    return b"[" * n + b"]" * n


def value_rules(place, head):
    """(what, raw, answer): every wrong value of a place, and the good ones at its limits. head: the member that says which
    message it is."""
    form = place.form
    yield "null", b"null", null_rule(place)
    for kind, raw in OF_TYPE.items():
        if not form.allows(kind) and not (kind == "number" and form.allows("integer")):
            yield f"wrong type {kind}", raw, bad("BAD_FIELD")
    if form.allows("string") and form.types is not None:
        yield from text_rules(form, "BAD_KIND" if form.enum and place.path == (head,) else "BAD_ID" if form.is_id else "BAD_FIELD")
    if form.types and "integer" in form.types and form.const is None:
        yield from number_rules(form)
    if form.const is not None and type_of(form.const) == "integer":
        yield "another version", b"2", bad("BAD_VERSION", "2", str(form.const))
    if form.types and "array" in form.types:
        yield from list_rules(form)
    if form.types and "object" in form.types:
        yield from object_rules(place)
    room = DEPTH_MAX - len(place.path)
    any_value = form.types is None or ("array" in form.types and form.items is None)
    yield "as deep as allowed", deep(room), GOOD if any_value else ("BAD_FIELD", "inside", ())
    yield "deep", deep(room + 1), bad("TOO_DEEP", str(DEPTH_MAX), field=False)
    if isinstance(place.path[-1], str):
        yield "no value", b"", NOT_JSON
    yield "not JSON", b"nothing", NOT_JSON


def oversized(place):
    return pack(place.value)[:-1] + b',"no_such_member":"' + b"x" * place.form.words["x-max-bytes"] + b'"}'


def whole_rules(place):
    """Of the message as a whole."""
    document = place.value
    good = pack(document)
    yield "no bytes", b"", NOT_JSON
    for kind, raw in OF_TYPE.items():
        if kind != "object":
            yield f"wrong type {kind}", raw, NOT_JSON
    yield "null", b"null", NOT_JSON
    yield "cut", good[:-1], NOT_JSON
    yield "more behind it", good + b"{}", NOT_JSON
    yield "a NUL behind it", good + b"\0", NOT_JSON
    yield "a byte order mark", b"\xef\xbb\xbf" + good, NOT_JSON
    yield "UTF-16", good.decode().encode("utf-16"), NOT_JSON
    yield "the same key twice, once escaped", good[:-1] + b',"' + escaped(next(iter(document))) + b'":1}', NOT_JSON
    yield "an unknown member", good[:-1] + b',"no_such_member":{"a":[1]}}', GOOD
    if place.form.words.get("x-max-bytes"):
        yield "larger than it may be", oversized(place), bad("TOO_LARGE", str(place.form.words["x-max-bytes"]), field=False)


def escaped(text):
    return b"\\u%04x" % ord(text[0]) + text[1:].encode()


def rules_of(place, document, head):
    """(what, body, answer) of one place."""
    *way, last = place.path
    if isinstance(last, str) and not place.owner.is_map:
        yield "missing", without(document, place.path), bad("MISSING_FIELD") if place.required else GOOD
    if isinstance(last, str):
        twice = b"%s,%s:%s" % (pack(place.value), pack(last), pack(place.value))
        yield "twice", with_value(document, place.path, twice), bad("BAD_JSON", last, field=False)
    for what, raw, answer in value_rules(place, head):
        yield what, with_value(document, place.path, raw), answer


def expected(place, answer):
    code, field, says = answer
    name = name_of(place.path)
    if field == "member":
        field = tuple(name_of((*place.path, member)) for member in sorted(place.form.required))
    elif field == "inside":
        field = (name, name + ".", name + "[")  # itself, or the first place within that is wrong
    elif field:
        field = (name if field is True else field,)
    return code, field or None, says


def cases(message, given, exceptions=(), below=""):
    """All cases of one message; `given` holds its kind and whatever must have a certain value. `exceptions`: (pattern of
    "<kind> <place>: <what>", answer, reason); the first one that fits counts. `below`: what the answers leave out of a field's name."""
    base = f"{message}.schema.json"
    document = sample(STORE[base], base, given)
    head = given.get("op") or given.get("kind") or message
    whole, *inner = list(places(STORE[base], base, document))
    found = [(whole, what, body, answer) for what, body, answer in whole_rules(whole)]
    found += [(place, what, body, answer) for place in inner for what, body, answer in rules_of(place, document, next(iter(given), None))]
    for place, what, body, answer in found:
        label = f"{name_of(place.path)}: {what}"
        fits = [row for row in exceptions if fnmatch.fnmatchcase(f"{head} {label}", row[0])] if answer[0] not in OF_THE_TEXT else []
        code, field, says = expected(place, fits[0][1] if fits else answer)
        yield Case(f"{head} {label}", body, code, field and tuple(name.removeprefix(below) for name in field), says)


def verdict(case, code, field, message):
    """None, or what is wrong with an answer. code None: it was accepted."""
    if (code or ACCEPTED) != case.code:
        return f"{code or ACCEPTED}, not {case.code}: {message}"
    if case.code == ACCEPTED:
        return None
    if case.field is not None and not any(field == name or (name[-1:] in ".[" and (field or "").startswith(name)) for name in case.field):
        return f"names {field}, not {' or '.join(case.field)}: {message}"
    if case.field is None and field:
        return f"names {field}, although no field can be named: {message}"
    unsaid = [word for word in case.says if word not in message]
    return f"does not say {', '.join(unsaid)}: {message}" if unsaid else None
