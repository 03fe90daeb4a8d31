# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gates look at: the modules with their documentation, and the files of the repository."""

from __future__ import annotations

import ast
import copy
import importlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FQCN = "intrusion.response"
PACKAGE = f"ansible_collections.{FQCN}.plugins"
GENERATED = ("LICENSE", "CHANGELOG.md", "changelogs/changelog.yaml", "tests/requirements.txt")


def literal(path: Path, name: str) -> str:
    """Return a string constant of a Python file without running it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            return str(ast.literal_eval(node.value))
    raise LookupError(f"{path} has no {name}")


def load_fragment(reference: str) -> dict[str, Any]:
    """Return a documentation fragment, named as modules name it."""
    name = reference.removeprefix(f"{FQCN}.")
    file, _dot, part = name.partition(".")
    fragment = importlib.import_module(f"{PACKAGE}.doc_fragments.{file}").ModuleDocFragment
    return yaml.safe_load(getattr(fragment, part.upper() or "DOCUMENTATION"))


@dataclass
class Module:
    """One module of the collection as its file describes it."""

    path: Path
    documentation: dict[str, Any] = field(init=False)
    returns: dict[str, Any] = field(init=False)
    examples: list[dict[str, Any]] = field(init=False)
    examples_text: str = field(init=False)

    def __post_init__(self) -> None:
        own = yaml.safe_load(literal(self.path, "DOCUMENTATION"))
        merged: dict[str, Any] = {"options": {}, "attributes": {}}
        for reference in own.get("extends_documentation_fragment", []):
            fragment = load_fragment(reference)
            for part in merged:
                merged[part].update(copy.deepcopy(fragment.get(part, {})))
        for name, attribute in own.get("attributes", {}).items():
            merged["attributes"].setdefault(name, {}).update(attribute)
        merged["options"].update(own.get("options", {}))
        self.documentation = {**own, **merged}
        self.returns = yaml.safe_load(literal(self.path, "RETURN"))
        self.examples_text = literal(self.path, "EXAMPLES")
        self.examples = yaml.safe_load(self.examples_text)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_info(self) -> bool:
        return self.name.endswith("_info")

    @property
    def group(self) -> str:
        """The action group, after the first part of the name."""
        return self.name.partition("_")[0]

    @cached_property
    def code(self) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.modules.{self.name}")


MODULES = [Module(path) for path in sorted((ROOT / "plugins" / "modules").glob("*.py"))]


@pytest.fixture(params=MODULES, ids=lambda module: module.name)
def module(request: pytest.FixtureRequest) -> Module:
    """Every module in turn."""
    return request.param


@pytest.fixture(scope="session")
def modules() -> dict[str, Module]:
    """All modules by name."""
    return {module.name: module for module in MODULES}


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the collection."""
    return ROOT


def _tree() -> Iterator[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in sorted(set(listing.stdout.split("\0"))):
        if name and name not in GENERATED and (ROOT / name).is_file():
            yield ROOT / name


@pytest.fixture(scope="session")
def tree() -> dict[str, str]:
    """Every file that is written by hand, by its path in the repository, as text."""
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in _tree()}
