"""Makes the files beside it: images whose pixels test_cli.sh knows by heart, three tiny models, and
what is expected at values that are no layer's.

Debian 12: apt install python3-torch python3-numpy python3-pil; /usr/bin/python3 make_fixtures.py
"""

import sys
from pathlib import Path
from typing import Dict, Optional

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
sys.path.append(str(FIXTURES))
from torchscript import drop_debug_records  # noqa: E402


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


class Squares(nn.Module):
    """The gradient of all of `square` shows what the inputs were: it is twice their values."""

    def __init__(self):
        super().__init__()
        self.square = Square()

    def forward(self, x, y: Optional[Tensor] = None):
        x = x.flatten(1)
        if y is not None:
            x = torch.cat([x, y.flatten(1)], 1)
        return self.square(x)


class Scale(nn.Module):
    def forward(self, x: Tensor, factor: float) -> Tensor:
        return x * factor


class Dictionaries(nn.Module):
    """Arguments that are dictionaries."""

    def __init__(self):
        super().__init__()
        self.scale = Scale()

    def forward(self, x, numbers: Dict[str, float], tensors: Dict[int, Tensor]):
        return self.scale(x * tensors[-7], numbers["é\t"])


class Methods(nn.Module):
    """A model that is to be run by another method than forward."""

    def __init__(self):
        super().__init__()
        self.square = Square()

    def forward(self, x):
        return self.square(x)

    @torch.jit.export
    def encode(self, x, factor: float):
        return self.square(x * factor)


def save_frozen_cnn():
    """fixtures/cnn.scripted.pt without its layers: what captum gave at those is still expected."""
    path = str(HERE / "cnn.frozen.pt")
    torch.jit.freeze(torch.jit.load(str(FIXTURES / "cnn.scripted.pt"))).save(path)
    drop_debug_records(path)


def save_gradient_of_addition():
    """The gradient of element 2,3,3 of what fixtures/resnet.scripted.pt adds up in layer1.0."""
    model = torch.jit.load(str(FIXTURES / "resnet.scripted.pt"))
    x = torch.from_numpy(np.load(FIXTURES / "resnet.x.npy")).requires_grad_()
    block = model.layer1._modules["0"]
    before = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    inside = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(before)))))
    (gradient,) = torch.autograd.grad((inside + before)[:, 2, 3, 3].sum(), x)
    np.save(HERE / "resnet.layer1.0.add.2_3_3.grad.npy", gradient.numpy())


def save_model(model, name):
    path = str(HERE / name)
    torch.jit.script(model.eval()).save(path)
    drop_debug_records(path)


def ramp(height, width, channels):
    """Every pixel and channel has another value."""
    size = height * width * channels
    return np.linspace(0, 255, size).round().astype(np.uint8).reshape(height, width, channels)


def save_png_images():
    Image.fromarray(ramp(2, 3, 3)).save(HERE / "rgb.png", optimize=True)
    Image.fromarray(ramp(5, 7, 3)).save(HERE / "wide.png", optimize=True)
    wide_gray = np.array([[0, 1000, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(wide_gray).save(HERE / "gray16.png", optimize=True)
    palette = Image.new("P", (3, 1))
    palette.putpalette([255, 0, 51, 10, 20, 30, 0, 102, 204])
    palette.putdata([2, 0, 1])
    palette.save(HERE / "palette_alpha.png", optimize=True, transparency=bytes([128, 0, 255]))


def save_jpeg_images():
    """Of blocks of one colour, which survive the compression."""
    colours = np.array([[200, 40, 40], [40, 40, 200]], dtype=np.uint8)
    rgb = Image.fromarray(colours.repeat(8, 0).repeat(8, 0).reshape(2, 8, 8, 3).reshape(16, 8, 3))
    rgb.save(HERE / "rgb.jpg", quality=98, subsampling=0, optimize=True)
    gray = np.array([[64], [192]], dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(gray).save(HERE / "gray.jpg", quality=98, optimize=True)
    Image.fromarray(gray).convert("CMYK").save(HERE / "cmyk.jpg", quality=50, optimize=True)


def save_resized(name, height, width):
    """Twice the values that Pillow's antialiased bilinear filter gives, in floating point."""
    pixels = np.asarray(Image.open(HERE / "wide.png")).astype(np.float32) / 255
    planes = [
        np.asarray(Image.fromarray(pixels[:, :, c]).resize((width, height), Image.BILINEAR))
        for c in range(3)
    ]
    np.save(HERE / name, 2 * np.stack(planes)[None])


if __name__ == "__main__":
    save_model(Squares(), "squares.pt")
    save_model(Dictionaries(), "dictionaries.pt")
    save_model(Methods(), "methods.pt")
    save_frozen_cnn()
    save_gradient_of_addition()
    np.save(HERE / "x.npy", np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
    np.save(HERE / "weights.npy", np.array([1, 4, 16], dtype=np.float32))
    save_png_images()
    save_jpeg_images()
    save_resized("wide_3x4.npy", 3, 4)
    save_resized("wide_8x6.npy", 8, 6)
