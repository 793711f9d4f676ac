"""The Python node itself, against recordings of upstream nodes: only then may it judge others."""
import ipaddress
import json
import os

import pytest

wire = pytest.importorskip("librats_node", reason="needs the package python3-cryptography")

VECTORS = os.path.join(os.path.dirname(__file__), "..", "vectors")


def load(name):
    with open(os.path.join(VECTORS, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def parse_address(text):
    host, port = text.rsplit(":", 1)
    return str(ipaddress.ip_address(host.strip("[]"))), int(port)


def test_identities():
    for row in load("identity")["identities"]:
        public = wire.public_key(bytes.fromhex(row["identity_key_file_hex"]))
        assert public.hex() == row["public_key_hex"]
        assert wire.peer_id(public) == row["peer_id_hex"]


def test_protocol_blobs():
    for row in load("protocol_id")["protocol_ids"]:
        assert wire.protocol_blob(row["protocol"]).hex() == row["blob_hex"]


def test_channel_ids():
    vectors = load("channels")
    rows = vectors["channels"] + [vectors["fold_to_zero"]]
    rows += [{"name": vectors["collision_example"][key],
              "channel_id": vectors["collision_example"]["channel_id"]} for key in "ab"]
    for row in rows:
        assert wire.channel_id(row["name"]) == row["channel_id"], row


def test_aead():
    for row in load("aead")["aead"]:
        sealer, opener = (wire.Cipher(bytes.fromhex(row["key"])) for _ in range(2))
        sealer.counter = opener.counter = row["nonce_counter"]
        sealed = sealer.seal(bytes.fromhex(row["plaintext"]))
        assert sealed.hex() == row["ciphertext"]
        assert opener.open(sealed).hex() == row["plaintext"]
        with pytest.raises(wire.Refused):
            opener.open(sealed)  # its time is over


def test_noise_handshakes():
    for row in load("noise_xx")["handshakes"]:
        sides = {}
        for role in ("initiator", "responder"):
            sides[role] = wire.Noise(role == "initiator",
                                     bytes.fromhex(row[role + "_static_private"]),
                                     wire.protocol_blob(row["protocol"]),
                                     bytes.fromhex(row[role + "_ephemeral_private"]))
        turns = [("initiator", "responder"), ("responder", "initiator"), ("initiator", "responder")]
        for number, (writer, reader) in enumerate(turns, 1):
            message = sides[writer].write()
            assert message.hex() == row["message%d" % number]
            assert sides[reader].read(message) == b""
        ciphers = {role: noise.split() for role, noise in sides.items()}
        for role, other in (("initiator", "responder"), ("responder", "initiator")):
            assert sides[role].hash.hex() == row["handshake_hash"]
            assert wire.peer_id(sides[role].remote["s"]) == row[other + "_peer_id"]
            assert ciphers[role][0].key.hex() == row["%s_to_%s_key" % (role, other)]
        for entry in row["transport"]:
            writer, reader = entry["direction"].split("->")
            assert ciphers[writer][0].counter == entry["nonce"]
            sealed = ciphers[writer][0].seal(bytes.fromhex(entry["plaintext"]))
            assert sealed.hex() == entry["ciphertext"]
            assert wire.encode_block(sealed).hex() == entry.get("block_on_wire",
                                                                wire.encode_block(sealed).hex())
            assert ciphers[reader][1].open(sealed).hex() == entry["plaintext"]


def test_a_changed_handshake_is_refused():
    for number in range(3):
        first = wire.Noise(True, bytes(range(32)), b"")
        second = wire.Noise(False, bytes(range(32, 64)), b"")
        refused = False
        for turn in range(3):
            writer, reader = (first, second) if turn % 2 == 0 else (second, first)
            message = bytearray(writer.write())
            if turn == number:
                message[5] ^= 1
            try:
                reader.read(bytes(message))
            except wire.Refused:
                refused = True
                break
        assert refused


def test_frames():
    vectors = load("frames")
    for row in vectors["blocks"]:
        assert wire.encode_block(bytes.fromhex(row["body"])).hex() == row["wire"]
    for row in vectors["length_limits"]:
        assert (row["length"] <= wire.MAX_BODY) == (row["status"] == "incomplete")
    for row in vectors["messages"]:
        inner = wire.encode_message(row["type"], bytes.fromhex(row["payload"]), row["channel"],
                                    row["flags"])
        assert inner.hex() == row["inner"]
        assert wire.decode_message(inner) == (row["type"], row["flags"], row["channel"],
                                              bytes.fromhex(row["payload"]))


def test_identify_is_encoded_as_upstream_does():
    for row in load("identify")["encode"]:
        if "addresses" not in row:  # the one with 40 of them gives only its bytes
            addresses = [("10.0.0.%d" % (1 + i), 1) for i in range(40)]
            said = wire.Identify(1, addresses, None, wire.UDP)
            assert wire.encode_identify(said).hex() == row["payload"]
            continue
        said = wire.Identify(row["listen_port"], [parse_address(a) for a in row["addresses"]],
                             row["observed"] and parse_address(row["observed"]), row["transports"])
        assert wire.encode_identify(said).hex() == row["payload"], row["note"]
        told = [address for address in said.addresses if address[1]]
        assert wire.decode_identify(bytes.fromhex(row["payload"])) == said._replace(addresses=told)


def test_identify_is_decoded_as_upstream_does():
    for row in load("identify")["decode"]:
        payload = bytes.fromhex(row["payload"])
        if not row["accepted"]:
            with pytest.raises(wire.Refused):
                wire.decode_identify(payload)
            continue
        said = wire.decode_identify(payload)
        assert said.listen_port == row["listen_port"], row["note"]
        assert len(said.addresses) == row["n_addresses"], row["note"]
        assert said.observed == (row["observed"] and parse_address(row["observed"])), row["note"]
        assert said.transports == row["transports"], row["note"]


def test_a_recorded_connection():
    """Replays the initiator of a live connection: its bytes are ours, the node's we can read."""
    vectors = load("transcript_tcp")
    noise = wire.Noise(True, bytes.fromhex(vectors["initiator_static_private"]),
                       wire.protocol_blob(vectors["protocol"]),
                       bytes.fromhex(vectors["initiator_ephemeral_private"]))
    sender = receiver = None
    for block in vectors["blocks"]:
        body, ours = bytes.fromhex(block["block_body"]), block["direction"].startswith("init")
        if block["kind"] == "handshake" and ours:
            assert noise.write() == body
        elif block["kind"] == "handshake":
            assert noise.read(body) == b""
            assert wire.peer_id(noise.remote["s"]) == vectors["responder_peer_id"]
        elif ours:
            assert sender.seal(bytes.fromhex(block["plaintext"])) == body
        else:
            assert receiver.open(body).hex() == block["plaintext"]
            wire.decode_message(bytes.fromhex(block["plaintext"]))
        if noise.done and sender is None:
            sender, receiver = noise.split()
    identify = next(b for b in vectors["blocks"] if b.get("plaintext", "").startswith("02000000"))
    said = wire.decode_identify(bytes.fromhex(identify["plaintext"])[4:])
    assert said.observed == ("127.0.0.1", 0) and said.transports == wire.TCP


def test_the_plaintext_handshake():
    vectors = load("plaintext_handshake")
    for name, message in (("initiator", "message1"), ("responder", "message2")):
        node = wire.Node(protocol=vectors["protocol"], plaintext=True)
        node.id = vectors[name + "_peer_id"]
        assert node.hello().hex() == vectors[message]
