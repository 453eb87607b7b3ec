"""Numbers of runs of a few steps: what a choice of the protocol can change.

`python tests/tiny_numbers.py` prints fixtures/defaults.json.
"""

import hashlib
import json
import platform
import re
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from small_study import REPO, TINY, inside, tiny_run

from patchvae.data.store import open_dataset, prepare
from patchvae.data.tensors import load_images
from patchvae.models import build
from patchvae.models.base import VAE
from patchvae.models.fixed import FixedTrunk
from patchvae.runtime.checkpoint import load_weights
from patchvae.runtime.machine import Options
from patchvae.study import paths
from patchvae.study.protocol import protocol
from patchvae.study.registry import MODELS
from patchvae.study.runs import PretrainConfig, resolve_probe
from patchvae.training.job import Made, write_files
from patchvae.training.pretrain import pretrain, save
from patchvae.training.probe import probe

COMPARED = (
    "beta-vae",
    "beta-vae-lw",
    "beta-vae-gan",
    "patchvae",
    "patchvae-gan-lw",
    "bigan",
    "random",
)


class Tiny:
    """Runs of the tiny study with some protocol keys set, each trained once."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.options = folder, Options(device="cpu", data=data)
        self.known: dict[str, dict[str, Any]] = {}

    def numbers(self, model: str, probe_name: str, keys: dict[str, Any]) -> dict[str, Any]:
        """Loss terms, the encoder's norm and bytes, an image's output, the probe's result."""
        name = json.dumps([model, probe_name, keys])
        if name not in self.known:
            project = self.folder / hashlib.sha256(name.encode()).hexdigest()[:16]
            _write_study(project, keys)
            with inside(project):
                self.known[name] = self._train(model, probe_name)
        return self.known[name]

    def _train(self, model: str, probe_name: str) -> dict[str, Any]:
        config = resolve_probe(tiny_run(model), probe_name)
        if model == "imagenet-pretrained":
            _stand_in(config.encoder, self.options)
        else:
            pretrain(config.encoder, self.options)
        metrics = probe(config, self.options)
        pretrained = json.loads((config.run.pretrain / paths.METRICS).read_text())
        history = (config.folder / paths.HISTORY).read_text().splitlines()
        weights = dict(sorted(load_weights(config.run.pretrain / paths.MODEL).items()))
        terms = pretrained.get("last_epoch", {})
        predictions = np.load(config.folder / paths.PREDICTIONS)["predicted"]
        return {
            "digest": config.digest,
            "terms": {k: v for k, v in terms.items() if k != "images_per_second"},
            "norm": float(sum(float(t.double().square().sum()) for t in weights.values()) ** 0.5),
            "weights": _sha256(*(t.contiguous().numpy().tobytes() for t in weights.values())),
            "made": _made(config.encoder, weights, self.options),
            "loss": float(history[-1].split(",")[history[0].split(",").index("loss")]),
            "top1": metrics["top1"],
            "predicted": _sha256(predictions.tobytes()),
        }


def _write_study(project: Path, keys: dict[str, Any]) -> None:
    study = yaml.safe_load(TINY)
    for key, value in keys.items():
        section, name = key.split(".")
        study["protocol"].setdefault(section, {})[name] = value
    if study["protocol"]["pretrain"]["epochs"] > 2:
        study["protocol"]["pretrain"]["snapshots"] = 0
    (project / "config").mkdir(parents=True)
    (project / "config" / "tables").symlink_to(REPO / "config" / "tables")
    (project / "config" / "protocol.yaml").symlink_to(REPO / "config" / "protocol.yaml")
    (project / "config" / "tiny.yaml").write_text(yaml.safe_dump(study))


def _made(config: PretrainConfig, weights: dict[str, torch.Tensor], options: Options) -> float:
    """The norm of what a VAE makes of ten test images in eval mode; 0 for another model."""
    if MODELS[config.run.model].recon is None:
        return 0.0
    network = build(config)
    network.load_state_dict(weights)
    vae = getattr(network, "vae", network).eval()
    assert isinstance(vae, VAE)
    data = open_dataset(config.data.dataset, options.data)
    images = load_images(data, ("test",), 10, torch.device("cpu"), config.data.inputs)
    with torch.no_grad():
        return float(vae(images.batch(torch.arange(10)))[0].norm())


def _stand_in(config: PretrainConfig, options: Options) -> None:
    """The result of a supervised trunk without torchvision's file: random weights in its place."""
    torch.manual_seed(0)
    document = {
        "run": config.run.name,
        "config_digest": config.digest,
        "data_digest": open_dataset(config.data.dataset, options.data).digest,
    }
    save_trunk = partial(save, config, FixedTrunk(32, trunk="resnet9"), {})
    write_files(config, Made({}, [], save_trunk), document)


def _sha256(*content: bytes) -> str:
    return hashlib.sha256(b"".join(content)).hexdigest()


@cache
def machine() -> str:
    """What decides the last bit on a CPU: its kind with its caches, and PyTorch."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else platform.processor()
    facts = re.findall(r"^(?:cpu family|model|stepping|cache size|flags)\s*:.*$", text, re.M)
    return _sha256(torch.__version__.encode(), *sorted({fact.encode() for fact in facts}))


def main() -> None:
    """Print the fixture."""
    with tempfile.TemporaryDirectory() as folder:
        prepare("parts32", root=Path(folder, "data"))
        tiny = Tiny(Path(folder, "runs"), Path(folder, "data"))
        models = {}
        for model in COMPARED:
            keys = {"model.random_statistics": "initial"} if model == "random" else {}
            keys = {k: v for k, v in keys.items() if k in protocol()}
            models[model] = {p: tiny.numbers(model, p, keys) for p in ("conv1", "conv5")}
    print(json.dumps({"machine": machine(), "models": models}, indent=1))


if __name__ == "__main__":
    main()
