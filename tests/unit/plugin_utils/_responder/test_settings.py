# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings are read with their types, refused by their full names, and described by what declares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import read, reloaded, schema, setting

from .table import table

SECRET = "correct-horse-battery"


@dataclass(frozen=True)
class Inner:
    text: Optional[str] = setting("text", "A text.")
    file: Optional[str] = setting("path", "A file.")


@dataclass(frozen=True)
class Outer:
    integer: int = setting("integer", "An integer.", 5, low=1, high=9999, env=("AN_INTEGER", "ANOTHER"))
    number: Optional[float] = setting("number", "A `number`.", low=0, high=10, fixed=True)
    boolean: bool = setting("boolean", "A boolean.", False)
    texts: tuple[str, ...] = setting("texts", "Texts.", ("x",))
    words: tuple[str, ...] = setting("words", "Words.", (), choices=("alpha", "beta"))
    numbers: tuple[float, ...] = setting("numbers", "Numbers.", (1, 4), low=0, high=9)
    networks: tuple[Any, ...] = setting("networks", "Networks.", ())
    password: Optional[str] = setting("secret", "A secret.")
    keys: tuple[str, ...] = setting("secrets", "Secrets.", ())
    inner: Inner = setting("section", "A section.", section=Inner)
    maybe: Optional[Inner] = setting("section", "A section.", section=Inner, optional=True)
    many: tuple[Inner, ...] = setting("sections", "Sections.", (), section=Inner)


def outer(path: str = "", environ: dict[str, str] | None = None, **given: Any) -> Outer:
    return read(Outer, given, path, environ or {})


def test_values_and_their_texts_are_the_same() -> None:
    one = outer(integer=3600, boolean=True, number=1.5, texts=["x", "y"], numbers=[1, 2], words=["alpha"])
    assert one == outer(integer="3600", boolean="yes", number=" 1.5 ", texts="x, y", numbers="1,2", words="ALPHA")
    assert (one.integer, one.boolean, one.number, one.texts, one.numbers, one.words) == (3600, True, 1.5, ("x", "y"), (1, 2), ("alpha",))
    assert outer(numbers=3).numbers == (3,)


def test_missing_and_null_take_the_default() -> None:
    names = ("integer", "number", "boolean", "texts", "numbers", "password", "keys", "inner", "maybe", "many")
    assert outer() == outer(**dict.fromkeys(names)) == Outer(inner=Inner())
    assert outer(maybe={}).maybe == Inner() and outer(many=[{}, None]).many == (Inner(), Inner())


def test_the_environment_gives_what_nobody_else_does() -> None:
    environ = {"AN_INTEGER": "", "ANOTHER": "7"}
    assert outer(environ=environ).integer == 7 and outer(environ=environ, integer=8).integer == 8
    with pytest.raises(InvalidInput, match=r"^the environment variable ANOTHER, which gives top\.integer, must be a number"):
        outer("top", {"ANOTHER": "many"})


@pytest.mark.parametrize(
    "given",
    [
        {"integer": 10_000}, {"integer": "1.5"}, {"integer": True}, {"number": "nan"}, {"number": 10**400}, {"numbers": [1, "two"]},
        {"boolean": "perhaps"}, {"inner": {"text": 5}}, {"inner": {"text": "  "}}, {"inner": {"text": "a\nb"}}, {"words": ["alpha", "c"]},
        {"texts": {"a": 1}}, {"networks": ["192.0.2.1/24"]}, {"networks": ["example.com"]}, {"inner": "text"}, {"many": {"a": 1}},
        {"many": ["a"]}, {"password": 123456}, {"keys": {"a": 1}}, {"inner": {"file": "$NOT_SET_ANYWHERE/file"}},
    ],
    ids=str,
)  # fmt: skip
def test_errors_name_the_setting_in_full(given: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"^respond\.policy\.{next(iter(given))}"):
        outer("respond.policy", **given)


def test_lists_of_sections_are_numbered() -> None:
    with pytest.raises(InvalidInput, match=r"^many\[1\]\.text "):
        outer(many=[{"text": "one"}, {"text": 2}])


def test_unknown_settings_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match=r"'inner\.txt' is not a setting; did you mean text\?"):
        outer(inner={"txt": 1})
    with pytest.raises(InvalidInput, match=r"there are .*password_file"):
        outer(qqqqqq=1)
    with pytest.raises(InvalidInput, match=r"words\[0\] may be alpha, beta; got 'alhpa' \(did you mean alpha\?\)"):
        outer(words=["Alhpa"])


def test_secrets_come_from_files_in_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_text("# of the firewall\npass word \n")
    (tmp_path / "many").write_text(f"\ufeff{SECRET}-1\r\n\n# the old one:\n {SECRET}-2 \n  # {SECRET}-3\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = outer(password_file="$CREDENTIALS_DIRECTORY/one", keys_file=str(tmp_path / "many"))
    assert found.password == "pass word "
    assert found.keys == (f"{SECRET}-1", f"{SECRET}-2"), "a line that begins with # is no key"
    assert SECRET not in repr(found) and "pass" not in repr(found).replace("password", "")
    with pytest.raises(InvalidInput, match="more than one line"):
        outer(password_file=str(tmp_path / "many"))
    with pytest.raises(InvalidInput, match="exclude each other"):
        outer(password="x", password_file=str(tmp_path / "one"))


def test_what_changes_while_it_runs_and_what_does_not() -> None:
    old = outer(integer=1, number=1, maybe={"text": "a"}, inner={"text": "a"})
    new = outer(integer=2, number=2, inner={"text": "b"})
    merged, stuck = reloaded(old, new)
    assert (merged.integer, merged.number, merged.inner.text) == (2, 1, "b")
    assert stuck == ["number", "maybe"] and merged.maybe == old.maybe


def test_the_schema_and_the_table_follow() -> None:
    found = schema(Outer)
    assert found["additionalProperties"] is False and set(found["properties"]) == {*vars(outer()), "password_file", "keys_file"}
    integer = found["properties"]["integer"]
    assert integer == {"description": "An integer.", "type": ["integer", "string", "null"], "minimum": 1, "maximum": 9999}
    assert found["properties"]["number"]["description"] == "A number."
    assert found["properties"]["many"]["items"]["properties"]["file"]["type"] == ["string", "null"]
    rows = table(Outer)
    assert "| `integer` | 5 | An integer. (`AN_INTEGER`, `ANOTHER`) |" in rows
    assert "| `number` |  | A `number`. Fixed while it runs. |" in rows
    assert "| `password`, `password_file` |  | A secret. |" in rows and "| `many[].text` |  | A text. |" in rows
