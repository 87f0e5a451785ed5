"""README and docs: their commands parse, and run as they stand there; links and sizes hold.

The slow test runs every command of the fenced blocks, taken from the text, in the order in which a
reader meets them and in one folder. Settings are made small, run ids and ports real; nothing else
is changed.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from genre_mlflow.cli.main import main
from genre_mlflow.cli.mlproject import PROCS
from genre_mlflow.serving import process

ROOT = Path(__file__).parents[1]
# In the order of reading, which is the order in which the commands run.
PAGES = ("README.md", "docs/corpus.md", "docs/training.md", "docs/search.md", "docs/library.md",
         "docs/operations.md", "docs/measurements.md")  # fmt: skip
MOST_LINES, MOST_CHARACTERS, MOST_BYTES = 130, 120, 300_000
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = r"^(?!#)[^\n]+?(?:<<(\w+)\n.*?^\1$|$)"  # a line, or all of a here-document
PROGRAMS = ("genre-mlflow", "mlflow", "make")
GENRES = ("blues", "jazz", "rock")

CANNOT_RUN = {
    "genre-mlflow train --data music --network pretrained":
        "needs weights from the package index; tests/jobs/test_pretrained.py has them",
    "genre-mlflow train --data music --network csv --table features.csv":
        "needs a table of the reader's; tests/jobs/test_table.py has one",
    "genre-mlflow train --data recordings --network musicnn --features musicnn":
        "the same; tests/jobs/test_pretrained.py has recordings, too",
    "git clone <this repository> genre-mlflow && cd genre-mlflow":
        "the repository has no address of its own",
    "torchrun --standalone --nproc-per-node 2 -m genre_mlflow train --data music":
        "takes two cores and half a minute; tests/jobs/test_together.py has it with two kills",
    "mlflow run . --env-manager local -P procs=2 -P data=music":
        "the same; tests/jobs/test_projects.py has it",
    "make run":
        "builds an environment from the lock first; the `mlflow run .` in it is run below",
    "source .venv/bin/activate":
        "builds nothing and prints nothing; the tests run in an environment that is active",
    "genre-mlflow corpus gtzan OUT --source genres.tar.gz":
        "needs 1.2 GB that nobody may pass on; tests/corpus/test_gtzan.py has a small collection",
    "genre-mlflow corpus gtzan OUT --download":
        "downloads 1.2 GB; tests/corpus/test_gtzan_download.py has a small collection",
    "mlflow server --host 0.0.0.0 --backend-store-uri postgresql://me@db/mlflow "
    "--artifacts-destination /srv/mlflow":
        "needs PostgreSQL on a host of its own",
    "export MLFLOW_TRACKING_URI=http://tracker:5000 "
    "GENRE_SEARCH_STORAGE=postgresql://me@db/optuna":
        "names hosts that the reader has",
    "genre-mlflow search --data /data/music --trials 200 --study wide --space full":
        "runs on several hosts; tests/search/test_workers.py has several processes",
    "genre-mlflow predict ~/music --out scored.csv --engine spark --master 'local[2]'":
        "needs Java and half a minute; tests/library/test_spark.py compares both engines",
    "tar -C .venv -czf env.tar.gz $(ls -A .venv)":
        "packs gigabytes; tests/library/test_spark_cluster.py ships a small archive",
    'export PYSPARK_PYTHON=./env/bin/python PYSPARK_SUBMIT_ARGS="--archives env.tar.gz#env '
    'pyspark-shell"':
        "is for the archive of the line before",
    "genre-mlflow predict /data/music --out scored.csv --engine spark --master spark://HOST:7077":
        "names a cluster that the reader has",
    "mlflow run . --env-manager uv":
        "downloads and builds an environment; tests/jobs/test_projects.py does so once",
    "genre-mlflow export models:/genre-classifier@champion --out model.onnx":
        "takes torch's exporter half a minute; tests/cli/test_export.py gives it a small model",
    "mlflow ui --port 5000":
        "serves until it is interrupted, and is MLflow's own",
}  # fmt: skip

SMALL = {
    "--image-size": "64", "--image-width": "64", "--widths": "4,8", "--head-width": "8",
    "--epochs": "1",
}  # fmt: skip
FEW = {"--trials": "1", "--final-seeds": "1"}
PLACES = ("--out", "--m3u", "--link")  # options that name what a command makes
UNDECIDED = ("promote", "demote")  # exit code 1 when the champion stays, which is an answer, too


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a block of shell, or a block of Python as a whole."""

    page: str
    line: int
    language: str
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell splits it."""
        return shlex.split(self.text, comments=True)

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.page}:{self.line}: {self.text.splitlines()[0][:50].strip()}"


@cache
def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        for match in FENCED.finditer(read(page)):
            line = read(page)[: match.start()].count("\n") + 2
            found.append(Block(page, line, match[1], match[2]))
    return found


@cache
def commands() -> list[Command]:
    """The commands of all blocks; one with a here-document is one command."""
    found = []
    for block in blocks():
        if block.language == "python":
            found.append(Command(block.page, block.line, "python", block.text))
        if block.language == "sh":
            for part in re.finditer(SHELL, block.text, re.M | re.S):
                line = block.line + block.text[: part.start()].count("\n")
                text = part[0] if part[1] else re.split(r"\s+#", part[0])[0].strip()
                found.append(Command(block.page, line, "sh", text))
    return found


def mentions() -> list[Command]:
    """What stands in a line of prose between backticks."""
    found = []
    for page in PAGES:
        prose = re.sub(FENCED, lambda match: "\n" * match[0].count("\n"), read(page))
        for match in re.finditer(r"`([^`]+)`", prose):
            line = prose[: match.start()].count("\n") + 1
            found.append(Command(page, line, "", " ".join(match[1].split())))
    return found


def test_the_parser_finds_the_commands() -> None:
    texts = [command.text for command in commands()]
    assert len(texts) > 30
    assert "make run" in texts
    assert any(text.startswith("curl") and text.endswith("\nEND") for text in texts)


@pytest.mark.parametrize("text", CANNOT_RUN)
def test_what_is_not_run_stands_in_the_text(text: str) -> None:
    assert text in [command.text for command in commands()]


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES)
def test_no_line_is_long_but_in_tables(page: str) -> None:
    lines = enumerate(read(page).splitlines(), 1)
    assert [n for n, text in lines if len(text) > MOST_CHARACTERS and text[:1] != "|"] == []


def test_every_page_is_read_and_linked_from_the_readme() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages == set(PAGES[1:])
    assert all(f"]({page})" in read("README.md") for page in pages)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pictures_are_small() -> None:
    pictures = re.findall(r"!\[.+\]\((.+)\)", read("README.md"))
    assert pictures
    assert all((ROOT / picture).stat().st_size < MOST_BYTES for picture in pictures)


@pytest.mark.parametrize(
    "command",
    [c for c in commands() + mentions() if re.match(rf"(\S*/)?({'|'.join(PROGRAMS)}) ", c.text)],
    ids=lambda command: command.name,
)
def test_every_command_and_option_exists(command: Command) -> None:
    (program, *words), is_whole = command.words, command.language == "sh"
    if program.endswith("genre-mlflow"):
        parse(main, words, is_whole)
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[0] in targets
    else:
        from mlflow.cli import cli

        context = parse(cli, words, is_whole)
        if context is not None and context.command.name == "run":
            check_parameters(context.params["entry_point"], context.params["param_list"])


def parse(command: click.Command, words: list[str], is_whole: bool = True) -> click.Context | None:
    """Raise `UsageError` where Click would; nothing is called. None where it calls nothing either.

    That is `--help`, and a command without what it needs, as prose names it.
    """
    missing = () if is_whole else (click.MissingParameter,)
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    with contextlib.suppress(click.exceptions.Exit, *missing):
        return command.make_context(command.name, list(words))
    return None


def check_parameters(entry_point: str, parameters: tuple[str, ...]) -> None:
    """`-P name=value` against `MLproject`, and against the option that it is passed on to."""
    declared = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][entry_point]
    pairs = [parameter.partition("=") for parameter in parameters]
    assert {name for name, _, _ in pairs} <= declared["parameters"].keys()
    options = [(name, value) for name, _, value in pairs if name != PROCS]
    words = [word for name, value in options for word in (f"--{name.replace('_', '-')}", value)]
    parse(main, [entry_point if entry_point == "search" else "train", *words])


def all_options(command: click.Command) -> Iterator[str]:
    """Flags of a command and of those below it."""
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from all_options(found)


def test_every_option_in_the_prose_exists() -> None:
    from mlflow.cli import cli

    known = {"--help", *all_options(main), *all_options(cli.commands["run"])}
    named = [(m.page, m.line, m.words[0]) for m in mentions() if m.text.startswith("--")]
    assert len(named) > 40
    assert [place for place in named if place[2] not in known] == []


def test_the_table_of_options_has_their_defaults() -> None:
    defaults = {p.opts[0]: str(p.default) for p in main.commands["train"].params}
    rows = re.findall(r"^\| (`--.+?) \| (.+?) \|", read("docs/training.md"), re.M)
    said = {
        flag.strip("`"): value.strip("`")
        for flags, values in rows
        for flag, value in zip(flags.split(", "), values.split(", "), strict=True)
    }
    assert len(said) > 10
    assert {flag: v for flag, v in said.items() if defaults.get(flag, v) != v} == {}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]) -> Path:
    """A reader's folder: the project, and the files that the pages speak of."""
    from sounds import encode, tone
    from support import fresh_store

    here = tmp_path_factory.mktemp("reader")
    for name in ("MLproject", "conda.yaml", "genre_mlflow", "search"):
        (here / name).symlink_to(ROOT / name)
    shutil.copy(fresh_store(), here / "mlflow.db")  # else each process would look at migrations
    music = make_corpus(here / "music", GENRES, tracks=10)
    ids = [f"{genre}/{path.stem}" for genre in GENRES for path in sorted((music / genre).iterdir())]
    (here / "lists").mkdir()
    for split, part in (("train", ids[:8] + ids[10:18] + ids[20:28]), ("val", ids[8::10]),
                        ("test", ids[9::10])):  # fmt: skip
        (here / "lists" / f"{split}.txt").write_text("\n".join(part) + "\n")
    picture = music / "jazz" / "jazz.00000.png"
    for place in (here, here / "folder", here / "home" / "music"):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place / "song.png")
        (place / "song.mp3").write_bytes(encode(tone(3.0), "MP3"))
    shutil.copy(here / "song.mp3", music / "jazz" / "song.mp3")
    for block in blocks():
        if block.language == "yaml":  # named in its first line, as "# mine.yaml, for ..."
            (here / re.findall(r"[\w.]+", block.text)[0]).write_text(block.text)
    return here


