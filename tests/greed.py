"""Memory that no machine has, asked for in earnest."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

TOO_MUCH = 2**50  # floats, 4 PiB: more than an address space holds, so the allocator fails at once
ASKED = r"\(4,294,967,296 MiB were asked for\)"
LIMITED = """
import resource
{imports}
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + {spare},) * 2)
{program}
"""


class Greedy(nn.Module):
    """A network that can be built and moved, but lacks memory as soon as it is to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.empty(TOO_MUCH) * self.weight


def with_little_memory(
    imports: str, program: str, spare: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a program that has `spare` bytes of address space left once it has imported."""
    text = LIMITED.format(imports=imports, program=program, spare=spare)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=folder)
