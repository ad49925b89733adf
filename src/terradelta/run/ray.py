"""The tiles of a scene on a Ray cluster: the same function, in actors that load the model once.

Ray starts the actors, hands out the tiles, starts an actor again that was lost and repeats its tile.
Every node needs terradelta and the rasters under the same path; parts come back to the driver, which
alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from terradelta.errors import InputError, TerradeltaError, UsageError
from terradelta.geo.tiles import Key
from terradelta.run.model import SceneModel
from terradelta.run.parts import Part
from terradelta.run.tile import TilePlan, examine, read_tile

RETRIES = 5
"""How often an actor is started again, and a tile tried again, before the run gives up."""


class Looker:
    """What runs on a node: looks at one tile after another."""

    def __init__(self, plan: TilePlan, model: SceneModel) -> None:
        self._plan, self._model = plan, model

    def look(self, key: Key) -> Part:
        return examine(self._plan, self._model, key, read_tile(self._plan, key))


def on_ray(
    plan: TilePlan, model: SceneModel, keys: Sequence[Key], address: str
) -> Generator[Part, None, None]:
    """The parts of tiles, in the order in which they are done.

    ``address``: ``"local"`` or ``"local:N"`` for N processes of this machine, ``"auto"`` or the address
    of a running cluster.

    Raises:
        UsageError: Ray is not installed, or the address is malformed or cannot be reached.
        InputError: a raster cannot be read, or workers are lost again and again.
    """
    try:
        import ray
        from ray.util import ActorPool
    except ImportError as error:
        raise UsageError("--ray needs Ray: pip install 'terradelta[ray]'") from error
    with _connected(ray, address):
        on_gpu = model.device == "cuda"
        resource = "GPU" if on_gpu else "CPU"
        resources: dict[str, float] = ray.cluster_resources()
        count = min(len(keys), int(resources.get(resource, 0)))
        if count < 1:
            raise UsageError(f"the Ray cluster at {address} has no {resource}")
        actor = ray.remote(
            num_cpus=1,
            num_gpus=1 if on_gpu else 0,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )(Looker)
        shared = ray.put(plan), ray.put(model)
        pool = ActorPool([actor.remote(*shared) for _ in range(count)])
        try:
            yield from pool.map_unordered(lambda one, key: one.look.remote(key), list(keys))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, TerradeltaError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise InputError(
                f"workers were lost more than {RETRIES} times ({_first_line(error)}): see to the "
                f"cluster, then run the same command again to go on"
            ) from error


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """A connection to the cluster, left as it was found."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "error"}
    name, _, number = address.partition(":")
    if name == "local":
        if number and not (number.isdigit() and int(number) > 0):
            raise UsageError(f"--ray {address}: N of local:N must be a whole number, at least 1")
        count = int(number) if number else os.cpu_count()
        ray.init(address="local", num_cpus=count, include_dashboard=False, **quiet)
    else:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"no Ray cluster answers at {address!r} ({_first_line(error)}): start one with "
                f"`ray start --head`, or use --ray local"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
