"""What an answer costs in each network: one picture, one thread, medians, side by side.

Weights are of chance and of their sizes after 442 tracks, for those that are fitted: what they
cost does not depend on what they hold.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from genre_mlflow.model.estimators import KernelMachine
from genre_mlflow.model.networks import NETWORKS, family

DEFAULT = "vgg"
SHAPE = (1, 128, 384)
N_GENRES, N_VECTORS = 10, 1326  # three crops of each track

READ_FILES = [name for name in NETWORKS if family(name).reads_files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=",".join(READ_FILES), help="separated by commas")
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = {
        name: network_of(name) for name in dict.fromkeys([DEFAULT, *args.networks.split(",")])
    }
    pixels = torch.randint(0, 256, (1, *SHAPE), dtype=torch.uint8)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(args.rounds + 1):  # in turn, so that other work disturbs all of them alike
        for name, network in networks.items():
            times[name].append(milliseconds(network, pixels))
    print(f"| network | ms a track | times as long as {DEFAULT} |\n|---|---|---|")
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    for name, median in medians.items():
        print(f"| {name} | {median:.1f} | {median / medians[DEFAULT]:.2f} |")


def network_of(name: str) -> nn.Module:
    """A network as it answers."""
    network = family(name)().build(N_GENRES, SHAPE).eval()
    for part in network.modules():
        if isinstance(part, KernelMachine):
            n = part.vectors.shape[1]
            part.fill(
                vectors=torch.randn(N_VECTORS, n), weights=torch.randn(N_GENRES, N_VECTORS),
                intercepts=torch.zeros(N_GENRES),
            )  # fmt: skip
    return network


@torch.inference_mode()
def milliseconds(network: nn.Module, pixels: torch.Tensor) -> float:
    started = time.perf_counter()
    network(pixels)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
