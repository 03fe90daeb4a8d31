# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters as Ansible loads them: by the name of their file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jinja2
import pytest

PACKAGE = "ansible_collections.intrusion.response.plugins.filter"


@pytest.fixture
def apply(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The filter that the test file is named after."""
    name = request.path.stem.removeprefix("test_")
    return importlib.import_module(f"{PACKAGE}.{name}").FilterModule().filters()[name]


@pytest.fixture
def context() -> Callable[..., jinja2.runtime.Context]:
    """Variables as a filter sees those of a template."""
    return lambda **variables: jinja2.Environment().from_string("").new_context(variables)
