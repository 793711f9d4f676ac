"""A folder that peers share: drop_folder.py FOLDER [HOST PORT]. New files go to everybody."""

import asyncio
import os
import sys
import time

from librats_py import AsyncRatsClient


async def send(client: AsyncRatsClient, peer_id: str, path: str) -> None:
    async for progress in client.transfer_progress(await client.send_file(peer_id, path)):
        print("{filename}: {completion_percentage:.0f} % {error}".format(**progress), flush=True)


async def main(folder: str, *peer: str) -> None:
    known = set(os.listdir(folder))
    async with AsyncRatsClient() as client:
        async def on_file(peer_id: str, transfer_id: str, wanted: str, name: str) -> None:
            name = os.path.basename(name).lstrip(".") or transfer_id  # a stranger chose it
            if not wanted:
                known.add(name)
                await client.accept_file_transfer(transfer_id, os.path.join(folder, name))

        await client.set_file_request_callback(on_file)
        await client.start()
        if peer:
            await client.connect(peer[0], int(peer[1]))
        while True:
            peers = await client.get_peer_ids()
            for entry in os.scandir(folder):
                new = entry.is_file() and entry.name[0] != "." and entry.name not in known
                if new and peers and time.time() - entry.stat().st_mtime > 1:
                    known.add(entry.name)
                    await asyncio.gather(*(send(client, peer_id, entry.path) for peer_id in peers))
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
