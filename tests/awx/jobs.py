# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Launches, jobs and workflows: what a job gets (awx/main/tasks/jobs.py, awx/main/models/unified_jobs.py), and what comes after it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from . import surveys
from .store import Refused, Store, now


class Outcome(NamedTuple):
    """What came of a job; failed: the hosts that failed or could not be reached, None where the playbook did not get so far."""

    status: str = "successful"
    artifacts: Mapping[str, Any] = {}
    output: str = ""
    failed: tuple[str, ...] | None = ()


#: Runs a job.
Run = Callable[[Store, Mapping[str, Any]], Outcome]
PROMPTS = {"limit": "", "job_type": "run", "verbosity": 0}
DONE = ("successful", "failed", "canceled")


def succeed(_store: Store, _job: Mapping[str, Any]) -> Outcome:
    return Outcome()


class Jobs:
    """Launches what is wanted, each job in a thread of its own."""

    def __init__(self, store: Store, run: Run | None) -> None:
        self.store = store
        self.run = run or succeed
        self.threads: list[threading.Thread] = []

    def launch(self, collection: str, number: int, given: Mapping[str, Any], user: int) -> dict[str, Any]:
        """Launch a template as a person or a program does; raises Refused.

        Returns:
            the answer of the API, with what was dropped in ignored_fields.
        """
        template = self.store.get(collection, number)
        accepted, dropped, wrong = surveys.accept(template, self.store.surveys.get(number, {}), given.get("extra_vars") or {})
        if wrong:
            raise Refused({"variables_needed_to_start": wrong})
        prompts = {name: given[name] for name in PROMPTS if name in given and template.get(f"ask_{name}_on_launch")}
        ignored = {name: given[name] for name in PROMPTS if name in given and name not in prompts}
        about = {"launch_type": "manual", "_user": user, **prompts}
        make = self._job if collection == "job_templates" else self._workflow
        made = make(template, accepted, about)
        if dropped:
            ignored["extra_vars"] = dropped
        shown = {name: value for name, value in made.items() if not name.startswith("_")}
        return {**shown, made["type"]: made["id"], "url": f"/api/v2/{made['type']}s/{made['id']}/", "ignored_fields": ignored}

    def relaunch(self, number: int, hosts: str, user: int) -> dict[str, Any]:
        """Launch a job anew, with the answers that it had, on all hosts or on those that failed (JobRelaunch in awx/api/views)."""
        job = self.store.get("jobs", number)
        about = {name: job[name] for name in PROMPTS}
        if hosts != "all":
            failed = job.get("_failed")
            if job["status"] not in DONE or failed is None:
                raise Refused({"hosts": f"Cannot retry on {hosts} hosts, playbook stats not available."})
            if not failed:
                raise Refused({"hosts": f"Cannot relaunch because previous job had 0 {hosts} hosts."})
            about["limit"] = ",".join(failed)
        about |= {"launch_type": "relaunch", "_user": user}
        made = self._job(self.store.get("job_templates", job["template"]), job["_variables"], about)
        return {name: value for name, value in made.items() if not name.startswith("_")}

    def launch_by(self, name: str, given: Mapping[str, Any], **about: Any) -> dict[str, Any]:
        """Launch a job template as a schedule or a webhook does: nobody is asked, and nobody has launched it."""
        template, = self.store.find("job_templates", {"name": name})
        accepted, _dropped, _wrong = surveys.accept(template, self.store.surveys.get(template["id"], {}), given)
        return self._job(template, accepted, {"_user": None, **about})

    def _record(self, collection: str, template: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
        number = self.store.number(collection)
        made = {
            "id": number, "type": collection[:-1], "name": template["name"], "status": "pending", "failed": False, "created": now(),
            "finished": None, "artifacts": {}, "template": template["id"], "event_processing_finished": False, **PROMPTS, **about,
        }
        self.store.objects[collection][number] = made
        return made

    def _variables(self, template: Mapping[str, Any], accepted: Mapping[str, Any]) -> dict[str, Any]:
        survey = self.store.surveys.get(template["id"], {})
        own = json.loads(template["extra_vars"] or "{}")
        return {**own, **dict(surveys.defaults(template, survey)), **accepted}

    def _job(self, template: Mapping[str, Any], accepted: Mapping[str, Any], about: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        made = self._record("jobs", template, about)
        made["_variables"] = {**self._variables(template, accepted), **more}
        made["_safe"] = set(json.loads(template["extra_vars"] or "{}"))
        made["extra_vars"] = json.dumps(made["_variables"])
        thread = threading.Thread(target=self._work, args=(made,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return made

    def _work(self, job: dict[str, Any]) -> None:
        job["status"] = "running"
        try:
            done = self.run(self.store, job)
        except Exception as error:  # as AWX, which gives such a job the status error
            done = Outcome("error", output=repr(error), failed=None)
        good = done.status == "successful"
        job.update(artifacts=done.artifacts, _output=done.output, _failed=done.failed, finished=now(), failed=not good)
        job.update(event_processing_finished=True, status=done.status)
        if job.get("_node") is not None:
            self._after(job, good)

    def _workflow(self, template: Mapping[str, Any], accepted: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
        made = self._record("workflow_jobs", template, about)
        made["_variables"] = self._variables(template, accepted)
        made["_running"] = 0
        nodes = self.store.find("workflow_job_template_nodes", {"workflow_job_template": str(template["id"])})
        followers = {follower for node in nodes for name in ("success_nodes", "failure_nodes", "always_nodes")
                     for follower in self.store.links["workflow_job_template_nodes", node["id"], name]}
        made["status"] = "running"
        for node in nodes:
            if node["id"] not in followers:
                self._begin(made, node)
        return made

    def _begin(self, workflow: dict[str, Any], node: Mapping[str, Any]) -> None:
        """Begin a node: an approval waits for somebody; a job gets what it asks for, and the artifacts of those before it."""
        workflow["_running"] += 1
        about = {"workflow_job": workflow["id"], "_node": node["id"], "launch_type": "workflow", "_user": workflow["_user"]}
        number = node["unified_job_template"]
        if self.store.place("unified_job_templates", number) == "workflow_approval_templates":
            self._record("workflow_approvals", self.store.get("workflow_approval_templates", number), about)
            return
        template = self.store.get("job_templates", number)
        accepted, _dropped, _wrong = surveys.accept(template, self.store.surveys.get(number, {}), workflow["_variables"])
        self._job(template, accepted, about, **workflow["artifacts"])

    def decide(self, number: int, approved: bool, user: int) -> None:
        approval = self.store.get("workflow_approvals", number)
        if approval["status"] != "pending":
            raise Refused({"error": "This workflow step has already been approved or denied."})
        approval.update(status="successful" if approved else "failed", finished=now(), approved_or_denied_by=user)
        self._after(approval, approved)

    def _after(self, done: Mapping[str, Any], good: bool) -> None:
        workflow = self.store.get("workflow_jobs", done["workflow_job"])
        workflow["artifacts"] = {**workflow["artifacts"], **done["artifacts"]}
        for name in ("success_nodes" if good else "failure_nodes", "always_nodes"):
            for follower in self.store.links["workflow_job_template_nodes", done["_node"], name]:
                self._begin(workflow, self.store.get("workflow_job_template_nodes", follower))
        workflow["_running"] -= 1
        if not workflow["_running"]:
            workflow.update(finished=now(), failed=not good, status="successful" if good else "failed")
