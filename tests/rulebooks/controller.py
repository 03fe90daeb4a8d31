# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a controller's API that ansible-rulebook calls to launch a job template; jobs are done at once."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "canary-controller-token-8Vb1"
LAUNCH = "/api/v2/job_templates/7/launch/"
JOBS = "/api/v2/jobs/"


class Controller:
    """A context manager; `launches` holds the body of each launch."""

    def __init__(self, template: str, organization: str) -> None:
        self.launches: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.template = {
            "id": 7, "type": "job_template", "name": template, "related": {"launch": LAUNCH},
            "summary_fields": {"organization": {"name": organization}},
            **{f"ask_{what}_on_launch": what == "variables" for what in ("limit", "labels", "inventory", "variables")},
        }

    def __enter__(self) -> Controller:
        controller = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(None)

            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body: Any) -> None:
                known = self.headers["Authorization"] == f"Bearer {TOKEN}"
                found = controller.serve(self.command, self.path, body) if known else None
                if found is None:
                    controller.refused.append(f"{self.command} {self.path}")
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(found or {}).encode())

            def log_message(self, *_unused: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def serve(self, method: str, target: str, body: Any) -> dict[str, Any] | None:
        """Return the answer, or None for what there is not."""
        path = urlsplit(target).path
        if (method, path) == ("GET", "/api/v2/config/"):
            return {"version": "4.6.0"}
        if (method, path) == ("GET", "/api/v2/unified_job_templates/"):
            return {"count": 1, "next": None, "results": [self.template]}
        if (method, path) == ("POST", LAUNCH):
            self.launches.append(body)
            return self.job(str(len(self.launches)))
        if (method, path) == ("GET", JOBS):
            numbers = parse_qs(urlsplit(target).query)["id__in"][0].split(",")
            return {"count": len(numbers), "next": None, "results": [self.job(number) for number in numbers]}
        return None

    def job(self, number: str) -> dict[str, Any]:
        return {
            "id": int(number), "url": f"{JOBS}{number}/", "status": "successful", "created": "2026-01-01T00:00:00Z", "artifacts": {},
        }
