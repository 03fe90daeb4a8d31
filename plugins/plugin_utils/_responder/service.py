# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder as a service of its own, without a rule engine: events go to standard output, one JSON object a line."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Optional

from ...module_utils._core.errors import IntrusionResponseError, InvalidInput
from .source import Settings, run

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

LOG = logging.getLogger("intrusion.response")

#: Exit status for settings that cannot work, so that a supervisor need not try again (EX_CONFIG of sysexits.h).
BAD_SETTINGS = 78
#: Seconds after which a thread that computes, such as one that reads a long blacklist, lets those go on that wait for an event.
SWITCH_INTERVAL = 0.001
#: Most lines that wait for whoever reads standard output.
LINES = 1000


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the service until SIGTERM, SIGINT or SIGHUP (unless that is ignored, as nohup has it); return the exit status."""
    parser = argparse.ArgumentParser(
        prog="ips_webhook.py", description="Take events of the IPS, block the attackers, and print every verdict as a line of JSON."
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the arguments of the event source, as YAML")
    parser.add_argument("--check", action="store_true", help="check the settings and certificates, ask nobody, and exit")
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if options.verbose else logging.INFO, format="%(levelname)s %(message)s", force=True
    )
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    try:
        args = _read(options.config)
        if options.check:
            Settings.from_args(args).check()
            LOG.info("The settings in %s are usable.", options.config)
            return 0
        asyncio.run(_serve(args))
    except IntrusionResponseError as error:
        LOG.error("%s", error.as_result()["msg"])
        return BAD_SETTINGS if isinstance(error, InvalidInput) else 1
    return 0


async def _serve(args: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(SWITCH_INTERVAL)
    with Printer() as printer:
        await _until_told(loop, asyncio.ensure_future(run(args, printer.print)))


async def _until_told(loop: asyncio.AbstractEventLoop, serving: asyncio.Future[None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        LOG.info("Stopped.")


class Printer:
    """Writes events to standard output in a thread of its own, since whoever reads may be slow; a context manager."""

    def __init__(self) -> None:
        self._lines: queue.Queue[Optional[str]] = queue.Queue(LINES)
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)

    def __enter__(self) -> Printer:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        with suppress(queue.Full):
            self._lines.put(None, timeout=1)
            self._thread.join(1)

    async def print(self, event: dict[str, Any]) -> None:
        """Print one event as a line of JSON; when too many wait, wait."""
        line = f"{json.dumps(event, separators=(',', ':'), default=str)}\n"
        while True:
            try:
                return self._lines.put_nowait(line)
            except queue.Full:
                await asyncio.sleep(0.05)

    def _run(self) -> None:
        is_read = True
        for line in iter(self._lines.get, None):
            try:
                if is_read:
                    sys.stdout.write(line)
                    if self._lines.empty():
                        sys.stdout.flush()
            except OSError as error:
                is_read = False
                LOG.warning("Verdicts cannot be printed any more: %s. Blocking goes on.", error.strerror or "standard output is closed")


def _read(path: str) -> dict[str, Any]:
    if not HAS_YAML:
        raise InvalidInput("The configuration file needs the Python package PyYAML.")
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or 'unusable'}.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidInput(f"{path} is not YAML" + (f" (line {mark.line + 1})." if mark else ".")) from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} must hold a mapping of names to values.")
    if os.stat(path).st_mode & 0o004 and _holds_secret(content):
        LOG.warning("%s holds secrets and can be read by everybody: change its mode, or use the arguments that name files.", path)
    return content


def _holds_secret(content: Any) -> bool:
    if isinstance(content, dict):
        return any(name in ("path_secrets", "hmac_secrets", "password") or _holds_secret(part) for name, part in content.items())
    return isinstance(content, list) and any(_holds_secret(part) for part in content)
