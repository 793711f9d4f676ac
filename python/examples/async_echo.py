"""Answers every string that a peer sends, and greets who comes: async_echo.py [HOST PORT]."""

import asyncio
import sys

from librats_py import AsyncRatsClient, RatsPeerNotFoundError


async def greet(client: AsyncRatsClient) -> None:
    async for peer_id, connected in client.peers():
        print(peer_id[:8], "has come" if connected else "has gone", flush=True)
        if connected:
            await answer(client, peer_id, "hello")


async def answer(client: AsyncRatsClient, peer_id: str, text: str) -> None:
    try:
        await client.send_string(peer_id, text)
    except RatsPeerNotFoundError:
        pass  # gone meanwhile


async def main(*peer: str) -> None:
    async with AsyncRatsClient() as client, client.messages() as messages:
        await client.start()
        greeting = asyncio.ensure_future(greet(client))
        if peer:
            await client.connect(peer[0], int(peer[1]))
        async for message in messages:
            if message.kind == "string":
                await answer(client, message.peer_id, message.text.upper())
        await greeting


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