@pytest.fixture(scope="module")
def real(reader: Path) -> dict[str, str]:
    """What stands for the placeholders: the id of a run that was stopped, a port that is free."""
    from mlflow import MlflowClient
    from support import InterruptAfter, free_port, runs_in, small_options

    from genre_mlflow.jobs.train import train

    with at_home(reader):
        options = small_options(reader / "music", epochs=2)
        train(options.from_flat({**options.flat(), "epochs": 1}), experiment="earlier")
        with pytest.raises(KeyboardInterrupt):
            train(options, experiment="stopped", observer=InterruptAfter(1))
        (run,) = runs_in(MlflowClient(), "stopped")
    return {"RUN_ID": run.info.run_id, "5001": str(free_port())}


@contextlib.contextmanager
def at_home(folder: Path) -> Iterator[None]:
    """The working folder and the environment of a reader who has set no variable of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "GENRE_HOME", "VIRTUAL_ENV"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def endpoint(reader: Path, real: dict[str, str]) -> Iterator[None]:
    """The server that the text starts by MLflow's own command."""
    from support import server

    (text,) = (c.text for c in commands() if c.text.startswith("mlflow models serve"))
    words = shlex.split(replaced(text, real))
    with at_home(reader):
        url = f"http://127.0.0.1:{real['5001']}/ping"
        with server([sys.executable, "-m", *words], url, reader, {}):
            yield


