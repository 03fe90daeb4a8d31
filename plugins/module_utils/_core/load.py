# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable for files that ansible-rulebook loads directly; this file is executed by its path."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType

PLUGINS = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """Return a module in `plugins`, by its dotted name; every copy of the collection gets its own package."""
    package = f"intrusion_response_{hashlib.sha256(str(PLUGINS).encode()).hexdigest()[:16]}"
    if package not in sys.modules:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(PLUGINS)]
    return importlib.import_module(f"{package}.{name}")
