# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs cos_blacklist_probe in the controller's process where the task allows it."""

from __future__ import annotations

from ansible_collections.intrusion.response.plugins.modules import cos_blacklist_probe
from ansible_collections.intrusion.response.plugins.plugin_utils._in_process import GuardedAction


class ActionModule(GuardedAction):
    """Action plugin of the module."""

    module = cos_blacklist_probe
