"""Commands in processes of their own, which are killed or asked to stop at random moments."""

import os
import random
import re
import signal
import statistics
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import optuna
import soundfile
import torch
from mlflow import MlflowClient
from optuna.trial import TrialState
from PIL import Image
from safetensors.torch import load_file

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from processes import Command

GENRES, TRACKS, SIZE = ("blues", "jazz", "rock"), 20, 32
TINY = ["--image-size=32", "--image-width=32", "--widths=4,8", "--head-width=8", "--lr=0.01"]
MOST_S = 10.0  # from a signal to the end
LONGEST_S = 300.0  # of any command
ENDLESS_S = {"search": 6.0, "search, two workers": 14.0}  # signals come within these
MODEL = "models:/reference/1"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prepare(folder: Path) -> Path:
    """A project with a trained model beside small corpora; return its folder."""
    random_numbers = np.random.default_rng(0)
    for genre in GENRES:
        (folder / "music" / genre).mkdir(parents=True)
        for track in range(TRACKS):
            pixels = random_numbers.integers(0, 128, (SIZE, SIZE), dtype=np.uint8)
            top = GENRES.index(genre) * SIZE // len(GENRES)
            pixels[top : top + 4] += 100
            Image.fromarray(pixels).save(folder / "music" / genre / f"{track:03d}.png")
    (folder / "songs").mkdir()
    for track in range(TRACKS):
        sound = 0.1 * random_numbers.standard_normal(22_050 * 10)
        soundfile.write(folder / "songs" / f"{track:03d}.wav", sound, 22_050)
    (folder / "project").mkdir()
    words = train_words("reference")
    start(folder, "genre_mlflow", words).wait()
    return folder / "project"


def train_words(name: str) -> list[str]:
    return ["train", "--data=../music", *TINY, "--epochs=12", f"--experiment={name}",
            f"--model-name={name}"]  # fmt: skip


def start(folder: Path, module: str, words: list[str]) -> Command:
    """`python -m module words...` in the project, with its own store."""
    env = os.environ | {"GENRE_HOME": str(folder / "project" / ".genre")}
    env.pop("MLFLOW_TRACKING_URI", None)
    return Command(module, words, folder / "command.log", folder / "project", env)


def end(command: Command, within_s: float = LONGEST_S) -> int | None:
    """Wait for its end; the exit code, or None for one that hangs and is killed."""
    try:
        return command.join(within_s).code
    except AssertionError:
        print(command.said, flush=True)
        command.kill()
        return None


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/project/mlflow.db")


def states_of(client: MlflowClient, experiment: str) -> Counter[str]:
    found = client.get_experiment_by_name(experiment)
    return Counter(run.info.status for run in client.search_runs([found.experiment_id]))


def weights_of(client: MlflowClient, name: str) -> dict[str, torch.Tensor]:
    version = client.get_model_version(name, "1")
    model = client.get_logged_model(version.source.rpartition("/")[2])
    folder = Path(model.artifact_location.removeprefix("file://"))
    return load_file(next(folder.rglob("weights.safetensors")))


def tail(command: Command) -> str:
    return " | ".join(command.said.strip().splitlines()[-3:])[-400:]


def kill_training(folder: Path, kills: int, seed: int) -> list[str]:
    """Runs that are killed at random moments, some of them again and again, until they end."""
    rng, findings, done, runs = random.Random(seed), [], 0, 0
    whole_s = measured(folder, "genre_mlflow", train_words("measured"))
    client = client_of(folder)
    reference = weights_of(client, "reference")
    while done < kills:
        runs += 1
        name = f"killed{runs}"
        words, again = train_words(name), 0
        while done < kills:
            command = start(folder, "genre_mlflow", words)
            time.sleep(rng.uniform(0, 0.8 * whole_s))
            if command.kill() == 0:
                break
            done, again = done + 1, again + 1
            experiment = client.get_experiment_by_name(name)
            found = client.search_runs([experiment.experiment_id]) if experiment else []
            if found:
                words = ["train", "--resume", found[0].info.run_id]
        last = start(folder, "genre_mlflow", words) if command.code else command
        if end(last) != 0:
            findings.append(
                f"training {name}, killed {again} times, ended with {last.code}: {tail(last)}"
            )
            continue
        ours = weights_of(client, name)
        if any(not torch.equal(ours[key], reference[key]) for key in reference):
            findings.append(f"training {name}, killed {again} times, has other weights")
        if states_of(client, name) != {"FINISHED": 1}:
            findings.append(f"training {name} left {dict(states_of(client, name))}")
    print(f"training: {done} kills in {runs} runs of {whole_s:.1f} s; final weights compared")
    return findings


