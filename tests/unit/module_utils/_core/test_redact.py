# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is hidden, and what is still to be seen."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import Redactor, mask_url, mask_urls, url_passwords


def test_redaction() -> None:
    redact = Redactor(["s3cret word", None, "", "abc"])
    assert redact("a s3cret word, s3cret%20word and abc") == "a ********, ******** and abc"


def test_masked_urls_show_that_they_differ() -> None:
    one, two = mask_url("https://u:p@hooks.example.com:8443/T/secret?x=1"), mask_url("https://hooks.example.com:8443/T/other")
    assert one.startswith("https://hooks.example.com:8443/********#") and one != two
    assert "secret" not in one and "u:p" not in one


@pytest.mark.parametrize("text", ["https://[::1/secret", "got: https://[secret]x/secret and more", "https://h.example:port/secret"])
def test_unusable_urls_are_masked_as_well(text: str) -> None:
    assert "/secret" not in mask_urls(text) and "[secret" not in mask_urls(text)


def test_passwords_in_addresses() -> None:
    for url, secrets in (
        ("https://user:word@host/a@b", {"word", "word@host/a"}),
        ("postgresql://u:p%40ss%2Fw@host/db", {"p%40ss%2Fw", "p@ss/w"}),
        ("postgresql://u:a/b@c@host/db", {"a/b", "a/b@c"}),
        ("postgresql:///db?user=u&password=q%3Dr&sslpassword=s", {"q%3Dr", "q=r", "s"}),
        ("https://host:8443/path", set()),
        (None, set()),
    ):
        assert url_passwords([url]) == secrets
