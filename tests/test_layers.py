"""No import runs up the house, and no library leaves its room."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import genre_mlflow
import search
from genre_mlflow.cli.main import main
from genre_mlflow.model.networks import KNOWN

PACKAGE = Path(genre_mlflow.__file__).parent
FLOORS = {
    "errors": 1, "files": 1, "memory": 1, "processes": 1, "settings": 1, "signals": 1, "version": 1,
    "features": 2,
    "corpus": 3,
    "data": 4, "model": 4,
    "training": 5, "evaluation": 5, "baselines": 5,
    "options": 6, "figures": 6,
    "served_model": 7,
    "tracking": 8,
    "library": 9, "serving": 9,
    "jobs": 10,
    "cli": 11, "__main__": 11,
}  # fmt: skip
# Neighbours that do not meet.
STRANGERS = [
    ("data", "model"), ("training", "evaluation"), ("training", "baselines"),
    ("evaluation", "baselines"), ("options", "figures"), ("library", "serving"),
]  # fmt: skip
ROOT = ""  # `genre_mlflow/__init__.py`, which knows tracking inside a function, and nothing outside

# Rooms, or files, that each library may be imported in; one that is not listed may be anywhere.
LIBRARIES = {
    "mlflow": {"served_model", "tracking", "serving", "library.spark"},
    "click": {"cli"},
    "rich": {"cli"},
    "optuna": set(),
    "search": set(),
    "sklearn": {"corpus.folds", "evaluation", "baselines"},
    "scipy": {"features", "corpus", "evaluation", "baselines"},
    "matplotlib": {"figures", "features"},
    "pandas": {"corpus", "data", "evaluation", "baselines", "figures", "served_model", "tracking",
               "jobs"},
    "torch": {"features", "data", "model", "training", "evaluation", "baselines", "tracking",
              "jobs", "library"},
    "torchvision": {"features", "model"},
    "safetensors": {"model", "training"},
    "librosa": {"features", "figures"},
    "soundfile": {"features", "corpus"},
    "filelock": {"files", "corpus", "data", "tracking"},
    "sqlalchemy": {"tracking"},
    "requests": {"tracking"},
    "pyspark": {"library.spark", "library.spark_session", "library.spark_workers"},
    "py4j": {"library.spark", "library.spark_session", "library.spark_workers"},
    "huggingface_hub": {"corpus.gtzan.download", "jobs.card.metadata"},
    "markdown_it": {"jobs.card.page"},
    "captum": {"evaluation"},
    "mapie": {"evaluation"},
    "mutagen": {"corpus"},
    "onnxruntime": {"model"},
}  # fmt: skip
HEAVY = ("torch", "torchvision", "mlflow", "pandas", "numpy", "PIL", "matplotlib", "sklearn")
HEAVY_HELP = (*HEAVY, "librosa", "safetensors", "optuna", "huggingface_hub")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def room(name: str) -> str:
    """`corpus.splits` is in `corpus`, `cli` is a room of its own, `__init__` is the root."""
    first = name.split(".")[0]
    return ROOT if first == "__init__" else first


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """Absolute name and line of every import, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            assert node.module
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        elif isinstance(node, ast.Call) and called(node) in ("__import__", "import_module"):
            found += [(name, node.lineno) for name in called_modules(path, node)]
    return found


def called_modules(path: Path, node: ast.Call) -> list[str]:
    """What a call imports: a name that stands there, or any of `KNOWN`."""
    if isinstance(node.args[0], ast.Constant):
        return [node.args[0].value]
    assert name_of(path) == "model.networks.__init__", f"{path}:{node.lineno} hides an import"
    return [factory.partition(":")[0] for factory in KNOWN.values()]


def called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def arrows() -> list[tuple[str, str, str]]:
    """(room, imported room, where) of every import from one room of the package to another."""
    found = []
    for path in modules():
        for target, line in imports(path):
            if target.split(".")[0] == "genre_mlflow":
                inside = room(target.removeprefix("genre_mlflow").removeprefix(".") or "__init__")
                found.append((room(name_of(path)), inside, f"{name_of(path)}, line {line}"))
    return found


