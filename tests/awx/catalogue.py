# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of the AWX API: their fields with what AWX sets when they are not given, what they refer to, the roles they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ADMIN, READ = {"admin_role": "Admin"}, {"read_role": "Read"}
EXECUTE, USE, UPDATE = {"execute_role": "Execute"}, {"use_role": "Use"}, {"update_role": "Update"}
NEVER = {"last_job_run": None, "last_job_failed": False, "next_job_run": None, "status": "never updated"}
NOTIFICATIONS = {f"notification_templates_{event}": "notification_templates" for event in ("started", "success", "error")}
APPROVALS = {"notification_templates_approvals": "notification_templates"}
FOLLOWERS = ("success_nodes", "failure_nodes", "always_nodes")
ASKED = ("scm_branch", "variables", "limit", "tags", "skip_tags", "inventory", "labels")
ASKED_OF_JOBS = ("diff_mode", "job_type", "verbosity", "credential", "execution_environment", "forks", "job_slice_count", "timeout",
                 "instance_groups")


@dataclass(frozen=True)
class Kind:
    """One resource.

    Attributes:
        type: what its objects call themselves.
        fields: what an object has beside id and links, with the value that it has when nothing else is said.
        required: fields without which none is made.
        unique: no two objects agree in all of these.
        refers: fields that hold the id of an object, and the collection that it is of.
        lists: sub-lists that objects are put on by their id, and the collection that they are of.
        roles: roles of each object, as AWX shows them.
        numbers: which collections share their numbers.
    """

    type: str
    fields: Mapping[str, Any]
    required: tuple[str, ...] = ("name",)
    unique: tuple[str, ...] = ("organization", "name")
    refers: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    numbers: str = ""


def named(**more: Any) -> dict[str, Any]:
    return {"name": "", "description": "", **more}


def asked(*names: str) -> dict[str, bool]:
    return {f"ask_{name}_on_launch": False for name in names}


