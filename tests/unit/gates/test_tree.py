# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as a whole: layers, size of files, headers, versions, nothing private."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
import yaml

LONGEST = 400
OWN = "ansible_collections.intrusion.response"
UTILS = "plugins/module_utils/"
RESPONDER = "plugins/plugin_utils/_responder/"
#: The only files that may know the library below.
ANSIBLE_BELONGS_TO = {f"{UTILS}_core/module.py"}
HTTP_BELONGS_TO = {f"{UTILS}_core/http.py", f"{UTILS}_core/wire.py"}
#: Where the responder serves HTTP; how a firewall is spoken to, it leaves to the resources.
SERVERS = {f"{RESPONDER}{name}.py" for name in ("webhook/listener", "webhook/server", "monitor", "tools")}
SERVER_LIBRARIES = {"aiohttp", "prometheus_client"}
#: What keeps accepted events, a file of its own.
INBOX = {f"{RESPONDER}inbox.py", f"{RESPONDER}ground.py"}
CONFIGURATION_BELONGS_TO = {f"{RESPONDER}service.py"}
HTTP_LIBRARIES = {"requests", "urllib3", "http", "socketserver", "aiohttp"}
HTTP_CALLS = {"urllib.request", "urllib.error"}
#: What an API client is made of; every other file of an API's room is a resource.
CLIENTS = {"client.py", "login.py"}


def python(tree: dict[str, str], *folders: str) -> dict[str, str]:
    return {name: text for name, text in tree.items() if name.endswith(".py") and name.startswith(folders)}


def imports(name: str, text: str) -> Iterator[str]:
    """Yield every imported module by its absolute name; those of the collection begin with `plugins.`."""
    package = list(PurePosixPath(name).parent.parts)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def uses(imported: str, libraries: set[str]) -> bool:
    return imported.partition(".")[0] in libraries or any(imported == name or imported.startswith(f"{name}.") for name in HTTP_CALLS)


def test_the_gate_can_see(tree):
    assert f"{UTILS}_core/http.py" in tree
    assert "requests.utils" in set(imports(f"{UTILS}_core/wire.py", tree[f"{UTILS}_core/wire.py"]))
    assert "aiohttp" in set(imports(f"{RESPONDER}webhook/server.py", tree[f"{RESPONDER}webhook/server.py"]))


def test_module_utils_know_ansible_in_one_place_only(tree):
    offenders = [
        f"{name}: {imported}"
        for name, text in python(tree, UTILS).items()
        for imported in imports(name, text)
        if imported.partition(".")[0] in ("ansible", "ansible_collections") and name not in ANSIBLE_BELONGS_TO
    ]
    assert not offenders


def test_module_utils_import_each_other_relatively_and_nothing_foreign(tree):
    allowed = {*sys.stdlib_module_names, "plugins"}
    for name, text in python(tree, UTILS).items():
        extra = {"ansible"} if name in ANSIBLE_BELONGS_TO else {"requests", "urllib3"} if name in HTTP_BELONGS_TO else set()
        extra |= {"psycopg"} if name.startswith(f"{UTILS}_ledger/") else set()
        foreign = {imported for imported in imports(name, text) if imported.partition(".")[0] not in allowed | extra}
        assert not foreign, f"{name}: {foreign}"


def test_http_is_spoken_in_one_place_only(tree):
    offenders = [
        f"{name}: {imported}"
        for name, text in python(tree, "plugins/").items()
        for imported in imports(name, text)
        if uses(imported, HTTP_LIBRARIES) and name not in HTTP_BELONGS_TO and not (name in SERVERS and uses(imported, {"aiohttp"}))
    ]
    assert not offenders


def test_the_responder_imports_the_collection_relatively_and_serves_http_in_few_places(tree):
    files = python(tree, RESPONDER)
    assert files
    for name, text in files.items():
        extra = SERVER_LIBRARIES if name in SERVERS else {"yaml"} if name in CONFIGURATION_BELONGS_TO else set()
        allowed = {*sys.stdlib_module_names, "plugins"} | extra
        foreign = {imported for imported in imports(name, text) if imported.partition(".")[0] not in allowed}
        assert not foreign, f"{name}: {foreign}"


def test_databases_are_spoken_to_in_one_place_only(tree):
    offenders = [
        name
        for name, text in python(tree, "plugins/", "extensions/").items()
        if re.search("sqlite|psycopg", text, re.IGNORECASE) and not name.startswith(f"{UTILS}_ledger/") and name not in INBOX
    ]
    assert not offenders


def test_the_responder_speaks_to_firewalls_through_the_resources_only(tree):
    for name, text in python(tree, RESPONDER).items():
        transport = {imported for imported in imports(name, text) if imported.endswith(("_core.http.Transport", "_core.http.Reply"))}
        assert not transport, f"{name}: {transport}"


def test_the_rooms_of_the_responder_form_an_order(tree):
    """None knows a room that comes after it: what is decided does not know the firewalls, nor these those who share them."""
    rooms = ("decide", "firewall", "shared")
    for number, room in enumerate(rooms):
        for name, text in python(tree, f"{RESPONDER}{room}/").items():
            prefix = f"{RESPONDER}".replace("/", ".")
            known = {imported.removeprefix(prefix).partition(".")[0] for imported in imports(name, text) if imported.startswith(prefix)}
            assert not known.intersection(rooms[number + 1 :]), f"{name} knows {known}"


def test_resources_do_not_reach_past_the_client(tree):
    """A resource may name the client it works with, and errors; it never sees the transport."""
    for name, text in python(tree, f"{UTILS}_ips/", f"{UTILS}_cos/").items():
        if PurePosixPath(name).name in CLIENTS:
            continue
        transport = {imported for imported in imports(name, text) if imported.endswith(("_core.http.Transport", "_core.http.Reply"))}
        assert not transport, f"{name}: {transport}"


