# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cleans texts from outside (services, events, ledgers, host names) before they are shown to a person or logged."""

from __future__ import annotations

import re
from typing import Any, Optional

#: Characters that move a terminal's cursor, change colours, break lines or reverse the writing direction: C0 and C1 controls, line
#: and paragraph separators, bidirectional and invisible format characters, lone surrogates, tags.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
#: Marks the end of a truncated text.
CUT = "..."


def clean(value: Any, longest: Optional[int] = None) -> str:
    """Return value as one line of text that is safe in a terminal: white space collapsed, unsafe characters replaced by "?".

    Args:
        value: anything; None is an empty text.
        longest: maximum number of characters, including the mark of truncation.
    """
    text = "" if value is None else str(value)
    text = UNSAFE.sub("?", " ".join(text.split()))
    return text if longest is None or len(text) <= longest else text[: longest - len(CUT)] + CUT
