"""The repository itself: nothing of one machine in it, pins with hashes, one version, no ballast."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import edge

ROOT = Path(__file__).resolve().parent.parent
FILE_MAX_BYTES = 1024 * 1024
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

FOREIGN = {
    # Spelled with a bracket, so that this file does not find itself.
    "the address of a package index": r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs",
    "an index option": r"--(extra-)?index-url[ =]|--find-links[ =]|--trusted-host[ =]",
    "a path of one machine": r"(?<![\w./~$}>*-])/(work|root|home|Users)/[\w.]",
    "a conflict left over": r"^(<{7}|>{7}) ",
}


def tracked() -> list[Path]:
    """Every file under version control that is on disk."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def foreign(text: str) -> list[str]:
    """What in a text belongs to some machine and not to the product, with the matching piece."""
    return [
        f"{what}: {match.group()!r}"
        for what, pattern in FOREIGN.items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]


def requirements(text: str) -> list[str]:
    """The logical lines of a requirement file, without comments."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def unpinned(lines: list[str]) -> list[str]:
    """Lines that are not one exact version with at least one hash."""
    pinned = re.compile(r"[a-z0-9][a-z0-9.-]*==[\w.!+]+( ;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    return [line for line in lines if not pinned.fullmatch(line)]


def test_no_file_knows_a_machine_or_an_index() -> None:
    found = {}
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw and (what := foreign(raw.decode())):
            found[str(path.relative_to(ROOT))] = what
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "pip install --index" + "-url https://example.org/simple",
        "https://files.python" + "hosted.org/packages/ab",
        "see /work" + "/main",
        'open("/root' + '/.cache")',
        "<" * 7 + " HEAD",
    ],
)
def test_the_search_for_foreign_things_can_find_them(text: str) -> None:
    assert foreign(text)


@pytest.mark.parametrize("text", ["$HOME/work/x", "edge/work/x", "./root/a", "https://x.org/home/"])
def test_the_search_leaves_innocent_paths_alone(text: str) -> None:
    assert not foreign(text)


def test_no_tracked_file_is_larger_than_a_mebibyte() -> None:
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked()}
    assert {name: size for name, size in sizes.items() if size > FILE_MAX_BYTES} == {}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_one_version_with_hashes(path: Path) -> None:
    lines = requirements(path.read_text())
    assert lines
    assert unpinned(lines) == []


def test_an_unpinned_requirement_would_be_seen() -> None:
    sha = "sha256:" + "a" * 64
    good = f"a==1 ; python_full_version < '3.13' \\\n    --hash={sha} \\\n    --hash={sha}\n"
    assert unpinned(requirements(good + "    # via b\n")) == []
    for bad in ("a==1", f"a>=1 --hash={sha}", "-r other.txt", "--pre", "a @ file:///x.whl"):
        assert unpinned(requirements(bad)) == [bad]


def test_every_dependency_of_the_package_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = {
        name: {line.partition("==")[0] for line in requirements((ROOT / name).read_text())}
        for name in ("requirements/run.txt", "requirements/build.txt", "requirements/dev.txt")
    }

    def names(wanted: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in wanted}

    assert names(project["project"]["dependencies"]) <= pins["requirements/run.txt"]
    assert names(project["build-system"]["requires"]) <= pins["requirements/build.txt"]
    optional: dict[str, list[str]] = project["project"]["optional-dependencies"]
    extras = [line for lines in optional.values() for line in lines]
    assert names(extras) | pins["requirements/run.txt"] <= pins["requirements/dev.txt"]


def test_a_package_has_one_version_in_all_requirement_files() -> None:
    versions: dict[str, set[str]] = {}
    for path in REQUIREMENTS:
        for line in requirements(path.read_text()):
            name, _, rest = line.partition("==")
            versions.setdefault(name, set()).add(rest.split()[0])
    assert {name: many for name, many in versions.items() if len(many) > 1} == {}


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "edge/__init__.py"
    assert version("rfid3") == edge.__version__
    written = re.compile(rf"version\w*\s*[=:]\s*[\"']{re.escape(edge.__version__)}[\"']")
    places = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in (".py", ".toml") and written.search(path.read_text())
    ]
    assert places == ["edge/__init__.py"]


@pytest.mark.parametrize(
    "name",
    ["README.md", "CHANGELOG.md", "DECISIONS.md", "LICENSE", "Makefile", "config.example.toml"],
)
def test_what_a_reader_looks_for_first_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_the_changelog_names_this_version() -> None:
    assert edge.__version__ in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "name", [".ci/run", "tools/need.sh", "tools/venv.sh", "tools/lock.sh", "tools/foreground.sh"]
)
def test_scripts_are_executable_and_their_shell_can_read_them(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    shell = path.read_text().splitlines()[0].rpartition("/")[2].rpartition(" ")[2]
    subprocess.run([shell, "-n", str(path)], check=True)


def test_every_goal_of_make_that_is_promised_has_a_line_of_help() -> None:
    told = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for goal in ("demo", "run", "test", "check", "bench", "torture", "clean", "help"):
        assert re.search(rf"make {goal} +\w", told), goal
