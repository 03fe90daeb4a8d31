# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one cleaner of texts from outside (services, events, ledgers, host names), for where a text is shown to a person or logged."""

from __future__ import annotations

import re
from typing import Any, Optional

#: Moves a terminal's cursor, changes colours, breaks lines or turns the direction of writing: C0 and C1 controls, line and
#: paragraph separators, bidirectional and invisible format characters, halves of characters, tags.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
#: Stands for what was left out.
CUT = "..."


def clean(value: Any, longest: Optional[int] = None) -> str:
    """Return value as one line of text that a terminal shows as it is: white space folded, unsafe characters as "?".

    Args:
        value: anything; None is an empty text.
        longest: characters at most, what is cut included.
    """
    text = "" if value is None else str(value)
    text = UNSAFE.sub("?", " ".join(text.split()))
    return text if longest is None or len(text) <= longest else text[: longest - len(CUT)] + CUT