def replaced(text: str, real: dict[str, str]) -> str:
    for placeholder, value in real.items():
        text = text.replace(placeholder, value)
    return text


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [command for command in commands() if command.text not in CANNOT_RUN],
    ids=lambda command: command.name,
)
def test_every_command_runs(
    command: Command, reader: Path, real: dict[str, str], request: pytest.FixtureRequest
) -> None:
    text = replaced(command.text, real)
    if text.startswith(("mlflow models serve", "curl")):
        request.getfixturevalue("endpoint")  # starts the one, for the other
    with at_home(reader):
        if command.language == "python":
            exec(compile(text, command.name, "exec"), {})
        elif text.startswith("curl"):
            assert_answer_is_like_the_one_shown(text)
        elif text.startswith("mlflow run"):
            run_project(shlex.split(text))
        elif not text.startswith("mlflow models serve"):
            run_ours([os.path.expanduser(word) for word in shlex.split(text)], real["5001"])


def assert_answer_is_like_the_one_shown(text: str) -> None:
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    (example,) = (block.text for block in blocks() if block.text.startswith('{"predictions"'))
    (shown,), (got,) = json.loads(example)["predictions"], json.loads(done.stdout)["predictions"]
    assert got.keys() == shown.keys()
    assert len(got["probabilities"]) == len(shown["probabilities"]) == 3


