"""A librats 2.x node in Python, to hold ratsd against: own Noise, framing and messages over TCP.

Written from the wire specification and shares nothing with the C code; only X25519 and
ChaCha20-Poly1305 come from a library (package python3-cryptography). tests/interop/test_vectors.py
checks it against recordings of upstream nodes before anything else relies on it. Every wait has a
deadline. Nothing is sent, read or closed behind the caller's back, so a test can misbehave at any
point: a Noise and a Stream can be driven by hand, a Link is what Node makes of them.
"""
import functools
import hashlib
import hmac
import ipaddress
import os
import select
import socket
import struct
import time
from typing import List, NamedTuple, Optional, Sequence, Tuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTOCOL = "librats/1.0"
TIMEOUT_S = 15.0
MAX_BODY = 64 * 1024 * 1024
MAX_PAYLOAD = MAX_BODY - 16 - 4
APP, CONTROL, GOSSIP, FILE_CHUNK, PING, STORAGE, TYPED, PEX, PUNCH = range(1, 10)
TCP, UDP = 1, 2
RATSD_ONLY = 0x564D  # the channel on which two ratsd talk; librats 2.x ignores it
Address = Tuple[str, int]


class Closed(Exception):
    """The other end closed the connection."""


class Refused(Exception):
    """What the other end sent is not what the protocol allows."""


# --- keys ---

@functools.lru_cache(maxsize=64)
def load_key(private: bytes) -> X25519PrivateKey:
    """Loading is what costs most of a handshake's time."""
    return X25519PrivateKey.from_private_bytes(private)


