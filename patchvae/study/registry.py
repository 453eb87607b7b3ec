"""What exists: datasets, architectures, models and probes, as data. Nothing heavy is imported here.

A new dataset is one file in `patchvae/data/` and one line here; a new architecture, with its rows,
is one file in `patchvae/models/` and one line here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from patchvae.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Dataset:
    """The published facts of a dataset; `prepare` fails (exit 3) when its files contradict them.

    `train` images have labels, `unlabelled` ones serve pretraining only (reading A16), `test` ones
    never serve training. `size` is the side of the square RGB image in pixels.
    """

    name: str
    title: str
    size: int
    classes: int
    train: int
    test: int
    unlabelled: int = 0
    module: str = ""  # in patchvae.data; the dataset's own name unless given
    decoded: bool = False  # from image files, by every core
    root: str = ""  # of a folder that a study declares, with its csv file and the digest of both
    split: str = ""
    listing: str = ""

    @property
    def import_path(self) -> str:
        return f"patchvae.data.{self.module or self.name}"


@dataclass(frozen=True)
class Architecture:
    """Where a network lives and which protocol keys shape it.

    `variant` names the hyper-parameters that a run's path holds, in its order.
    `keys` are the further protocol keys that its numbers depend on (of section `model` unless they
    name another), `init` those of section `init`, and `inputs` the key that says what images
    become. A VAE learns by a reconstruction loss (`recon`), so that it has a row for each of them,
    with and without an adversary; one with a `posterior(x)` is in the table of latent codes. The
    variant of a `named` one is a name under the study's `external`, which says that itself.
    """

    name: str
    target: str  # "module:Class"
    variant: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    init: tuple[str, ...] = ()
    inputs: str = "model.inputs"
    title: str = ""
    recon: bool = False
    posterior: bool = False
    trained: bool = True
    named: bool = False


@dataclass(frozen=True)
class Model:
    """A row of Table 1.

    An architecture, a reconstruction loss (`l2` or `lw`), adversarial or not.
    """

    name: str
    architecture: str
    title: str
    recon: str | None = None
    adversarial: bool = False


@dataclass(frozen=True)
class Probe:
    """How an encoder is judged: by what its stages up to `frozen` make of images (reading A13).

    `standardised` features have mean 0 and standard deviation 1 over the training images. Without
    `trained` the nearest neighbours vote. What is `about` something is not of the paper: `title`
    heads its column in a table, and `about` says below the table what it is.
    """

    name: str
    frozen: str | None
    standardised: bool = False
    trained: bool = True
    title: str = ""
    about: str = ""

    @property
    def module(self) -> str:
        """The module whose `probe` computes it."""
        return "patchvae.training.probe" if self.trained else "patchvae.training.neighbours"


_DATASETS = (
    Dataset("cifar100", "CIFAR100", 32, 100, 50_000, 10_000),
    Dataset("indoor67", "Indoor67", 64, 67, 5_360, 1_340, unlabelled=8_920, decoded=True),
    Dataset("places205", "Places205", 64, 205, 2_448_873, 20_500, decoded=True),
    Dataset("imagenet", "ImageNet", 224, 1_000, 1_281_167, 50_000, decoded=True),
    Dataset("fashionmnist", "Fashion-MNIST", 32, 10, 60_000, 10_000),
    Dataset("parts32", "Parts-32", 32, 10, 10_000, 2_000, module="parts"),
    Dataset("parts64", "Parts-64", 64, 10, 4_000, 1_000, module="parts"),
    # plays ImageNet's part in the demo's Table 2: the protocol of a dataset holds for all its
    # tables
    Dataset("partsnet", "Parts-Net", 64, 10, 256, 128, module="parts"),
)

_LATENT = ("latent_dim",)
_PARTS = ("num_parts", "part_dim", "prior_vis", "beta_vis", "beta_app")
_PART_KEYS = (
    "trunk",
    "temperature",
    "temperature_law",
    "temperature_rate",
    "temperature_floor",
    "eval_visibility",
    "appearance_gradient",
)

_VAE = ("heads", "decoder")
ADVERSARIAL_INIT = ("discriminator",)  # what an adversarial training adds to them
ADVERSARIAL_KEYS = ("discriminator", "weight", "reconstruction")  # of section `adversarial`

_ARCHITECTURES = (
    Architecture(
        "beta-vae",
        "patchvae.models.beta_vae:BetaVAE",
        (*_LATENT, "beta"),
        ("trunk",),
        _VAE,
        title=r"$\beta$-VAE",
        recon=True,
        posterior=True,
    ),
    Architecture(
        "patchvae",
        "patchvae.models.patchvae:PatchVAE",
        _PARTS,
        _PART_KEYS,
        _VAE,
        title="PatchVAE",
        recon=True,
        posterior=True,
    ),
    Architecture(
        "bigan",
        "patchvae.models.bigan:BiGAN",
        _LATENT,
        ("trunk", "adversarial.discriminator"),
        (*_VAE, *ADVERSARIAL_INIT),
        title="BiGAN",
    ),
    Architecture(
        "patchvae-everywhere",
        "patchvae.models.controls:EverywhereVAE",
        (
            "num_parts",
            "part_dim",
            "beta_app",
        ),
        ("trunk",),
        _VAE,
        title="PatchVAE, all parts everywhere",
        recon=True,
    ),
    Architecture(
        "spatial-vae",
        "patchvae.models.controls:SpatialVAE",
        (*_LATENT, "beta"),
        ("trunk",),
        _VAE,
        title="Spatial VAE",
        recon=True,
    ),
    Architecture(
        "random",
        "patchvae.models.fixed:RandomTrunk",
        keys=("trunk", "random_statistics"),
        title="Random (untrained)",
        trained=False,
    ),
    Architecture(
        "imagenet-pretrained",
        "patchvae.models.fixed:ImageNetTrunk",
        keys=("trunk",),
        inputs="model.supervised_inputs",
        title="ImageNet pretrained",
        trained=False,
    ),
    Architecture(
        "external",
        "patchvae.models.external:ExternalTrunk",
        keys=("trunk",),
        title="External encoder",
        trained=False,
        named=True,
    ),
)

# reconstruction loss -> the keys of section `reconstruction` that it depends on
RECONSTRUCTIONS = {
    "l2": ("reduction",),
    "lw": ("reduction", "scale", "laplacian", "channels"),
}

ADVERSARIAL = (
    "patchvae.models.adversarial:Adversarial"  # around a VAE: one more module, no more rows
)


def _rows(architecture: Architecture) -> list[Model]:
    """An architecture's rows: of a VAE `name`, `name-lw`, `name-gan` and `name-gan-lw`."""
    name, title = architecture.name, architecture.title
    if not architecture.recon:
        return [Model(name, name, title)]
    return [
        Model(f"{name}{gan}{lw}", name, f"{title}{gan.upper()}{loss}", recon, bool(gan))
        for gan in ("", "-gan")
        for recon, lw, loss in (("l2", "", ""), ("lw", "-lw", " + $L_w$"))
    ]