def run_project(words: list[str]) -> None:
    """`mlflow run` as a process for a new training; else what MLproject makes of it, right here.

    Two processes that import everything anew take most of a minute where others have the cores;
    tests/jobs/test_projects.py starts them for each kind of run.
    """
    from mlflow.cli import cli

    context = parse(cli, words[1:])
    assert context is not None
    entry_point, run_id = context.params["entry_point"], context.params["run_id"]
    small = {} if run_id else SMALL | (FEW if entry_point == "search" else {})
    given = dict(parameter.split("=", 1) for parameter in context.params["param_list"])
    parameters = given | {name[2:].replace("-", "_"): value for name, value in small.items()}
    if entry_point == "main" and not run_id:
        others = [word for word in words if word != "-P" and word.split("=")[0] not in given]
        many = [word for pair in parameters.items() for word in ("-P", "=".join(pair))]
        command = [sys.executable, "-m", *others, *many]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    else:
        run_entry_point(entry_point, parameters, run_id)


def run_entry_point(name: str, parameters: dict[str, str], run_id: str | None) -> None:
    from mlflow import MlflowClient
    from mlflow.projects._project_spec import load_project

    command = load_project(".").get_entry_point(name).compute_command(parameters, None)
    _, _, module, *words = shlex.split(command)
    with pytest.MonkeyPatch.context() as patch:
        joined = run_id or MlflowClient().create_run("0").info.run_id
        patch.setenv("MLFLOW_RUN_ID", joined)
        ours = {"genre_mlflow": words, "genre_mlflow.cli.torchrun": words[1:]}  # by one process
        result = CliRunner().invoke(main, ours.get(module, [module, *words]))
    assert result.exit_code == 0, result.output


def run_ours(words: list[str], port: str) -> None:
    """`genre-mlflow` in this process; options given twice count as the second one."""
    from genre_mlflow.corpus.demo import images

    _, name, *rest = words
    small: dict[str, str] = {}
    if name in ("train", "search"):
        small = SMALL | (FEW if name == "search" else {})
    if "--resume" in rest:
        small = {"--epochs": "3"} if "--epochs" in rest else {}
    if name == "serve":
        small = {"--port": port}
    given = [word for pair in small.items() for word in pair]
    with pytest.MonkeyPatch.context() as patch:
        few = partial(images.DemoSettings, tracks_per_genre=1, duration_s=1.0)
        patch.setattr(images, "DemoSettings", few)
        replacement: list[list[str]] = []  # what `serve` becomes
        patch.setattr(os, "execve", lambda _, command, env: replacement.append(command))
        result = CliRunner().invoke(
            main, [name, *rest, *given], input="y\n", catch_exceptions=False
        )
    assert result.exit_code in ((0, 1) if name in UNDECIDED else (0,)), result.output
    assert [command[1:3] for command in replacement] == (
        [["-P", process.__file__]] if name == "serve" else []
    )
    for option, place in pairwise(rest):
        assert option not in PLACES or Path(place).exists(), f"{place} was not made"