def public_key(private: bytes) -> bytes:
    return load_key(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def peer_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()


def protocol_blob(protocol: str) -> bytes:
    return b"librats-proto\x1f" + protocol.encode("utf-8")


class Cipher:
    """ChaCha20-Poly1305 with a counter for a nonce."""

    def __init__(self, key: bytes):
        self.key = key
        self.aead = ChaCha20Poly1305(key)
        self.counter = 0

    def nonce(self) -> bytes:
        self.counter += 1
        return struct.pack("<4xQ", self.counter - 1)

    def seal(self, plain: bytes, associated: bytes = b"") -> bytes:
        return self.aead.encrypt(self.nonce(), plain, associated)

    def open(self, sealed: bytes, associated: bytes = b"") -> bytes:
        try:
            return self.aead.decrypt(self.nonce(), sealed, associated)
        except InvalidTag as fault:
            raise Refused("a block that does not decrypt") from fault


class Noise:
    """Noise_XX_25519_ChaChaPoly_SHA256, one side. Payloads are sent and returned, not judged."""

    NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"
    PATTERN = (("e",), ("e", "ee", "s", "es"), ("s", "se"))

    def __init__(self, initiator: bool, static: bytes, prologue: bytes,
                 ephemeral: Optional[bytes] = None):
        self.initiator = initiator
        self.private = {"e": ephemeral or os.urandom(32), "s": static}
        self.public = {name: public_key(key) for name, key in self.private.items()}
        self.remote = {}
        self.hash = self.chain = self.NAME
        self.cipher = None
        self.next = 0
        self.mix_hash(prologue)

    @property
    def done(self) -> bool:
        return self.next == len(self.PATTERN)

    @property
    def writes(self) -> bool:
        """Is it this side's turn?"""
        return not self.done and (self.next % 2 == 0) == self.initiator

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def derive(self, material: bytes) -> Tuple[bytes, bytes]:
        secret = hmac.new(self.chain, material, "sha256").digest()
        first = hmac.new(secret, b"\x01", "sha256").digest()
        return first, hmac.new(secret, first + b"\x02", "sha256").digest()

    def agree(self, private: bytes, public: bytes) -> bytes:
        """A shared secret; ValueError when the public key admits only one."""
        return load_key(private).exchange(X25519PublicKey.from_public_bytes(public))

    def mix_keys(self, token: str) -> None:
        """ee, es or se: the initiator's key comes first."""
        ours, theirs = (token[0], token[1]) if self.initiator else (token[1], token[0])
        self.chain, key = self.derive(self.agree(self.private[ours], self.remote[theirs]))
        self.cipher = Cipher(key)

    def seal_and_mix(self, plain: bytes) -> bytes:
        sealed = self.cipher.seal(plain, self.hash) if self.cipher else plain
        self.mix_hash(sealed)
        return sealed

    def open_and_mix(self, sealed: bytes) -> bytes:
        plain = self.cipher.open(sealed, self.hash) if self.cipher else sealed
        self.mix_hash(sealed)
        return plain

    def write(self, payload: bytes = b"") -> bytes:
        assert self.writes
        message = b""
        for token in self.PATTERN[self.next]:
            if token == "e":
                message += self.public["e"]
                self.mix_hash(self.public["e"])
            elif token == "s":
                message += self.seal_and_mix(self.public["s"])
            else:
                self.mix_keys(token)
        self.next += 1
        return message + self.seal_and_mix(payload)

    def read(self, message: bytes) -> bytes:
        assert not self.done and not self.writes
        for token in self.PATTERN[self.next]:
            if token in ("e", "s"):
                size = 32 if token == "e" or not self.cipher else 48
                if len(message) < size:
                    raise Refused("a short handshake message")
                key, message = message[:size], message[size:]
                if token == "e":
                    self.mix_hash(key)
                self.remote[token] = key if token == "e" else self.open_and_mix(key)
            else:
                self.mix_keys(token)
        self.next += 1
        return self.open_and_mix(message)

    def split(self) -> Tuple[Cipher, Cipher]:
        """What this side sends with, and receives with."""
        assert self.done
        first, second = (Cipher(key) for key in self.derive(b""))
        return (first, second) if self.initiator else (second, first)


# --- bytes on a connection ---

class Stream:
    """A TCP connection with deadlines."""

    def __init__(self, sock: socket.socket):
        sock.settimeout(TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    def close(self) -> None:
        """Ends the stream as a program does that has read everything: what the other side still sends is
        taken, or the kernel would answer it with a reset."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass  # it is gone already, or does not end: then this end is all there is
        self.sock.close()

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError) as fault:
            raise Closed("closed while we sent") from fault

    def send_block(self, body: bytes) -> None:
        self.send(encode_block(body))

    def wait_readable(self, seconds: float) -> bool:
        """By poll(): select() knows no descriptor above 1023."""
        readable = select.poll()
        readable.register(self.sock, select.POLLIN)
        return bool(readable.poll(max(0.0, seconds) * 1000))

    def receive_into(self, room: memoryview, deadline: float) -> int:
        left = deadline - time.monotonic()
        if left <= 0 or not self.wait_readable(left):
            raise TimeoutError("nothing came from the other end")
        try:
            got = self.sock.recv_into(room)
        except ConnectionResetError:
            got = 0
        if got == 0:
            raise Closed("closed by the other end")
        return got

    def read(self, size: int, timeout: float = TIMEOUT_S) -> bytearray:
        data = bytearray(size)
        view, at, deadline = memoryview(data), 0, time.monotonic() + timeout
        while at < size:
            at += self.receive_into(view[at:], deadline)
        return data

    def read_block(self, timeout: float = TIMEOUT_S) -> bytes:
        deadline = time.monotonic() + timeout
        (size,) = struct.unpack(">I", self.read(4, timeout))
        if size > MAX_BODY:
            raise Refused("a block of %d bytes" % size)
        return bytes(self.read(size, deadline - time.monotonic()))

    def wait_closed(self, timeout: float = TIMEOUT_S) -> int:
        """Reads on until the other end closes: how many bytes still came."""
        room, count, deadline = memoryview(bytearray(65536)), 0, time.monotonic() + timeout
        try:
            while True:
                count += self.receive_into(room, deadline)
        except Closed:
            return count
        except TimeoutError:
            raise TimeoutError("the connection stays open") from None

    def is_open(self) -> bool:
        """Without waiting, and without taking what has arrived."""
        if not self.wait_readable(0):
            return True
        try:
            return self.sock.recv(1, socket.MSG_PEEK) != b""
        except ConnectionResetError:
            return False


def encode_block(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


# --- messages ---

class Message(NamedTuple):
    type: int
    flags: int
    channel: int
    payload: bytes


def encode_message(kind: int, payload: bytes, channel: int = 0, flags: int = 0) -> bytes:
    return struct.pack(">BBH", kind, flags, channel) + payload


def decode_message(inner: bytes) -> Message:
    if len(inner) < 4:
        raise Refused("a message without a header")
    return Message(*struct.unpack_from(">BBH", inner), inner[4:])


def channel_id(name: str) -> int:
    value = 2166136261
    for byte in name.encode("utf-8"):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return (value >> 16) ^ (value & 0xFFFF) or 1


class Identify(NamedTuple):
    listen_port: int = 0
    addresses: List[Address] = []
    observed: Optional[Address] = None
    transports: int = 0


def encode_address(address: Address) -> bytes:
    ip = ipaddress.ip_address(address[0]).packed
    return bytes([len(ip)]) + ip + struct.pack(">H", address[1])


def encode_identify(said: Identify) -> bytes:
    told = [encode_address(address) for address in said.addresses if address[1] != 0][:32]
    observed = encode_address(said.observed) if said.observed else b"\x00"
    return (struct.pack(">BHB", 1, said.listen_port, len(told)) + b"".join(told) + observed +
            bytes([said.transports]))


def decode_identify(payload: bytes) -> Identify:
    """The fields; Refused when a receiver must ignore the message."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        if at + size > len(payload):
            raise Refused("identify is short")
        at += size
        return payload[at - size:at]

    def take_address(size: int) -> Address:
        if size not in (4, 16):
            raise Refused("an address of %d bytes" % size)
        return str(ipaddress.ip_address(take(size))), struct.unpack(">H", take(2))[0]

    version, port, count = struct.unpack(">BHB", take(4))
    if version != 1 or count > 32:
        raise Refused("version %d, %d addresses" % (version, count))
    addresses = [take_address(take(1)[0]) for _ in range(count)]
    size = take(1)[0]
    observed = take_address(size) if size else None
    return Identify(port, addresses, observed, take(1)[0] if at < len(payload) else 0)


# --- the node ---

class Link(Stream):
    """An established connection. Without ciphers it is in plaintext mode."""

    def __init__(self, stream: Stream, remote_id: str,
                 ciphers: Tuple[Optional[Cipher], Optional[Cipher]] = (None, None)):
        super().__init__(stream.sock)
        self.remote_id = remote_id
        self.sender, self.receiver = ciphers

    def seal(self, inner: bytes) -> bytes:
        """A whole block around an inner message; the counter moves on."""
        return encode_block(self.sender.seal(inner) if self.sender else inner)

    def send_message(self, kind: int, payload: bytes, channel: int = 0, flags: int = 0) -> None:
        self.send(self.seal(encode_message(kind, payload, channel, flags)))

    def send_app(self, name: str, payload: bytes) -> None:
        self.send_message(APP, payload, channel_id(name))

    def send_identify(self, said: Identify = Identify()) -> None:
        self.send_message(CONTROL, encode_identify(said))

    def receive(self, timeout: float = TIMEOUT_S) -> Message:
        body = self.read_block(timeout)
        return decode_message(self.receiver.open(body) if self.receiver else body)

    def wait(self, kind: int, timeout: float = TIMEOUT_S, channel: Optional[int] = None) -> Message:
        """The next message of a type, and of a channel when that is said; others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(deadline - time.monotonic())
            if message.type == kind and (message.channel != RATSD_ONLY if channel is None
                                         else message.channel == channel):
                return message


class Node:
    """An identity and a configuration; makes connections in either role."""

    def __init__(self, private: Optional[bytes] = None, protocol: str = PROTOCOL,
                 plaintext: bool = False):
        self.private = private or os.urandom(32)
        self.public = public_key(self.private)
        self.id = peer_id(self.public)
        self.blob = protocol_blob(protocol)
        self.plaintext = plaintext
        self.listener = None

    def noise(self, initiator: bool) -> Noise:
        return Noise(initiator, self.private, self.blob)

    # --- as initiator ---

    def connect(self, address: Address, source: str = "") -> Stream:
        """A connection on which nothing has been said."""
        return Stream(socket.create_connection(address, TIMEOUT_S,
                                               (source, 0) if source else None))

    def dial(self, address: Address, source: str = "") -> Link:
        stream = self.connect(address, source)
        try:
            return self.shake(stream, True)
        except BaseException:
            stream.close()
            raise

    # --- as responder ---

    def listen(self, host: str = "127.0.0.1") -> Address:
        """Opens the listener, once; its address."""
        if self.listener is None:
            self.listener = socket.create_server((host, 0), backlog=128)
            self.listener.settimeout(TIMEOUT_S)
        return self.listener.getsockname()[:2]

    def accept(self) -> Stream:
        return Stream(self.listener.accept()[0])

    def answer(self) -> Link:
        return self.shake(self.accept(), False)

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    # --- the handshake ---

    def shake(self, stream: Stream, initiator: bool) -> Link:
        return (self.greet if self.plaintext else self.prove)(stream, initiator)

    def prove(self, stream: Stream, initiator: bool, payload: bytes = b"",
              at: Sequence[int] = (1, 2, 3)) -> Link:
        """The payload goes into those of the messages, counted from 1, that are ours."""
        noise = self.noise(initiator)
        while not noise.done:
            if noise.writes:
                stream.send_block(noise.write(payload if noise.next + 1 in at else b""))
            else:
                noise.read(stream.read_block())
        return Link(stream, peer_id(noise.remote["s"]), noise.split())

    def hello(self) -> bytes:
        return struct.pack(">H", len(self.blob)) + self.blob + bytes.fromhex(self.id)

    def greet(self, stream: Stream, initiator: bool) -> Link:
        if initiator:
            stream.send_block(self.hello())
        theirs = stream.read_block()
        size = 2 + len(self.blob)
        if theirs[:size] != self.hello()[:size] or len(theirs) < size + 32:
            raise Refused("another protocol")
        if not initiator:
            stream.send_block(self.hello())
        return Link(stream, theirs[size:size + 32].hex())
