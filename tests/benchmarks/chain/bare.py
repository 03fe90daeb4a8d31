# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that could do it: an aiohttp handler that makes the same POST on a kept connection, and nothing else.

    python bare.py settings.json

No record, no policy, no guard, no listing, no check that the block is there. aiohttp's own client makes the POST, in the same loop.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import web


async def _main(given: dict[str, Any]) -> None:
    context = ssl.create_default_context(cafile=given["firewall"]["ca_path"])
    auth = aiohttp.BasicAuth(given["firewall"]["username"], given["firewall"]["password"])
    url = f"{given['firewall']['api_url']}/api/oper/blacklist"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(auth=auth, connector=connector) as session:

        async def take(request: web.BaseRequest) -> web.StreamResponse:
            if request.path != given["path"]:
                return web.Response(status=404)
            event = json.loads(await request.read())
            fields = {
                "host": event["sourceIP"], "ttl": "3600", "rule_name": f"IPS: {event['reason']}",
                "description": f"IPS event on {event['hostName']}: {event['reason']}", "close_established": "yes",
            }  # fmt: skip
            async with session.post(url, data=urlencode(fields, quote_via=quote), headers=form) as answer:
                done = (await answer.json())["error"] is False
            return web.Response(status=200 if done else 502)

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given["tls"]["cert_file"], given["tls"]["key_file"])
        runner = web.ServerRunner(web.Server(take, access_log=None))
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", given["port"]), backlog=1024)
        await web.SockSite(runner, listener, ssl_context=tls).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
