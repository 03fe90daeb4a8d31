# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that all modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment intrusion.response.attributes."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    details:
      - In check mode the connection itself refuses to write.
  diff_mode:
    support: full
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled by the module has not changed in a relevant way.
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    details:
      - The module only reads.
  diff_mode:
    support: N/A
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled by the module has not changed in a relevant way.
"""

    ACTIONGROUP_IPS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/intrusion.response.ips) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - intrusion.response.ips
"""

    ACTIONGROUP_RESPONSE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/intrusion.response.response) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - intrusion.response.response
"""

    ACTIONGROUP_COS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/intrusion.response.cos) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - intrusion.response.cos
"""
