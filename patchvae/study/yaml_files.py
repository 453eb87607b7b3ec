"""The YAML files of a study: read within bounds, and errors that begin with the file's name."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from patchvae.errors import ConfigError

# libyaml, where PyYAML was built with it, reads eight times faster: every job reads its study
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# bounds of a YAML file, far above any of ours: bytes, levels, values with its aliases written out
LARGEST, DEEPEST, LONGEST = 1_000_000, 50, 100_000


class _Loader(_SafeLoader):
    """YAML without tags that build objects, and without a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            merge = key.tag == "tag:yaml.org,2002:merge"  # `<<`, which nothing constructs
            name = key.value if merge else self.construct_object(key)
            line = key.start_mark.line + 1
            if name in first:
                raise ConfigError(
                    f"key '{name}' stands twice, in lines {first[name]} and {line}: keep one of "
                    "them"
                )
            first[name] = line
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read_yaml(path: Path | Traversable) -> Any:
    """The content of a YAML file; ConfigError names the file and the lines that make it unusable.

    The one loader of the suite: a key that stands twice is an error, not the last value of the two.
    Nothing is built of a file that is larger, deeper or, with its aliases, longer than any of ours.
    """
    try:
        with about(path):
            return _Loader(_bounded(path)).get_single_data()
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: correct the path") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, no date, too many digits
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def _bounded(path: Path | Traversable) -> str:
    """The text of a file; ConfigError when its content would be too large to be built."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigError(f"larger than {LARGEST:,} bytes: no file of a study is")
    text = content.decode()
    sizes: dict[str, int] = {}  # values by anchor, with all that their aliases stand for
    open_ones: list[tuple[str, int]] = []
    seen = 0
    events: Iterator[Any] = yaml.parse(text, _SafeLoader)
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_ones.pop()
            sizes[anchor] = seen - before
        elif isinstance(event, yaml.NodeEvent):
            anchor = event.anchor or ""
            seen += sizes.get(anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append((anchor, seen - 1))
                sizes[anchor] = LONGEST  # what contains itself has no end
        if len(open_ones) > DEEPEST or seen > LONGEST:
            raise ConfigError(
                f"line {event.start_mark.line + 1}: more than {DEEPEST} levels deep, or more than"
                f" {LONGEST:,} values with what its aliases (*name) stand for"
            )
    return text


@contextmanager
def about(source: object) -> Iterator[None]:
    """Within the block a ConfigError begins with the file (or other source) that it is about."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(f"{source}: ") else f"{source}: {text}") from None


def check(document: Any, validator: Any, source: Path | str) -> None:
    """ConfigError for the key that a JSON schema's validator minds most."""
    import jsonschema

    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "top level"
        raise ConfigError(f"{source}: {where}: {error.message}")