# `scratch` freezes nothing
_PROBES = (
    Probe("scratch", None),
    Probe("conv1", "conv1"),
    Probe("conv3", "conv3"),
    Probe("conv5", "conv5"),
    Probe(
        "conv5-standardised",
        "conv5",
        standardised=True,
        title="Conv5 std.",
        about="Conv5 with each feature standardised over the training images",
    ),
    Probe(
        "knn",
        "conv5",
        trained=False,
        title="kNN",
        about="a vote of the k training images with the nearest Conv5 features (probe.neighbours)",
    ),
)

DATASETS = {d.name: d for d in _DATASETS}
ARCHITECTURES = {a.name: a for a in _ARCHITECTURES}
MODELS = {m.name: m for a in _ARCHITECTURES for m in _rows(a)}
PROBES = {p.name: p for p in _PROBES}


def lookup(kind: str, table: Mapping[str, T], name: str) -> T:
    """The entry called `name`, or a ConfigError that names what is near and lists what exists."""
    if name not in table:
        raise ConfigError(f"unknown {kind} '{name}': {instead(name, table)}")
    return table[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean pretrain.lr or probe.lr?`, or nothing where no name resembles it.

    Of keys with a section those with the same last word come before those that look alike.
    """
    names, last = list(known), name.rpartition(".")[2]
    found = [key for key in names if key.rpartition(".")[2] == last]
    found = found or get_close_matches(name, names, n=3)
    return f"did you mean {' or '.join(found)}?" if found else ""


def instead(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known: those near it, and all."""
    names = list(known)
    return f"{nearest(name, names)} choose one of {', '.join(names) or '(none)'}".strip()