def test_every_module_is_in_a_room_with_a_floor():
    assert {room(name_of(path)) for path in modules()} - {ROOT} <= FLOORS.keys()
    assert len(arrows()) > 50  # the parser finds something


def test_no_import_runs_up():
    floors = {**FLOORS, ROOT: 0}  # importing any module imports the root
    up = [a for a in arrows() if a[0] != ROOT and floors[a[0]] < floors[a[1]]]
    assert up == []


def test_the_root_imports_nothing_when_it_is_imported():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    at_once = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in at_once] == ["from typing import TYPE_CHECKING"]


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_neighbours_do_not_know_each_other(one, other):
    meetings = [a for a in arrows() if a[:2] in ((one, other), (other, one))]
    assert meetings == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_stays_in_its_rooms(library):
    outside = [
        f"{name_of(path)}, line {line}"
        for path in modules()
        for target, line in imports(path)
        if target.split(".")[0] == library and not is_home(name_of(path), LIBRARIES[library])
    ]
    assert outside == []


def is_home(name: str, homes: set[str]) -> bool:
    """Whether a module is one of these files, or lies in one of these rooms."""
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def imported_by(code: str, libraries: tuple[str, ...]) -> str:
    """Which of the libraries a new process holds after `code`, one space between them."""
    show = f"print(*[m for m in {libraries!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import atexit, sys\natexit.register(lambda: {show})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    return done.stderr.strip()


@pytest.mark.parametrize(
    "command",
    [
        "",
        "search",
        *main.commands,
        *(f"corpus {name}" for name in main.commands["corpus"].commands),
    ],
)
def test_help_imports_nothing_heavy(command):
    arguments = [*command.split(), "--help"]
    code = f"from genre_mlflow.cli.main import main; main({arguments!r}, prog_name='x')"
    assert imported_by(code, HEAVY_HELP) == ""


def test_the_search_leaves_mlflow_torch_and_click_to_their_rooms():
    found = [
        (path.name, target)
        for path in sorted(Path(search.__file__).parent.glob("*.py"))
        for target, _ in imports(path)
        if target.split(".")[0] in ("mlflow", "torchvision", "sklearn", "requests")
        or (target.split(".")[0] == "click" and path.name != "cli.py")
        or (target.split(".")[0] == "optuna" and path.name in ("cli.py", "request.py"))
    ]
    assert found == []


def test_a_space_knows_optuna_only_once_it_is_read():
    assert imported_by("import search.request, search.space", HEAVY_HELP) == ""
    code = "from search.space import load_space; load_space('full').parse('lr=0.002')"
    assert imported_by(code, ("torch", "mlflow", "pandas", "optuna")) == "optuna"


def test_settings_and_the_list_of_networks_are_light():
    assert imported_by("import genre_mlflow.options, genre_mlflow.model.networks", HEAVY) == ""
    assert imported_by("import genre_mlflow.model.pretrained.sources", HEAVY) == ""


@pytest.mark.slow
def test_training_knows_no_tracker():
    code = "import genre_mlflow.training.loop, genre_mlflow.model.classifier"
    assert imported_by(code, ("mlflow", "optuna", "rich", "sklearn", "click")) == ""


def picture() -> str:
    """Rooms by floor, highest first, and which rooms each knows: what the tests above hold."""
    known = {name: {inside for outside, inside, _ in arrows() if outside == name} - {name, ROOT}
             for name in FLOORS}  # fmt: skip
    lines = []
    for floor in sorted(set(FLOORS.values()), reverse=True):
        for name in (name for name in FLOORS if FLOORS[name] == floor):
            below = sorted(known[name], key=lambda room: (-FLOORS[room], room))
            lines.append(f"{floor:2}  {name:13} -> {', '.join(below)}".rstrip(" ->"))
    return "\n".join(lines)


if __name__ == "__main__":
    print(picture())
