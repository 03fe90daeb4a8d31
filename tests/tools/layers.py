# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the test layers, cheap to dear, and end with a sum. All of them run, also after a failure.

A layer of pytest keeps all processors busy. The others have parts that keep one busy at most and touch nothing of one another's: the
parts of all of them run side by side, the longest first. One more runs at a time than there are processors, since all of them also wait.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from . import environment, site, workspace
from .shell import AT_A_TIME, Shell, side_by_side
from .workspace import CACHE, VENV_BIN, clean_environment

CORES = {"2.16": ("2.16.19", "3.11"), "2.21": ("2.21.5", "3.13")}  # oldest and newest: release, Python
OLDEST_MODULE_PYTHON = "3.9"
OLDEST_JAVA = 17  # for ansible-rulebook
MODULE_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")

#: The parts of a layer by name; each takes a shell of its own.
Parts = dict[str, Callable[[Shell], None]]
_making = threading.Lock()


@functools.lru_cache
def copy(name: str) -> Path:
    """Return a clean copy of the collection, made once a run."""
    return workspace.make_copy(CACHE / "copies" / name)


def copy_environment(name: str) -> dict[str, str]:
    """Return the environment for tools that look at a copy."""
    return workspace.only_collections_below(copy(name).parents[2])


def lint(shell: Shell) -> None:
    """Python and YAML, without running anything."""
    shell.check("ruff", "ruff", "check", "--output-format", "concise", ".")
    shell.check("mypy", "mypy")
    shell.check("yamllint", "yamllint", "--strict", ".")


def unit(shell: Shell) -> None:
    """Gates, resources and plans with hypothesis, clients over the switch matrix, the emulator itself."""
    run_pytest(shell, "tests/unit")


def acceptance(shell: Shell) -> None:
    """What a user is promised: documented examples, ad hoc use, check mode, secrets."""
    run_pytest(shell, "tests/acceptance")


def rulebooks(shell: Shell) -> None:
    """The rulebooks as they are shipped, in real ansible-rulebook."""
    found = java_version()
    if found < OLDEST_JAVA:
        shell.skipped.append(f"ansible-rulebook needs Java {OLDEST_JAVA}, and there is {f'Java {found}' if found else 'none'} "
                             "(Debian: openjdk-17-jre-headless)")
        return
    run_pytest(shell, "tests/rulebooks")


