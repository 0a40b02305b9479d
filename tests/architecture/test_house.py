"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.four import SERVICES
from shared.service import Service

ROOT = Path(__file__).parents[2]
BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core"}
LONGEST = 320


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    named = [
        path for path in sources("services", "shared", "tests") if BANNED & {path.stem, *path.relative_to(ROOT).parts}
    ]
    assert named == []


def test_a_source_file_is_at_most_a_few_screens_long() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in sources("services", "shared")
        if (n := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources("services", "shared")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_every_import_rule_holds() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_embedded_mode_imports_no_driver_of_a_server() -> None:
    code = "import sys, services.__main__, services.four, shared.runtime; print([m for m in ('aiokafka', 'motor', 'pymongo') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_time_and_chance_come_only_from_the_clock() -> None:
    """The linter's bans see imports by name; this sees every call, however it was imported."""
    calls = re.compile(
        r"\b(time\.(time|monotonic|sleep|perf_counter)|datetime\.(now|utcnow)|asyncio\.sleep|uuid\.uuid\d|os\.urandom)\("
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources("services", "shared")
        if path != ROOT / "shared" / "clock.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if calls.search(line)
    ]
    assert found == []


def test_the_readme_table_says_what_the_services_say() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for service in SERVICES:
        emits = " · ".join(sorted({shape.type.partition(".")[0] + ".*" for shape in service.emits})) or "–"
        reacts = " · ".join(sorted({s.event.type.partition(".")[0] + ".*" for s in service.subscriptions}))
        row = f"| **{service.name}** | {service.purpose} | {reacts} | {emits} |"
        assert row in readme, f"README.md should have the row\n{row}"


def test_the_readme_tree_names_only_what_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:services|shared|docs|tests|samples|deploy)/[\w./-]+)`", readme):
        assert (ROOT / path).exists(), path


def test_every_dependency_has_its_line_in_the_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    more = {**project["project"]["optional-dependencies"], **project["dependency-groups"]}
    wanted = [*project["project"]["dependencies"], *(spec for group in more.values() for spec in group)]
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    names = [re.split(r"[><=;\[ ]", spec)[0] for spec in wanted]
    missing = [name for name in names if f"`{name}`" not in page]
    assert missing == []


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_a_service_is_named_once_and_everything_else_is_derived(service: Service) -> None:
    folder = ROOT / "services" / service.name
    for module in ("__init__", "__main__", "app", "api", "handlers", "store", "domain", "settings"):
        found = (folder / f"{module}.py").exists() or (folder / module / "__init__.py").exists()
        assert found, f"{service.name} has no {module}"
    assert all(shape.source == service.source for shape in service.emits)
