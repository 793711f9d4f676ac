"""rats-ipc in plain Python: sockets and struct, nothing of ours (man/rats-ipc.7).

The conformance suite speaks through it, and the integration tests where they need to see frames.
Every sequence number is checked for gaps as it arrives, and every reply and event is held against
the daemon's own tables (shapes.py).
"""
import array
import json
import os
import select
import socket
import struct
import time
from collections import deque
from typing import NamedTuple

import shapes

CALL, REPLY, FAIL, EVENT, MESSAGE, CANCEL = range(1, 7)
HEADER = struct.Struct("<IHBBQ")
HEADER_SIZE = HEADER.size
MAX_SIZE = 64 * 1024 * 1024 + 64 * 1024
MAX_PAYLOAD = 64 * 1024 * 1024 - 20
CHANNEL, TYPED, TOPIC = 1, 2, 3
ECHO, LOCAL = 1, 2  # flags of a MESSAGE
EVERY_PEER = "0" * 64
A_MESSAGE = "a MESSAGE with an id"  # stands for the method where a message is answered


class Frame(NamedTuple):
    kind: int
    id: int
    head: bytes
    body: bytes
    fds: int = 0

    def json(self):
        """The head; a result of more than 64 KiB travels as the body of a frame without one."""
        return json.loads((self.head or self.body).decode("utf-8"))


class Message(NamedTuple):
    """What a MESSAGE frame says."""

    peer: str
    name: str
    body: bytes
    plane: int = CHANNEL
    flags: int = 0


class TopicMessage(NamedTuple):
    """The same of a topic: peer is who claims to have published it, forwarder who sent it to us."""

    peer: str
    name: str
    body: bytes
    forwarder: str
    flags: int = 0


class Failed(Exception):
    """A FAIL frame."""

    def __init__(self, head):
        super().__init__("%s (%s): %s" % (head.get("e"), head.get("code"), head.get("text")))
        self.error = head["e"]
        self.code = head["code"]
        self.text = head["text"]
        self.details = head.get("d", {})


class Closed(Exception):
    """The daemon closed the connection."""


def encode(kind, frame_id, head=b"", body=b"", fds=0, size=None, head_size=None):
    """The bytes of one frame; size and head_size lie when given."""
    if not isinstance(head, bytes):
        head = json.dumps(head).encode("utf-8")
    return HEADER.pack(
        len(head) + len(body) if size is None else size,
        len(head) if head_size is None else head_size, kind, fds, frame_id) + head + body


def encode_call(frame_id, method, params=None, body=b"", fds=0):
    head = {"m": method}
    if params is not None:
        head["p"] = params
    return encode(CALL, frame_id, head, body, fds)


def message_head(peer, name, plane=CHANNEL, flags=0):
    name = name.encode("utf-8")
    return struct.pack("<BBH", plane, flags, len(name)) + bytes.fromhex(peer) + name


def encode_message(peer, name, body, frame_id=0, plane=CHANNEL, flags=0):
    return encode(MESSAGE, frame_id, message_head(peer, name, plane, flags), body)


def decode_message(frame):
    plane, flags, name_size = struct.unpack_from("<BBH", frame.head)
    name = frame.head[36:36 + name_size].decode("utf-8")
    if plane == TOPIC:
        forwarder = frame.head[36 + name_size:]
        assert len(forwarder) == 32
        return TopicMessage(frame.head[4:36].hex(), name, frame.body, forwarder.hex(), flags)
    return Message(frame.head[4:36].hex(), name, frame.body, plane, flags)


