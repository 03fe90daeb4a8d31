# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options from variables; what is empty is not given, what cannot be told is an error."""

from __future__ import annotations

import jinja2
import pytest


def test_what_is_empty_is_not_given(apply, context):
    variables = context(cos_username="blocker", cos_password="", cos_timeout=0, cos_validate_certs=False, cos_ca_path=None, other_retries=3)
    names = ["username", "password", "timeout", "validate_certs", "ca_path", "retries"]
    assert apply(variables, names, "cos") == {"username": "blocker", "timeout": 0, "validate_certs": False}


def test_a_template_in_error_is_no_missing_variable(apply, context):
    broken = jinja2.StrictUndefined(name="nowhere")
    with pytest.raises(jinja2.UndefinedError, match="nowhere"):
        apply(context(cos_username=broken), ["username"], "cos")
    assert apply(context(cos_username=broken, cos_timeout=5), ["timeout"], "cos") == {"timeout": 5}
