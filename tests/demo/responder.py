# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder as a service on loopback, the place where IPS events arrive."""

from __future__ import annotations

import json
import queue
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.environment import ROOT
from tools.ports import free_port
from tools.shell import starting, stop_group

SERVICE = "extensions/eda/plugins/event_source/webhook.py"
START = 30  # seconds


class Responder:
    """Runs the service with a settings file in `place`.

    Attributes:
        secret: the part of the webhook's URL that must not be guessed.
        url: where the IPS is to post.
        monitor: where it tells of itself.
        settings: its file.
    """

    def __init__(
        self, place: Path, firewalls: Mapping[str, str], never_block: list[str], ca_path: str, name: str = "responder",
        follow: Sequence[Mapping[str, Any]] = (),
    ) -> None:  # fmt: skip
        self.secret = secrets.token_urlsafe(18)
        port, monitor = free_port(), free_port()
        self.monitor = f"http://127.0.0.1:{monitor}"
        self.url = f"http://127.0.0.1:{port}/ips/{self.secret}"
        self.settings = place / f"{name}.yml"
        self._log = place / f"{name}.log"
        self._verdicts: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        settings = {
            "port": port,
            "path_secrets": [self.secret],
            "monitor": {"port": monitor},
            "state_dir": str(place / "state" / name),
            "follow": list(follow),
            "respond": {
                "firewalls": [{"name": name, "api_url": url, "ca_path": ca_path} for name, url in firewalls.items()],
                "never_block": never_block,
            },
        }
        self.settings.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        self.settings.chmod(0o600)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start, and wait until it and all firewalls are there; raises RuntimeError when they do not come."""
        with self._log.open("w", encoding="utf-8") as log, starting():
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / SERVICE), "--config", str(self.settings)], cwd=self.settings.parent, env=dict(environment),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )
            self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
            self._reader.start()
        deadline = time.monotonic() + START
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the responder did not start: {self._log.read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.05)

    def verdict(self, timeout: float) -> dict[str, Any] | None:
        """Return the next verdict, or None when none comes within timeout seconds."""
        try:
            return self._verdicts.get(timeout=timeout)
        except queue.Empty:
            return None

    def works(self) -> list[str]:
        """Return the firewalls that it works."""
        with urllib.request.urlopen(f"{self.monitor}/status", timeout=5) as answer:
            shared = json.load(answer)["shared"]
        return shared["works"] if shared["connected"] else []

    def kill(self) -> None:
        """End it with kill -9."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            stop_group(self._process)  # type: ignore[arg-type]
            self._reader.join()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.monitor}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _read(self, stream: Any) -> None:
        for line in stream:
            event = json.loads(line)
            if event["type"] == "verdict":
                self._verdicts.put(event)