def test_clients_do_not_know_what_is_wanted(tree):
    for name, text in python(tree, f"{UTILS}_ips/", f"{UTILS}_cos/").items():
        path = PurePosixPath(name)
        if path.name in CLIENTS:
            room = ".".join(path.parent.parts)
            near = [imported for imported in imports(name, text) if imported.startswith(f"{room}.")]
            neighbours = {imported.removeprefix(f"{room}.").partition(".")[0] for imported in near}
            assert {f"{neighbour}.py" for neighbour in neighbours} <= CLIENTS, f"{name} knows {neighbours}"
            assert not any(imported.endswith("_core.plan") for imported in imports(name, text)), name


def test_the_core_knows_no_api(tree):
    apis = ("plugins.module_utils._ips", "plugins.module_utils._cos")
    for name, text in python(tree, f"{UTILS}_core/").items():
        assert not [imported for imported in imports(name, text) if imported.startswith(apis)], name


def test_modules_import_only_the_collection(tree):
    for name, text in python(tree, "plugins/modules/").items():
        for imported in imports(name, text):
            assert imported.startswith((f"{OWN}.plugins.module_utils.", "__future__")), f"{name}: {imported}"


def test_filters_know_neither_http_nor_an_api(tree):
    """They turn values into values: of an API they know what a value looks like, never the client."""
    files = python(tree, "plugins/filter/")
    assert files
    for name, text in files.items():
        for imported in imports(name, text):
            assert imported.partition(".")[0] in {*sys.stdlib_module_names, "ansible", "ansible_collections", "jinja2", "yaml"}, name
            own = imported.removeprefix(f"{OWN}.")
            assert PurePosixPath(own.split(".")[-1] + ".py").name not in CLIENTS and "_core.http" not in own, f"{name}: {imported}"
            assert "_responder" not in own and not own.endswith(("_ledger.store", "_ledger.sqlite")), f"{name}: {imported}"


def test_the_emulator_shares_no_code_with_the_collection(tree):
    for name, text in python(tree, "tests/emulator/").items():
        shared = {imported for imported in imports(name, text) if imported.startswith((OWN, "plugins", "ansible"))}
        assert not shared, f"{name}: {shared}"


def test_no_file_is_too_long(tree):
    long = {
        name: text.count("\n")
        for name, text in python(tree, "plugins/", "extensions/", "tests/").items()
        if text.count("\n") > LONGEST
    }
    assert not long


def test_python_is_modern_and_says_whose_it_is(tree):
    for name, text in python(tree, "").items():
        if not text.strip():
            continue
        head = text[:400]
        assert "SPDX-License-Identifier: GPL-3.0-or-later" in head, name
        assert "Copyright (c)" in head, name
        if not name.startswith("tests/"):
            assert "from __future__ import annotations" in text, name
        assert not re.search(r"^__metaclass__|coding[:=]\s*utf-8|from __future__ import \(", text, re.MULTILINE), f"{name}: Python 2"


def test_yaml_and_scripts_carry_the_licence(tree):
    for name, text in tree.items():
        if name.startswith("changelogs/fragments/"):
            continue  # antsibull-changelog consumes them
        if name.endswith((".yml", ".yaml", ".sh", ".toml")) or text.startswith("#!"):
            assert "SPDX-License-Identifier: GPL-3.0-or-later" in text or "GNU General Public License v3.0+" in text, name


def test_nothing_of_somebody_s_machine(tree):
    private = re.compile(r"(?<![\w.~-])/(?:root|work|home|Users)/\w|/\.pyenv/versions/\d")
    registry = re.compile(r"https?://[^/\s\"']*(?:artifactory|nexus|jfrog|pypi|devpi)[^/\s\"']*", re.IGNORECASE)
    for name, text in tree.items():
        found = private.search(text) or registry.search(text)
        assert not found, f"{name}: {found.group() if found else ''}"


@pytest.mark.parametrize("left", [".venv/", ".cache/", "tests/output/", "changelogs/.plugin-cache.yaml", "intrusion-response-1.0.0.tar.gz"])
def test_what_tools_leave_behind_is_neither_committed_nor_published(root, tree, left):
    assert subprocess.run(["git", "check-ignore", "--quiet", "--no-index", left], cwd=root, check=False).returncode == 0
    assert any(PurePosixPath(left).match(pattern) for pattern in yaml.safe_load(tree["galaxy.yml"])["build_ignore"])


@pytest.fixture(scope="module")
def version(tree: dict[str, str]) -> str:
    return yaml.safe_load(tree["galaxy.yml"])["version"]


def test_versions_agree(tree, version):
    assert re.search(r'^VERSION = "(.*)"$', tree[f"{UTILS}_core/http.py"], re.MULTILINE)[1] == version
    named = set(re.findall(r"intrusion-response-(\d+\.\d+\.\d+)\.tar\.gz", tree["README.md"]))
    assert named == {version}, "README.md names another artifact"


def test_nothing_is_newer_than_the_collection(modules, version):
    def number(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    for module in modules.values():
        assert number(module.documentation["version_added"]) <= number(version), module.name


def test_the_release_has_a_summary(root, version):
    released = root / "changelogs" / "changelog.yaml"
    if released.is_file() and version in yaml.safe_load(released.read_text(encoding="utf-8"))["releases"]:
        return
    fragments = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (root / "changelogs" / "fragments").glob("*.yml")]
    assert any("release_summary" in fragment for fragment in fragments), f"{version} is neither released nor described"
