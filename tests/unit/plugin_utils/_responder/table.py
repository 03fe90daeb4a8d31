# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the settings that the documentation holds, from what declares them."""

from __future__ import annotations

from typing import Any

from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import Setting, declared


def table(section: Any, path: str = "") -> list[str]:
    """Return the rows: name, default, meaning."""
    rows: list[str] = []
    for name, how in declared(section):
        full = f"{path}.{name}" if path else name
        names = f"`{full}`, `{name}_file`" if how.kind == "secret" else f"`{full}`"
        given = f" ({', '.join(f'`{variable}`' for variable in how.env)})" if how.env else ""
        fixed = " Fixed while it runs." if how.fixed else ""
        rows.append(f"| {names} | {how.shown or default(how)} | {how.help}{fixed}{given} |")
        if how.section is not None:
            rows += table(how.section, f"{full}[]" if how.many else full)
    return rows


def default(how: Setting) -> str:
    if how.default is None or how.section is not None:
        return ""
    if isinstance(how.default, bool):
        return str(how.default).lower()
    if isinstance(how.default, tuple):
        return f"[{', '.join(f'{item}' for item in how.default)}]"
    return f"{how.default:g}" if isinstance(how.default, float) else str(how.default)