ORGANIZATION = {"organization": "organizations"}
UNIFIED = "unified_job_templates"
KINDS: dict[str, Kind] = {
    "organizations": Kind(
        "organization", named(max_hosts=0, custom_virtualenv=None, default_environment=None), unique=("name",),
        lists={"users": "users", "galaxy_credentials": "credentials", **APPROVALS, **NOTIFICATIONS},
        roles={
            **ADMIN, **EXECUTE, "project_admin_role": "Project Admin", "inventory_admin_role": "Inventory Admin",
            "credential_admin_role": "Credential Admin", "workflow_admin_role": "Workflow Admin",
            "notification_admin_role": "Notification Admin", "job_template_admin_role": "Job Template Admin",
            "execution_environment_admin_role": "Execution Environment Admin", "auditor_role": "Auditor", "member_role": "Member", **READ,
            "approval_role": "Approve",
        },
    ),
    "users": Kind(
        "user", {"username": "", "first_name": "", "last_name": "", "email": "", "is_superuser": False, "is_system_auditor": False,
                 "password": "", "last_login": None},
        required=("username", "password"), unique=("username",),
    ),
    "teams": Kind("team", named(organization=None), ("name", "organization"), refers=ORGANIZATION,
                  roles={**ADMIN, "member_role": "Member", **READ}),
    "credential_types": Kind(
        "credential_type", named(kind="", namespace=None, managed=False, inputs={}, injectors={}), ("name", "kind"), ("name", "kind"),
    ),
    "credentials": Kind(
        "credential",
        named(organization=None, credential_type=None, managed=False, inputs={}, kind=None, cloud=False, kubernetes=False),
        ("name", "credential_type"), ("organization", "name", "credential_type"),
        refers={**ORGANIZATION, "credential_type": "credential_types"}, roles={**ADMIN, **USE, **READ},
    ),
    "execution_environments": Kind(
        "execution_environment", named(organization=None, image="", managed=False, credential=None, pull=""), ("name", "image"),
        ("name",), refers=ORGANIZATION,
    ),
    "projects": Kind(
        "project",
        named(
            local_path="", scm_type="", scm_url="", scm_branch="", scm_refspec="", scm_clean=False, scm_track_submodules=False,
            scm_delete_on_update=False, credential=None, timeout=0, scm_revision="", **NEVER, organization=None,
            scm_update_on_launch=False, scm_update_cache_timeout=0, allow_override=False, custom_virtualenv=None,
            default_environment=None, signature_validation_credential=None, last_update_failed=False, last_updated=None,
        ),
        refers=ORGANIZATION, lists=NOTIFICATIONS, roles={**ADMIN, **USE, **UPDATE, **READ}, numbers=UNIFIED,
    ),
    "inventories": Kind(
        "inventory",
        named(
            organization=None, kind="", host_filter=None, variables="", has_active_failures=False, total_hosts=0,
            hosts_with_active_failures=0, total_groups=0, has_inventory_sources=False, total_inventory_sources=0,
            inventory_sources_with_failures=0, pending_deletion=False, prevent_instance_group_fallback=False,
        ),
        ("name", "organization"), refers=ORGANIZATION, roles={**ADMIN, **UPDATE, "adhoc_role": "Ad Hoc", **USE, **READ},
    ),
    "hosts": Kind(
        "host",
        named(
            inventory=None, enabled=True, instance_id="", variables="", has_active_failures=False, has_inventory_sources=False,
            last_job=None, last_job_host_summary=None, ansible_facts_modified=None,
        ),
        ("name", "inventory"), ("inventory", "name"), refers={"inventory": "inventories"},
    ),
    "groups": Kind(
        "group", named(inventory=None, variables=""), ("name", "inventory"), ("inventory", "name"), refers={"inventory": "inventories"},
        lists={"hosts": "hosts", "children": "groups"},
    ),
    "job_templates": Kind(
        "job_template",
        named(
            job_type="run", inventory=None, project=None, playbook="", scm_branch="", forks=0, limit="", verbosity=0, extra_vars="",
            job_tags="", force_handlers=False, skip_tags="", start_at_task="", timeout=0, use_fact_cache=False, organization=None, **NEVER,
            execution_environment=None, host_config_key="", **asked(*ASKED, *ASKED_OF_JOBS), survey_enabled=False, become_enabled=False,
            diff_mode=False, allow_simultaneous=False, custom_virtualenv=None, job_slice_count=1, webhook_service="",
            webhook_credential=None, prevent_instance_group_fallback=False,
        ),
        ("name", "project"),
        refers={**ORGANIZATION, "inventory": "inventories", "project": "projects", "execution_environment": "execution_environments"},
        lists={"credentials": "credentials", **NOTIFICATIONS}, roles={**ADMIN, **EXECUTE, **READ}, numbers=UNIFIED,
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        named(
            **NEVER, extra_vars="", organization=None, survey_enabled=False, allow_simultaneous=False, inventory=None, limit=None,
            scm_branch=None, **asked(*ASKED), webhook_service="", webhook_credential=None, skip_tags=None, job_tags=None,
        ),
        refers={**ORGANIZATION, "inventory": "inventories"},
        lists={**APPROVALS, **NOTIFICATIONS},
        roles={**ADMIN, **EXECUTE, **READ, "approval_role": "Approve"}, numbers=UNIFIED,
    ),
    "workflow_job_template_nodes": Kind(
        "workflow_job_template_node",
        {
            "extra_data": {}, **dict.fromkeys(
                ("inventory", "scm_branch", "job_type", "job_tags", "skip_tags", "limit", "diff_mode", "verbosity", "execution_environment",
                 "forks", "job_slice_count", "timeout", "workflow_job_template", "unified_job_template")),
            **{name: [] for name in FOLLOWERS}, "all_parents_must_converge": False, "identifier": "",
        },
        ("workflow_job_template",), ("workflow_job_template", "identifier"),
        refers={"workflow_job_template": "workflow_job_templates", "unified_job_template": UNIFIED},
        lists={"credentials": "credentials", **dict.fromkeys(FOLLOWERS, "workflow_job_template_nodes")},
    ),
    "workflow_approval_templates": Kind(
        "workflow_approval_template", named(**NEVER, execution_environment=None, timeout=0), unique=(), numbers=UNIFIED,
    ),
    "notification_templates": Kind(
        "notification_template",
        named(
            organization=None, notification_type="", notification_configuration={},
            messages=dict.fromkeys(("started", "success", "error", "workflow_approval")),
        ),
        ("name", "organization", "notification_type"), refers=ORGANIZATION,
    ),
}
#: Jobs of all kinds are numbered together.
JOBS = ("jobs", "workflow_jobs", "workflow_approvals", "project_updates")
#: What an unbound name of a credential's injector must not be (ENV_BLOCKLIST in awx/main/constants.py, and ANSIBLE_*).
BLOCKED_VARIABLES = {
    "VIRTUAL_ENV", "PATH", "PYTHONPATH", "JOB_ID", "INVENTORY_ID", "INVENTORY_SOURCE_ID", "INVENTORY_UPDATE_ID", "AD_HOC_COMMAND_ID",
    "REST_API_URL", "REST_API_TOKEN", "MAX_EVENT_RES", "CALLBACK_QUEUE", "CALLBACK_CONNECTION", "CACHE", "JOB_CALLBACK_DEBUG",
    "INVENTORY_HOSTVARS", "AWX_HOST", "PROJECT_REVISION", "SUPERVISOR_CONFIG_PATH",
}
