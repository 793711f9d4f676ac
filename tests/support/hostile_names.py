#!/usr/bin/env python3
"""Writes tests/vectors/hostile_names.json: paths a peer may offer and that must all be refused
(reliability.md V10). Run it again after a change; the file is kept so that C reads it, too."""
import json
import os

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "hostile_names.json")
SLASHES = "\u1735\u2044\u2215\u2216\u2571\u2572\u27cb\u27cd\u29f5\u29f8\u29f9\u2afb\u2afd\u3033\u3035\ufe68\uff0f\uff3c"
INVISIBLE = "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2069\ufeff\ufff9\U000e0001\U000e0041"
DEVICES = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"] + [
    kind + digit for kind in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"]
NOT_UTF8 = [b"\x80", b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\x9c", b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80", b"\xc3", b"\xe2\x82", b"a\xfe", b"\xc0\xae\xc0\xae/x", b"\xf8\x88\x80\x80\xaf"]


def places(part):
    """The part alone, before, behind and between others."""
    return [part, part + b"/x", b"x/" + part, b"x/" + part + b"/y"]


def paths():
    for part in (b"..", b".", b"...", b"....", b"." * 255, b".. ", b".. .", b"x.", b"x..", b"x ", b" x", b" "):
        yield "dots and spaces", places(part)
    for root in (b"/", b"\\", b"//", b"\\\\", b"/etc/passwd", b"\\\\server\\share", b"\\\\?\\C:\\x", b"//./x", b"/x/..",
                 b"C:", b"c:x", b"C:\\x", b"C:/x", b"ab:c", b"x/ab:c", b"file:stream:$DATA", b":", b"x:", b"a:b",
                 b"http://x", b"~:x", b"x//y", b"x/", b"x\\", b"x\\y", b"x/\\y", b"x\\\\y", b""):
        yield "roots, drives, streams and empty parts", [root]
    for depth in (1, 2, 3, 8, 40):
        yield "up and out", [b"../" * depth + b"x", b"x/" * depth + b"../" * (depth + 1) + b"y",
                             b"..\\" * depth + b"x", b"x/" + b"../" * depth, b"./" * depth + b"x"]
    for device in DEVICES:
        name = device.encode()
        yield "devices", places(name) + [name.lower(), name + b".txt", name + b".tar.gz", name + b" .txt"]
    for code in list(range(0, 32)) + list(range(127, 160)):
        yield "control characters", [b"a" + chr(code).encode() + b"b", b"x/" + chr(code).encode()]
    for character in SLASHES:
        yield "look-alikes", [b".." + character.encode() + b"x", b"a" + character.encode() + b"b"]
    for character in INVISIBLE:
        yield "invisible", [b"a" + character.encode() + b"b", b"x/" + character.encode()]
    for part in NOT_UTF8:
        yield "not UTF-8", places(part)
    yield "too long", places(b"n" * 256) + places("\u00e9".encode() * 128) + [
        b"d/" * 2047 + b"xyz", b"x/" * 128 + b"y", b"n" * 4097, b"/".join([b"n" * 255] * 17)]
    yield "look-alike dots", places("\u2025".encode()) + places("\u2024\u2024".encode())


def main():
    names = {}
    for why, group in paths():
        for path in group:
            names.setdefault(path.hex(), why)
    rows = [{"hex": path, "why": why} for path, why in sorted(names.items())]
    with open(OUT, "w", encoding="ascii") as file:
        file.write('{"names": [\n' + ",\n".join(json.dumps(row, sort_keys=True) for row in rows) + "\n]}\n")
    print(len(rows))


main()
