"""Register with PySIPio, a foreign SIP client; run as a process of its own in a scratch directory.

Arguments: user, password, host:port. Prints `registered` once the server's 200 has come.
PySIPio writes a log file on import and asks the Internet for its address: both stay in this process.
"""

import asyncio
import logging
import sys

from PySIP import sip_client, sip_core

FINAL = asyncio.Event()


def local_ip(core: sip_core.SipCore) -> str:
    """Stand in for PySIPio's questions to hosts that a test may not reach."""
    return "127.0.0.1"


async def main(user: str, password: str, server: str) -> int:
    """Register, wait for the 200, leave."""
    sip_core.SipCore.get_public_ip = local_ip
    sip_core.SipCore.get_local_ip = local_ip
    logging.disable(logging.CRITICAL)
    client = sip_client.SipClient(user, server, "UDP", password)
    statuses: list[int] = []

    async def watch(message: sip_core.SipMessage) -> None:
        if message.method == "REGISTER" and message.status is not None:
            statuses.append(int(message.status))
            if int(message.status) != 401:
                FINAL.set()

    client.sip_core.on_message_callbacks.append(watch)
    running = asyncio.ensure_future(client.run())  # noqa: TID251 - PySIPio has no other entry
    try:
        async with asyncio.timeout(20):
            await FINAL.wait()
    finally:
        running.cancel()
    print("registered" if statuses[-1] == 200 else "refused", *statuses, flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:4])))
