# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md and the guides say what is so: settings, failure codes, contents, commands of make; their links lead somewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import PurePosixPath

import pytest
import yaml

from tools.layers import LAYERS

from .conftest import FQCN, PACKAGE, ROOT

LONGEST = 180
PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((*ROOT.glob("[!C]*.md"), ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")))]


def section(text: str, title: str) -> str:
    """Return a part of the page, from its heading to the next one of its rank or higher."""
    rank, body = re.search(rf"^(#+) {re.escape(title)}\n(.*)", text, re.MULTILINE | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(rank)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table below its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_sections_of_the_certification_template(tree):
    headings = re.findall(r"^## (.+)$", tree["README.md"], re.MULTILINE)
    wanted = [
        "Description", "Requirements", "Installation", "Use cases", "Testing", "Contributing", "Support",
        "Release notes and roadmap", "Related information", "License information",
    ]
    assert [heading for heading in headings if heading in wanted] == wanted
    assert len(re.findall(r"^### ", section(tree["README.md"], "Use cases"), re.MULTILINE)) >= 3


def test_the_two_commands_come_first(tree):
    first = re.search(r"```shell\n(.*?)```", tree["README.md"], re.DOTALL)[1]
    assert re.findall(r"^make \w+", first, re.MULTILINE) == ["make demo", "make play", "make test"]


def test_commands_of_make_exist(tree):
    targets = set(re.findall(r"^(\w+):.*## ", tree["Makefile"], re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:^|`)make (\w+)", tree[name], re.MULTILINE))
        assert named
        assert named <= targets, name


def test_settings_are_those_of_the_code(tree):
    options = importlib.import_module(f"{PACKAGE}.module_utils._core.options")
    expected = {(options.NEVER_BLOCK_ENV, "never_block")}
    for option in (*options.COS_CONNECTION, *options.IPS_CONNECTION, *options.LEDGER):
        expected |= {(option.env[0], option.name)} if option.env else set()
    table = tree["docs/connection.md"]
    assert {(variable.strip("`"), option.strip("`")) for variable, option, _meaning in rows(table)} == expected
    for option in (*options.COS_CONNECTION, *options.IPS_CONNECTION):
        for variable in option.env:
            assert f"`{variable}`" in table


def test_failure_codes_are_those_of_the_code(tree):
    errors = importlib.import_module(f"{PACKAGE}.module_utils._core.errors")
    codes = {
        error.code for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.IntrusionResponseError) and error is not errors.IntrusionResponseError
    }
    codes |= set(re.findall(r'"code": "(\w+)"', tree["plugins/module_utils/_core/module.py"]))
    listed = [code for code, _meaning in rows(tree["docs/failures.md"]) for code in re.findall(r"`(\w+)`", code)]
    assert sorted(listed) == sorted(codes)


def test_content_is_complete(tree, modules):
    table = {cell for row in rows(section(tree["docs/README.md"], "Content")) for cell in re.findall(r"`([\w.]+)`", row[0])}
    named = {name.removeprefix(f"{FQCN}.") for name in table}
    roles = {name.split("/")[1] for name in tree if name.startswith("roles/")}
    playbooks = {name.split("/")[1].removesuffix(".yml") for name in tree if re.fullmatch(r"playbooks/[^/]+\.yml", name)}
    plugins = {name.split("/")[-1].removesuffix(".py") for name in tree if re.fullmatch(r"extensions/eda/plugins/[^/]+/[^/]+\.py", name)}
    rulebooks = {name.split("/")[-1].removesuffix(".yml") for name in tree if name.startswith("extensions/eda/rulebooks/")}
    filters = {name.split("/")[-1].removesuffix(".py") for name in tree if name.startswith("plugins/filter/")}
    for kind in (roles, playbooks, plugins, rulebooks, filters):
        assert kind
    assert named == {*modules, *roles, *playbooks, *plugins, *rulebooks, *filters}


def test_versions_of_ansible_core_are_those_that_are_tested(tree, root):
    named = re.search(r"Tested with ansible-core ([\d., and]+\d)", tree["README.md"])[1]
    pins = (root / "tests" / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^ansible-core==(\d+\.\d+)", pins, re.MULTILINE)[1]
    oldest = re.search(r">=(\d+\.\d+)", yaml.safe_load(tree["meta/runtime.yml"])["requires_ansible"])[1]
    others = re.findall(r'"(\d\.\d+)": \("\d', tree["tests/tools/layers.py"])
    assert sorted(re.findall(r"\d\.\d+", named)) == sorted({pinned, *others})
    assert oldest in others


def test_the_readme_takes_two_minutes(tree):
    assert tree["README.md"].count("\n") <= LONGEST


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(tree, page):
    for target in re.findall(r"\]\(([^)\s]+)\)", tree[page]):
        path, _hash, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (PurePosixPath(page).parent / path).as_posix() if path else page
        name = re.sub(r"(^|/)[^/]+/\.\./", r"\1", found)
        assert (ROOT / name).is_file(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", tree[name], re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_guide_is_listed(tree):
    guides = {name.removeprefix("docs/") for name in tree if re.fullmatch(r"docs/[\w-]+\.md", name)} - {"README.md"}
    assert set(re.findall(r"^\| \[[\w.-]+\]\(([\w.-]+)\)", tree["docs/README.md"], re.MULTILINE)) == guides


def test_checklists_name_what_exists(tree):
    page = tree["docs/checklists.md"]
    code = "\n".join(text for path, text in tree.items() if path.startswith("tests/unit/gates/"))
    defined = set(re.findall(r"^def (test_\w+)", code, re.MULTILINE))
    gates = set(re.findall(r"`(test_\w+)`", page))
    assert gates and gates <= defined
    layers = {name for part in re.findall(r"layers? ((?:`[\w-]+`(?:, )?)+)", page) for name in re.findall(r"`([\w-]+)`", part)}
    assert layers and layers <= set(LAYERS)
    assert all((ROOT / name).is_file() for name in re.findall(r"`((?:tests|meta|\.github)/[\w./-]+\.\w+)`", page))