class Client:
    """One connection. Nothing is read except by the methods that return something."""

    def __init__(self, path, timeout=20.0):
        self.timeout = timeout
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(path))  # blocks while the daemon's backlog is full
        self.sock.settimeout(timeout)
        self.input = bytearray()
        self.next_id = 1
        self.calls = {}  # id: method, for those that wait for their answer
        self.answers = {}
        self.events = deque()
        self.messages = deque()
        self.sequence = 0
        self.tables = None
        self.info = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def fileno(self):
        return self.sock.fileno()

    # --- bytes and frames ---

    def send(self, data, descriptors=()):
        if not descriptors:
            self.sock.sendall(data)
            return
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sent = self.sock.sendmsg([data], ancillary)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def fill(self, deadline):
        """Reads once into the buffer. Closed at the end, TimeoutError past the deadline."""
        left = deadline - time.monotonic()
        readable = select.poll()  # not select(): it knows no descriptor above 1023
        readable.register(self.sock, select.POLLIN)
        if left <= 0 or not readable.poll(left * 1000):
            raise TimeoutError("nothing came from the daemon")
        try:
            data = self.sock.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Closed("the daemon closed the connection") from error
        if not data:
            raise Closed("the daemon closed the connection")
        self.input += data

    def read_frame(self, timeout=None):
        """The next frame, whatever it is."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if len(self.input) >= HEADER_SIZE:
                size, head_size, kind, fds, frame_id = HEADER.unpack_from(self.input)
                assert size <= MAX_SIZE and head_size <= size and 2 <= kind <= 5 and fds <= 16
                if len(self.input) >= HEADER_SIZE + size:
                    head_end = HEADER_SIZE + head_size
                    frame = Frame(kind, frame_id, bytes(self.input[HEADER_SIZE:head_end]),
                                  bytes(self.input[head_end:HEADER_SIZE + size]), fds)
                    del self.input[:HEADER_SIZE + size]
                    return frame
            self.fill(deadline)

    def take(self, timeout=None):
        """Reads one frame and files it: an answer, an event or a message."""
        frame = self.read_frame(timeout)
        if frame.kind in (EVENT, MESSAGE):
            self.sequence += 1
            assert frame.id == self.sequence, "sequence %d, expected %d" % (frame.id, self.sequence)
        if frame.kind == EVENT:
            head = frame.json()
            if self.tables:
                self.tables.check_event(head)
            self.events.append(head if not frame.body else dict(head, body=frame.body))
        elif frame.kind == MESSAGE:
            self.messages.append(decode_message(frame))
        else:
            self.file_answer(frame)
        return frame

    def file_answer(self, frame):
        if frame.id == 0 and frame.kind == FAIL:
            raise Failed(frame.json())
        method = self.calls.pop(frame.id, None)
        assert method is not None, "an answer to call %d that nobody waits for" % frame.id
        if frame.kind == REPLY and self.tables:
            self.tables.check_reply(method, frame.json())
        if frame.kind == FAIL and self.tables:
            self.tables.check_fail(method, frame.json())
        self.answers[frame.id] = frame

    # --- calls ---

    def new_id(self, method):
        frame_id = self.next_id
        self.next_id += 1
        self.calls[frame_id] = method
        return frame_id

    def begin(self, method, params=None, body=b"", descriptors=()):
        """Sends a call and does not wait for it. Descriptors stay the caller's."""
        frame_id = self.new_id(method)
        self.send(encode_call(frame_id, method, params, body, len(descriptors)), descriptors)
        return frame_id

    def cancel(self, frame_id):
        self.send(encode(CANCEL, frame_id))

    def finish_body(self, frame_id, timeout=None):
        """Waits for the answer of a call: its result and its body, or Failed."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while frame_id not in self.answers:
            self.take(deadline - time.monotonic())
        frame = self.answers.pop(frame_id)
        if frame.kind == FAIL:
            raise Failed(frame.json())
        return frame.json(), frame.body

    def finish(self, frame_id, timeout=None):
        """Waits for the answer of a call: its result, or Failed."""
        return self.finish_body(frame_id, timeout)[0]

    def call(self, method, params=None, timeout=None, body=b"", descriptors=()):
        return self.finish(self.begin(method, params, body, descriptors), timeout)

    def call_body(self, method, params=None, timeout=None):
        """For an answer with a body: the result and the body."""
        return self.finish_body(self.begin(method, params), timeout)

    def hello(self, **params):
        params.setdefault("versions", [[1, 0]])
        params.setdefault("agent", "ratsipc.py")
        params.setdefault("name", "test")
        self.info = self.call("hello", params)
        if self.tables is None:
            self.tables = shapes.Tables.of(self)
            self.tables.check_reply("hello", self.info)
        return self.info

    # --- events and messages ---

    def wait_event(self, name, timeout=None, where=lambda fields: True):
        """The fields of the next event of that name (and where() holds); others are dropped."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            while self.events:
                head = self.events.popleft()
                if head["v"] == name and where(head["p"]):
                    return head["p"]
            self.take(deadline - time.monotonic())

    def wait_message(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.messages:
            self.take(deadline - time.monotonic())
        return self.messages.popleft()

    def send_message(self, peer, name, body, plane=CHANNEL, flags=0):
        """Fire and forget."""
        self.send(encode_message(peer, name, body, 0, plane, flags))

    def begin_message(self, peer, name, body, plane=CHANNEL, flags=0):
        """With an id, and not waited for."""
        frame_id = self.new_id(A_MESSAGE)
        self.send(encode_message(peer, name, body, frame_id, plane, flags))
        return frame_id

    def send_asked(self, peer, name, body, timeout=None, plane=CHANNEL, flags=0):
        """With an id: how many peers it went to, or Failed."""
        frame_id = self.begin_message(peer, name, body, plane, flags)
        return self.finish(frame_id, timeout)["peers"]

    def listen(self, *channels):
        """Registers channels and starts the session."""
        for channel in channels:
            self.call("channel.on", {"channel": channel})
        self.call("session.start")
        return self

    def listen_types(self, *types):
        """Registers types of JSON messages and starts the session."""
        for name in types:
            self.call("typed.on", {"type": name})
        self.call("session.start")
        return self

    def subscribe(self, *topics):
        """Subscribes to topics and starts the session."""
        for topic in topics:
            self.call("topic.subscribe", {"topic": topic})
        self.call("session.start")
        return self

    def publish(self, topic, body, echo=False):
        """How many peers it went to."""
        return self.send_asked(EVERY_PEER, topic, body, plane=TOPIC, flags=ECHO if echo else 0)

    def read_until_closed(self, timeout=None):
        """Every frame up to the end of the connection."""
        frames = []
        try:
            while True:
                frames.append(self.read_frame(timeout))
        except Closed:
            return frames

    def is_alive(self):
        return "level" in self.call("log.get_level")


def record(entry):
    """Appends to the file of recorded exchanges, when the environment names one."""
    path = os.environ.get("RATS_RECORD")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")
