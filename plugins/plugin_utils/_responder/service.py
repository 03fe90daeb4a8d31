# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder as a standalone service, without a rule engine, and the tools for its operators."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, Optional

from ...module_utils._core.errors import IntrusionResponseError, InvalidInput
from ...module_utils._core.http import VERSION
from .app import App, check
from .configuration import Configuration
from .output import DRAIN, Lines
from .settings import holds_secret, schema, warn_if_open
from .tools import replay, send_test, show_status

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

LOG = logging.getLogger("intrusion.response")

#: Exit status for settings that cannot work, so that a supervisor need not try again (EX_CONFIG of sysexits.h).
BAD_SETTINGS = 78
#: Seconds after which a thread that computes, such as one that reads a long blacklist, lets those go on that wait for an event: at least,
#: for each firewall, since all threads that wait wake up after that time, and at most.
SWITCH_INTERVAL, SWITCH_SHARE, LONGEST_SWITCH_INTERVAL = 0.001, 0.0002, 0.02


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the service until SIGTERM or SIGINT, or one of the tools; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="webhook.py",
        description="Receive events of intrusion detectors, block the attackers, and print every verdict as a line of JSON.",
    )
    parser.add_argument("command", nargs="?", choices=("status",), help="status: show what runs; without it, run")
    parser.add_argument("--config", metavar="FILE", help="the settings, as YAML")
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    tools = parser.add_mutually_exclusive_group()
    tools.add_argument("--check", action="store_true", help="check the settings and certificates, ask nobody, and exit")
    tools.add_argument("--test-event", action="store_true", help="send a marked event to the running service, and show its verdict")
    tools.add_argument("--replay", metavar="FILE", help="show what these settings make of past events or verdicts, and write nothing")
    tools.add_argument("--schema", action="store_true", help="print the JSON schema of the settings")
    options = parser.parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(message)s", force=True)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    if options.schema:
        _print(json.dumps(schema(Configuration), indent=2))
        return 0
    if options.config is None:
        parser.error("the following arguments are required: --config")
    try:
        settings = _settings(options.config)
        if options.check:
            check(settings)
            LOG.info("The settings in %s are valid.", options.config)
        elif options.test_event:
            return asyncio.run(send_test(settings, _print))
        elif options.replay:
            replay(settings, options.replay, _print)
        elif options.command == "status":
            return asyncio.run(show_status(settings, _print))
        else:
            asyncio.run(_serve(settings, options.config))
            _leave()
    except IntrusionResponseError as error:
        LOG.error("%s", error.as_result()["msg"])
        return BAD_SETTINGS if isinstance(error, InvalidInput) else 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def _serve(settings: Configuration, path: str) -> None:
    loop = asyncio.get_running_loop()
    firewalls = () if settings.respond is None else settings.respond.firewalls
    sys.setswitchinterval(min(LONGEST_SWITCH_INTERVAL, max(SWITCH_INTERVAL, SWITCH_SHARE * len(firewalls))))
    check(settings)
    stop, reload = asyncio.Event(), asyncio.Event()
    for number, event in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, reload)):
        loop.add_signal_handler(number, event.set)
    lines = Lines(sys.stdout.fileno())
    try:
        async with App(settings, lines.emit, lambda: lines.healthy) as app:
            reloading = asyncio.ensure_future(_reload(app, path, reload))
            await stop.wait()
            reloading.cancel()
    finally:
        await asyncio.to_thread(lines.close, DRAIN)
    LOG.info("Stopped.")


async def _reload(app: App, path: str, asked: asyncio.Event) -> None:
    """Reload the settings whenever requested; invalid ones change nothing."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            settings = await asyncio.to_thread(_settings, path)
        except IntrusionResponseError as error:
            LOG.error("The settings were not changed: %s", error.as_result()["msg"])
            continue
        stuck = app.reload(settings)
        LOG.info("The settings in %s are in use.", path)
        if stuck:
            LOG.warning("These changes require a restart: %s.", ", ".join(stuck))


def _leave() -> None:
    """End at once if a thread hangs in a request that nobody waits for any more, since Python would wait for it."""
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        logging.shutdown()
        os._exit(0)


def _settings(path: str) -> Configuration:
    content = _read(path)
    settings = Configuration.from_args(content)
    if holds_secret(Configuration, content):
        warn_if_open("--config", path)
    return settings


def _read(path: str) -> dict[str, Any]:
    if not HAS_YAML:
        raise InvalidInput("The configuration file requires the Python package PyYAML.")
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidInput(f"{path} is not YAML" + (f" (line {mark.line + 1})." if mark else ".")) from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} must contain a mapping of names to values.")
    return content
