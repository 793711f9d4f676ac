"""Two daemons of this machine, named by their sockets: connects the one to the other and sends a
message each way through librats_py. Prints both peer ids."""
import json
import queue
import sys

from librats_py import RatsClient

DEADLINE_S = 20


def main() -> None:
    with RatsClient(socket_path=sys.argv[1]) as here, RatsClient(socket_path=sys.argv[2]) as there:
        heard: "queue.Queue[tuple]" = queue.Queue()
        met: "queue.Queue[str]" = queue.Queue()
        there.set_connection_callback(met.put)
        for client in (here, there):
            client.on_channel("talk", lambda peer, data: heard.put((peer, data)))
            client.start()
        here.connect("127.0.0.1", there.get_listen_port())
        ids = (here.get_our_peer_id(), there.get_our_peer_id())
        assert met.get(timeout=DEADLINE_S) == ids[0]
        here.send_channel(ids[1], "talk", b"there")
        assert heard.get(timeout=DEADLINE_S) == (ids[0], b"there")
        there.send_channel(ids[0], "talk", b"back")
        assert heard.get(timeout=DEADLINE_S) == (ids[1], b"back")
        print(json.dumps(ids))


main()
