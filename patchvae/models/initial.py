"""Initial weights other than PyTorch's own (reading A19)."""

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def initialise(module: nn.Module, scheme: str) -> None:
    """Draw the weights of a module anew, in place, from torch's global generator.

    `pytorch` leaves them; `kaiming` draws convolutions from N(0, 2 / fan_out) as the trunk's are
    drawn, `normal` linear layers from N(0, 0.01^2), both with zero bias.
    """
    for layer in module.modules():
        if scheme == "kaiming" and isinstance(layer, CONVOLUTIONS):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif scheme == "normal" and isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.01)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
