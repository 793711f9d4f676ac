"""The daemon's tables, as protocol.describe gives them, and values held against their rows."""
import re

import ratsipc

TYPES = {
    "bool": lambda value: isinstance(value, bool),
    "uint": lambda value: is_integer(value) and value >= 0,
    "int": lambda value: is_integer(value),
    "real": lambda value: is_integer(value) or isinstance(value, float),
    "text": lambda value: isinstance(value, str) and "\0" not in value,
    "peer_id": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value),
    "choice": lambda value: isinstance(value, str),
    "words": lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def extent(row, value):
    """What min and max of a row measure."""
    if row["type"] == "text":
        return len(value.encode("utf-8"))
    if row["type"] in ("words", "array"):
        return len(value)
    return value


def faults_of_value(row, value, where):
    if value is None:
        return [] if row.get("nullable") else ["%s is null" % where]
    if not TYPES[row["type"]](value):
        return ["%s is %r, not %s" % (where, value, row["type"])]
    faults = []
    if row["type"] in ("uint", "int", "real", "text", "words", "array"):
        if "min" in row and extent(row, value) < row["min"]:
            faults.append("%s is under %d: %r" % (where, row["min"], value))
        if "max" in row and extent(row, value) > row["max"]:
            faults.append("%s is over %d: %r" % (where, row["max"], value))
    if "choices" in row:
        words = value if isinstance(value, list) else [value]
        faults += ["%s: %r is no choice" % (where, w) for w in words if w not in row["choices"]]
    if "fields" in row:
        for item in value if isinstance(value, list) else [value]:
            faults += faults_of_object(row["fields"], item, where)
    return faults


def faults_of_object(rows, value, where):
    """What is wrong with an object, as a list of sentences. A member without a row is wrong too:
    a reader must ignore it, but this daemon's table should have told of it."""
    if not isinstance(value, dict):
        return ["%s is %r, not an object" % (where, value)]
    faults = []
    names = {row["name"] for row in rows}
    faults += ["%s.%s has no row" % (where, name) for name in value if name not in names]
    for row in rows:
        if row["name"] in value:
            faults += faults_of_value(row, value[row["name"]], "%s.%s" % (where, row["name"]))
        elif row["required"]:
            faults.append("%s.%s is missing" % (where, row["name"]))
    return faults


class Tables:
    """Methods, events and errors by name."""

    known = {}  # daemon version: its tables
    seen = {"reply": set(), "fail": set(), "event": set()}  # names that were held against a row

    def __init__(self, document):
        self.document = document
        self.methods = {row["name"]: row for row in document["methods"]}
        self.events = {row["name"]: row for row in document["events"]}
        self.errors = {row["name"]: row for row in document["errors"]}

    @classmethod
    def of(cls, client):
        """Those of the daemon that client speaks to; asked for once."""
        version = client.info["daemon"]
        if version not in cls.known:
            cls.known[version] = cls(client.call("protocol.describe"))
        return cls.known[version]

    def check_reply(self, method, result):
        ratsipc.record({"method": method, "result": result})
        if method == ratsipc.A_MESSAGE:
            assert set(result) == {"peers"} and is_integer(result["peers"])
            return
        if method in self.methods:
            self.seen["reply"].add(method)
            faults = faults_of_object(self.methods[method]["result"], result, method)
            assert not faults, "\n".join(faults)

    def check_fail(self, method, head):
        ratsipc.record({"method": method, "fail": head})
        assert head["e"] in self.errors, "no error is called %r" % head["e"]
        assert head["code"] == self.errors[head["e"]]["code"]
        self.seen["fail"].add(head["e"])
        assert isinstance(head["text"], str) and head["text"].strip()
        assert isinstance(head.get("d", {}), dict)
        if method in self.methods:
            documented = self.methods[method]["errors"]
            assert head["e"] in documented, "%s does not document %s" % (method, head["e"])

    def check_event(self, head):
        ratsipc.record({"event": head["v"], "fields": head["p"]})
        assert head["v"] in self.events, "no event is called %r" % head["v"]
        self.seen["event"].add(head["v"])
        faults = faults_of_object(self.events[head["v"]]["fields"], head["p"], head["v"])
        assert not faults, "\n".join(faults)
