"""Time a training step on a GPU beside the CPU, by batch size: ``python tests/gpu/time_steps.py``.

For each net and batch size it prints the milliseconds of a step on either, and on the GPU those of
the step without the copy of the batch, and of the copy alone. Each number is the best of 5 rounds.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import cupy
import numpy as np

from chainrule.layers import Affine, Convolution, CrossEntropyLoss, Flatten, MaxPooling, ReLU
from chainrule.networks import Adam, Sequential, Trainer, simple_conv_net, transformer_net

BATCHES = (100, 1_000, 10_000)
STEPS, ROUNDS = 10, 5


def dense(rng: np.random.Generator) -> Sequential:
    """Return the net of workload B."""
    sizes = [(784, 512), (512, 512), (512, 10)]
    first, second, last = (Affine.random(*size, rng) for size in sizes)
    return Sequential(Flatten(), first, ReLU(), second, ReLU(), last)


def four_convolutions(rng: np.random.Generator) -> Sequential:
    """Return the net of workload C2."""

    def pair(channels: int, filters: int) -> list[Any]:
        first = Convolution.random(channels, filters, 3, rng, pad=1)
        return [first, ReLU(), Convolution.random(filters, filters, 3, rng, pad=1), ReLU()]

    return Sequential(
        *(*pair(1, 16), MaxPooling(2), *pair(16, 32), MaxPooling(2)),
        *(Flatten(), Affine.random(32 * 7 * 7, 128, rng), ReLU(), Affine.random(128, 10, rng)),
    )


def images(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return random images and labels."""
    return rng.random((n, 1, 28, 28), np.float32), rng.integers(10, size=n)


def words(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return random sequences of 64 characters; the target is the next one."""
    text = rng.integers(65, size=(n // 64 + 1, 65))
    return text[:, :-1], text[:, 1:]


NETS: dict[str, tuple[Callable[[np.random.Generator], Sequential], Callable[..., Any]]] = {
    "B, 784-512-512-10": (dense, images),
    "C, one convolution": (simple_conv_net, images),
    "C2, four convolutions": (four_convolutions, images),
    "GPT of 4 blocks of 128": (lambda rng: transformer_net(65, 64, 128, 4, 4, rng), words),
}


def milliseconds(run: Callable[[], Any]) -> float:
    """Return the best time of a call, when the GPU has done all of it."""
    run()
    best = float("inf")
    for _ in range(ROUNDS):
        cupy.cuda.Device().synchronize()
        start = perf_counter()
        for _ in range(STEPS):
            run()
        cupy.cuda.Device().synchronize()
        best = min(best, (perf_counter() - start) / STEPS)
    return 1000 * best


def main() -> None:
    """Print the table."""
    print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode(), "CuPy", cupy.__version__)
    print(f"{'net':<24}{'batch':>7}{'CPU':>10}{'GPU':>10}{'no copy':>10}{'copy':>10}  ms a step")
    for name, (make, draw) in NETS.items():
        for n in BATCHES:
            x, t = draw(n, np.random.default_rng(1))
            moved = cupy.asarray(x), cupy.asarray(t)
            times = []
            for on_gpu, batch in ((False, (x, t)), (True, (x, t)), (True, moved)):
                rng = np.random.default_rng(0)
                net = make(rng)
                if on_gpu:
                    net.map_arrays(cupy.asarray)
                trainer = Trainer(net, CrossEntropyLoss(), Adam(), rng=rng)
                times.append(milliseconds(lambda t=trainer, b=batch: t.train_step(*b)))
            times.append(milliseconds(lambda x=x, t=t: (cupy.asarray(x), cupy.asarray(t))))
            print(f"{name:<24}{n:>7}" + "".join(f"{time:>10.3f}" for time in times), flush=True)


if __name__ == "__main__":
    main()
