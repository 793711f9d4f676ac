"""Messages of topics as a librats 2.x node writes them (wire-services 1), in plain Python."""
import struct
from typing import NamedTuple, Tuple

PUBLISH, SUBSCRIBE, UNSUBSCRIBE, GRAFT, PRUNE, IHAVE, IWANT = range(7)


class Frame(NamedTuple):
    op: int
    topic: bytes = b""
    ids: Tuple[bytes, ...] = ()
    data: bytes = b""


def message_id(origin, number):
    return bytes.fromhex(origin) + struct.pack(">Q", number)


def control(op, topic):
    return struct.pack(">BH", op, len(topic)) + topic


def publish(origin, number, topic, data):
    return bytes([PUBLISH]) + message_id(origin, number) + struct.pack(">H", len(topic)) + topic + data


def ihave(topic, ids):
    return control(IHAVE, topic) + struct.pack(">H", len(ids)) + b"".join(ids)


def iwant(ids):
    return struct.pack(">BH", IWANT, len(ids)) + b"".join(ids)


def decode(payload):
    """A frame of ours, every byte of it accounted for."""
    op, at = payload[0], 1

    def take(size):
        nonlocal at
        assert at + size <= len(payload)
        at += size
        return payload[at - size:at]

    def take_sized():
        return take(struct.unpack(">H", take(2))[0])

    def take_ids():
        return tuple(take(40) for _ in range(struct.unpack(">H", take(2))[0]))

    if op == PUBLISH:
        ids = (take(40),)
        topic = take_sized()
        return Frame(op, topic, ids, payload[at:])
    frame = Frame(op, b"" if op == IWANT else take_sized(), take_ids() if op >= IHAVE else ())
    assert op <= IWANT and at == len(payload)
    return frame