def kill_searches(folder: Path, kills: int, seed: int) -> list[str]:
    """Studies that are killed at random moments and begun again until they end."""
    rng, findings, done, studies = random.Random(seed), [], 0, 0
    client = client_of(folder)
    while done < kills:
        studies += 1
        name = f"study{studies}"
        words = [
            "--data=../music", *TINY, "--epochs=6", f"--study={name}", "--trials=4", "--grace=2",
            "--final-seeds=1", "--space=small", f"--experiment={name}", f"--model-name={name}",
        ]  # fmt: skip
        while True:
            command = start(folder, "search", words)
            if done >= kills:
                break
            time.sleep(rng.uniform(0, 6))
            if command.kill() == 0:
                break
            done += 1
        if end(command) != 0:
            findings.append(f"search {name} ended with {command.code}: {tail(command)}")
            continue
        findings += look_at_study(folder, client, name)
    print(f"search: {done} kills in {studies} studies")
    return findings


def look_at_study(folder: Path, client: MlflowClient, name: str) -> list[str]:
    """What must hold of a study at its end."""
    storage = f"sqlite:///{folder}/project/.genre/search.db"
    study = optuna.load_study(study_name=name, storage=storage)
    complete = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    findings = []
    if len(complete) != 4 or len({str(trial.params) for trial in complete}) != 4:
        findings.append(f"search {name} has {len(complete)} trials that are done")
    if study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
        findings.append(f"search {name} has trials that run or wait")
    states = states_of(client, name)
    if states["RUNNING"]:
        findings.append(f"search {name} left {dict(states)}")
    if len(client.search_model_versions(f"name = '{name}'")) != 1:
        findings.append(f"search {name} has not one version")
    return findings


def send_signals(folder: Path, each: int, seed: int) -> list[str]:
    """Signals at random moments, once or twice, to every long command."""
    rng, findings = random.Random(seed), []
    client = client_of(folder)
    commands = {
        "train": ("genre_mlflow", train_words("signals")),
        "evaluate": ("genre_mlflow", ["evaluate", MODEL, "--data=../music",
                                      "--experiment=signals"]),
        "predict": ("genre_mlflow", ["predict", "../songs", f"--model={MODEL}", "--out=t.csv",
                                     "--quiet", "--workers=1"]),
        "render": ("genre_mlflow", ["corpus", "render", "../songs", "images"]),
        "search": ("search", ["--data=../music", *TINY, "--epochs=6", "--study=signals",
                              "--trials=1000", "--space=small", "--experiment=signals"]),
        "search, two workers": ("search", ["--data=../music", *TINY, "--epochs=6",
                                           "--study=signals", "--trials=1000", "--space=small",
                                           "--experiment=signals", "--workers=2"]),
    }  # fmt: skip
    for name, (module, words) in commands.items():
        ends, times = Counter[str](), []
        window_s = ENDLESS_S.get(name) or measured(folder, module, words)
        for _ in range(each):
            (folder / "project" / "t.csv").unlink(missing_ok=True)
            number, twice = rng.choice(SIGNALS), rng.random() < 0.5
            command = start(folder, module, words)
            time.sleep(rng.uniform(0, window_s))
            sent = time.monotonic()
            send(command.pid, number)
            if twice:
                time.sleep(rng.uniform(0, 0.2))
                send(command.pid, rng.choice(SIGNALS))
            end(command, 6 * MOST_S)
            times.append(time.monotonic() - sent)
            ends[str(command.code)] += 1
            findings += look_at_end(command, name, number, times[-1], client)
        print(f"{name}: {each} signals; exit codes {dict(ends)}; end after "
              f"{statistics.median(times):.1f} s, at most {max(times):.1f}")  # fmt: skip
    return findings


def measured(folder: Path, module: str, words: list[str]) -> float:
    """Seconds that a command takes when nobody stops it."""
    started = time.monotonic()
    end(start(folder, module, words))
    return time.monotonic() - started


def send(pid: int, number: int) -> None:
    """A signal to a process and all that it has started, as a terminal sends it."""
    with suppress(ProcessLookupError):  # it had nothing left to do
        while os.getpgid(pid) != pid:
            time.sleep(0.001)  # it has only been forked
        os.killpg(pid, number)


def look_at_end(
    command: Command, name: str, number: int, seconds: float, client: MlflowClient
) -> list[str]:
    """What must hold when a command was asked to stop."""
    findings, what = [], f"{name}, {signal.Signals(number).name}"
    # Before it listens, the signal itself ends it; another may be heard first where two come.
    allowed = {0, *(128 + n for n in SIGNALS), *(-n for n in SIGNALS)}
    if command.code not in allowed:
        findings.append(f"{what}: ended with {command.code}: {tail(command)}")
    if re.search("Traceback|Exception ignored", command.said):
        findings.append(f"{what}: {tail(command)}")
    if seconds > MOST_S:
        findings.append(f"{what}: ended after {seconds:.1f} s")
    if client.get_experiment_by_name("signals"):
        running = states_of(client, "signals")["RUNNING"]
        if running:
            findings.append(f"{what}: {running} runs stay RUNNING: {tail(command)}")
            close(client)
    return findings


def close(client: MlflowClient) -> None:
    """So that a run which has stayed open is found once."""
    experiment = client.get_experiment_by_name("signals").experiment_id
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        client.set_terminated(run.info.run_id, "FAILED")