def java_version() -> int:
    """Return the major version of the Java that ansible-rulebook would take, 0 where there is none that works."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None:
        return 0
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', done.stderr)
    return int(version[1]) if version and done.returncode == 0 else 0


def run_pytest(shell: Shell, directory: str) -> None:
    """Run the tests of a directory, and count every one."""
    report = shell.log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    workers = os.environ.get("PYTEST_WORKERS", str(AT_A_TIME))
    status, output = shell.run("pytest", "-q", "-n", workers, "--dist", "worksteal", f"--junit-xml={report}", directory)
    cases = list(ElementTree.parse(report).getroot().iter("testcase")) if report.is_file() else []
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    shell.passed += len(cases) - len(bad) - len(skipped)
    shell.skipped += [f"{case.get('name')}: {case.find('skipped').get('message')}" for case in skipped]  # type: ignore[union-attr]
    if status and not bad:
        shell.record("pytest", False, output)
    for case in bad:
        shell.record(f"{case.get('classname')}::{case.get('name')}", False, "".join(case.itertext()))


def integration() -> Parts:
    """The integration targets: for real, and under --check without a single write."""
    from . import integration as driver

    return {
        "real": lambda shell: driver.for_real(shell, copy("real")),
        "check": lambda shell: driver.as_roles(shell, copy("check"), check=True, label=" --check"),
    }


def cores() -> Parts:
    """The integration targets on the oldest and the newest ansible-core, and the modules under the oldest Python."""
    from . import integration as driver

    def with_core(shell: Shell, name: str) -> None:
        release, version = CORES[name]
        venv = core_venv(shell, f"core-{name}", version, [f"ansible-core=={release}", *module_requirements()])
        if venv:
            driver.for_real(shell, copy(f"core-{name}"), venv / "bin", label=f" on ansible-core {release}")

    def with_oldest_python(shell: Shell) -> None:
        venv = core_venv(shell, f"python-{OLDEST_MODULE_PYTHON}", OLDEST_MODULE_PYTHON, module_requirements())
        if venv:
            label = f" under Python {OLDEST_MODULE_PYTHON}"
            driver.as_roles(shell, copy("oldest-python"), interpreter=venv / "bin" / "python", label=label)

    parts: Parts = {name: functools.partial(with_core, name=name) for name in CORES}
    return {**parts, f"python-{OLDEST_MODULE_PYTHON}": with_oldest_python}


def core_venv(shell: Shell, name: str, version: str, requirements: list[str]) -> Path | None:
    """Make an environment on another Python, kept for the next time; None, and a word about it, where there is none."""
    python = workspace.find_interpreter(version)
    if python is None:
        shell.skipped.append(f"{', '.join(requirements)}: there is no Python {version}")
        return None
    with _making:
        environment.ensure(CACHE / name, str(python), requirements, version.encode())
    return CACHE / name


def module_requirements() -> list[str]:
    """Return what the modules need beside Ansible."""
    return (environment.ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").split()


def molecule(shell: Shell) -> None:
    """The stories of the role."""
    scenarios = sorted(path.parent.name for path in environment.ROOT.glob("extensions/molecule/*/molecule.yml"))
    if not scenarios:
        shell.record("molecule", False, "no scenario below extensions/molecule")
        return
    env = clean_environment(ANSIBLE_COLLECTIONS_PATH=workspace.collections_path())
    status, output = shell.run("molecule", "test", "--all", "--report", env=env)
    if status:
        shell.run("molecule", "destroy", "--all", env=env)
    shell.record(f"molecule ({', '.join(scenarios)})", status == 0, output)


def documentation(shell: Shell) -> None:
    """Changelog, module documentation, and the site of guides and reference, without a warning."""
    place, env = copy("documentation"), copy_environment("documentation")
    shell.check("changelog", "antsibull-changelog", "lint", cwd=place, env=env)
    shell.check(
        "documentation", "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck",
        "--validate-collection-refs", "self", ".", cwd=place, env=env,
    )
    pages = CACHE / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    reference = pages / "collection"
    reference.mkdir(parents=True)
    if shell.check(
        "pages", "antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error",
        "--dest-dir", reference, "intrusion.response", cwd=place, env=env,
    ):
        site.write_guides(place, pages)
        shell.check("site", "sphinx-build", "-q", "-W", "--keep-going", "-b", "html", pages, pages / "html")
        found = site.faults(pages / "html")
        shell.record("pages stand alone", not found, "\n".join(found))


def ansible_lint(shell: Shell) -> None:
    """ansible-lint, profile production."""
    place, env = copy("ansible-lint"), copy_environment("ansible-lint")
    shell.check("ansible-lint", "ansible-lint", "--offline", "--strict", "--profile", "production", cwd=place, env=env)


def sanity() -> Parts:
    """ansible-test sanity on the oldest ansible-core, the pinned one, and the newest."""

    def with_core(shell: Shell, name: str) -> None:
        release, version = CORES[name]
        venv = core_venv(shell, f"core-{name}", version, [f"ansible-core=={release}", *module_requirements()])
        if venv:
            ansible_test_sanity(shell, f"core-{name}", venv / "bin")

    parts: Parts = {name: functools.partial(with_core, name=name) for name in CORES}
    return {**parts, "pinned": lambda shell: ansible_test_sanity(shell, "pinned", VENV_BIN)}


def ansible_test_sanity(shell: Shell, name: str, bin_dir: Path) -> None:
    """Run the sanity tests of one ansible-core, in a copy and a home of its own, so that the cores do not meet."""
    home = workspace.make_home(CACHE / "homes" / f"sanity-{name}")
    place = copy(f"sanity-{name}")
    env = workspace.only_collections_below(place.parents[2], bin_dir, home)
    pythons = [str(python.parent) for python in workspace.interpreters(MODULE_PYTHONS).values()]
    env["PATH"] = os.pathsep.join([env["PATH"], *pythons])
    status, output = shell.run(bin_dir / "ansible-test", "sanity", "--local", "--color", "no", cwd=place, env=env)
    complaints = re.findall(r"^(?:ERROR|FATAL): .*$", output, re.MULTILINE)
    shell.record(f"sanity, {name}", status == 0, "\n".join(complaints) or output)
    shell.skipped += re.findall(r"^WARNING: Skipping (sanity test .*)\.$", output, re.MULTILINE)


def artifact(shell: Shell) -> None:
    """The artifact: built, installed into an empty place, run from there."""
    from . import artifact as driver

    driver.check(shell, copy("artifact"))


def in_one(function: Callable[[Shell], None]) -> Callable[[], Parts]:
    """Return a layer that has one part."""

    @functools.wraps(function)
    def parts() -> Parts:
        return {"": function}

    return parts


#: The layers that keep all processors busy.
WIDE: dict[str, Callable[[Shell], None]] = {"lint": lint, "unit": unit, "acceptance": acceptance, "rulebooks": rulebooks}
DIVIDED: dict[str, Callable[[], Parts]] = {
    "cores": cores,
    "sanity": sanity,
    "integration": integration,
    "molecule": in_one(molecule),
    "ansible-lint": in_one(ansible_lint),
    "documentation": in_one(documentation),
    "artifact": in_one(artifact),
}
LAYERS: dict[str, Callable[..., object]] = {**WIDE, **DIVIDED}


def run_part(name: str, function: Callable[[Shell], None]) -> Shell:
    """Run a layer or a part of one, with a log of its own."""
    shell = Shell(name)
    try:
        function(shell)
    except Exception:  # what is broken has failed; all else still runs
        shell.record(name, False, traceback.format_exc())
    return shell


def run_wide(name: str) -> Shell:
    """Run one layer, and print what it is about and what came of it."""
    print(title(name), flush=True)
    started = time.monotonic()
    shell = run_part(name, WIDE[name])
    print("\n".join(outcome(shell, time.monotonic() - started)), flush=True)
    return shell


def run_divided(names: list[str]) -> list[Shell]:
    """Run the parts of layers side by side, and print each layer when its last part is done."""
    parts = [(name, part, function) for name in names for part, function in DIVIDED[name]().items()]
    left = Counter(name for name, _part, _function in parts)
    layers = {name: Shell(name) for name in names}
    started: dict[str, float] = {}
    done = threading.Lock()

    def run(name: str, part: str, function: Callable[[Shell], None]) -> None:
        started.setdefault(name, time.monotonic())
        shell = run_part(f"{name}-{part}" if part else name, function)
        with done:
            layers[name].add(shell)
            left[name] -= 1
            if not left[name]:
                print("\n".join([title(name), *outcome(layers[name], time.monotonic() - started[name])]), flush=True)

    side_by_side(run, parts)
    return list(layers.values())


def title(name: str) -> str:
    """Return the line that says what a layer is about."""
    return f"{name + ' ':.<16} {(LAYERS[name].__doc__ or '').strip().rstrip('.')} ..."


def outcome(shell: Shell, seconds: float) -> list[str]:
    """Return the lines that say what came of a layer."""
    words = [f"{shell.passed} passed"]
    if shell.failed:
        words.append(f"{len(shell.failed)} FAILED")
    if shell.skipped:
        words.append(f"{len(shell.skipped)} skipped")
    lines = [f"{'':<16} {', '.join(words)} in {seconds:.0f} s"]
    lines += [f"{'':<16} skipped: {reason}" for reason in dict.fromkeys(shell.skipped)]
    if shell.failed:
        lines += [*shell.tails, f"The whole output: {shell.log.relative_to(environment.ROOT)}\n"]
    return lines


def main() -> int:
    """Run the named layers, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=f"of {', '.join(LAYERS)}; default: all")
    chosen = parser.parse_args().layers or list(LAYERS)
    unknown = [name for name in chosen if name not in LAYERS]
    if unknown:
        parser.error(f"there is no layer {', '.join(unknown)}; the layers are {', '.join(LAYERS)}")
    os.environ["PATH"] = os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", os.defpath)])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(workspace.HOME / ".local", ignore_errors=True)
    workspace.make_home()
    started = time.monotonic()
    try:
        shells = [run_wide(name) for name in WIDE if name in chosen]
        shells += run_divided([name for name in DIVIDED if name in chosen])
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started is stopped.", file=sys.stderr)
        return 130
    failed = sum(len(shell.failed) for shell in shells)
    print(f"\nAll layers: {time.monotonic() - started:.0f} s" if len(chosen) > 1 else "")
    for shell in shells:
        print("".join(shell.reasons), end="")
    print(f"{sum(shell.passed for shell in shells)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
