"""Entries of the store on the wire, written from wire-services 7 and nothing of ours."""
import struct
import zlib
from typing import List, NamedTuple, Tuple

BINARY, STRING, INT64, DOUBLE, JSON = range(1, 6)
ENTRY, SYNC_REQUEST, SYNC_RESPONSE = b"\x01", b"\x02", b"\x03"


class Entry(NamedTuple):
    key: bytes
    data: bytes
    timestamp_ms: int
    origin: str = ""
    type: int = BINARY
    deleted: bool = False


def checksum(entry: Entry) -> int:
    return zlib.crc32(entry.key + bytes([entry.type]) + entry.data +
                      struct.pack(">Q", entry.timestamp_ms) + entry.origin.encode("ascii") +
                      bytes([entry.deleted]))


def sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def encode(entry: Entry) -> bytes:
    return sized(sized(entry.key) + bytes([entry.type, entry.deleted]) +
                 struct.pack(">Q", entry.timestamp_ms) + sized(entry.origin.encode("ascii")) +
                 sized(entry.data) + struct.pack(">I", checksum(entry)))


def decode(data: bytes, at: int) -> Tuple[Entry, int]:
    """The entry at that place, and where the next begins."""
    end = at + 4 + struct.unpack_from(">I", data, at)[0]
    at += 4

    def take(size: int) -> bytes:
        nonlocal at
        assert at + size <= len(data)
        at += size
        return data[at - size:at]

    def take_sized() -> bytes:
        return take(struct.unpack(">I", take(4))[0])

    key = take_sized()
    kind, deleted = take(2)
    stamp, = struct.unpack(">Q", take(8))
    origin = take_sized().decode("ascii")
    entry = Entry(key, take_sized(), stamp, origin, kind, bool(deleted))
    assert struct.unpack(">I", take(4))[0] == checksum(entry) and at == end
    return entry, at


def entries_of(payload: bytes) -> List[Entry]:
    """Those of an ENTRY or a SYNC_RESPONSE, which end where the message ends."""
    if payload[:1] == ENTRY:
        count, at = 1, 1
    else:
        assert payload[:1] == SYNC_RESPONSE
        count, at = struct.unpack_from(">I", payload, 1)[0], 5
    found = []
    for _ in range(count):
        entry, at = decode(payload, at)
        found.append(entry)
    assert at == len(payload)
    return found


def response(*entries: Entry) -> bytes:
    return SYNC_RESPONSE + struct.pack(">I", len(entries)) + b"".join(map(encode, entries))
