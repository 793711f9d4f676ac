"""Frames of file transfers, written from wire-services 3 and nothing of ours."""
import hashlib
import struct
from typing import List, NamedTuple, Sequence, Tuple

OFFER, RESPONSE, CHUNK, FILE_END, PROGRESS, COMPLETE, CANCEL, PAUSE, RESUME = range(1, 10)
WINDOW = 4 * 1024 * 1024
File = Tuple[bytes, int]


class Offer(NamedTuple):
    id: int
    is_directory: bool
    total: int
    name: bytes
    files: List[File]


def offer(number: int, files: Sequence[File], is_directory: bool, name: bytes = b"a name",
          total: int = -1, count: int = -1) -> bytes:
    """total and count lie when given."""
    payload = struct.pack(">BQBQH", OFFER, number, is_directory,
                          sum(size for _, size in files) if total < 0 else total, len(name)) + name
    payload += struct.pack(">I", len(files) if count < 0 else count)
    for path, size in files:
        payload += struct.pack(">H", len(path)) + path + struct.pack(">Q", size)
    return payload


def decode_offer(payload: bytes) -> Offer:
    op, number, is_directory, total, size = struct.unpack_from(">BQBQH", payload)
    assert op == OFFER
    at = 20 + size
    name, files = payload[20:at], []
    count, = struct.unpack_from(">I", payload, at)
    at += 4
    for _ in range(count):
        size, = struct.unpack_from(">H", payload, at)
        path = payload[at + 2:at + 2 + size]
        files.append((path, struct.unpack_from(">Q", payload, at + 2 + size)[0]))
        at += 10 + size
    assert at == len(payload)
    return Offer(number, bool(is_directory), total, name, files)


def response(number: int, accept: bool) -> bytes:
    return struct.pack(">BQB", RESPONSE, number, accept)


def chunk(number: int, file: int, offset: int, data: bytes) -> bytes:
    return struct.pack(">BQIQ", CHUNK, number, file, offset) + data


def file_end(number: int, file: int, content: bytes) -> bytes:
    return struct.pack(">BQI", FILE_END, number, file) + hashlib.sha256(content).digest()


def progress(number: int, received: int) -> bytes:
    return struct.pack(">BQQ", PROGRESS, number, received)


def complete(number: int, ok: bool) -> bytes:
    return struct.pack(">BQB", COMPLETE, number, ok)


def control(op: int, number: int) -> bytes:
    return struct.pack(">BQ", op, number)


def decode(payload: bytes) -> Tuple[int, int, bytes]:
    """Opcode, id and what follows."""
    op, number = struct.unpack_from(">BQ", payload)
    return op, number, payload[9:]
