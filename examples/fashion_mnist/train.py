#!/usr/bin/env python3
"""Train the small Fashion-MNIST network of this example and save it as TorchScript.

Needs PyTorch, NumPy, Pillow and the dataset's four .gz files. On Debian:
    apt install python3-torch python3-numpy python3-pil dataset-fashion-mnist
    python3 train.py
"""
import argparse
import gzip
import io
import struct
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

# The position in this tuple is the label in the dataset and the model's output column.
CLASSES = (
    "t-shirt",     # 0 ("T-shirt/top" in the dataset's own words)
    "trouser",     # 1
    "pullover",    # 2
    "dress",       # 3
    "coat",        # 4
    "sandal",      # 5
    "shirt",       # 6
    "sneaker",     # 7
    "bag",         # 8
    "ankle-boot",  # 9
)
IMAGES = ("t-shirt", "trouser", "dress", "coat", "sandal", "sneaker", "bag", "ankle-boot")

SEED = 2017
BATCH = 128
PEAK_LEARNING_RATE = 0.01


class ConvBlock(nn.Module):
    """3x3 convolution, batch norm, ReLU, then halve the width and height."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        # The batch norm that follows has a bias of its own.
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        return self.pool(self.relu(self.norm(self.conv(x))))


class FashionCNN(nn.Module):
    """[N, 1, 28, 28] pixels in [0, 1] -> [N, 10] class scores (logits)."""

    def __init__(self):
        super().__init__()
        # No mean and deviation of the dataset here: the first batch norm learns the scale.
        self.block1 = ConvBlock(1, 16)   # -> [N, 16, 14, 14]
        self.block2 = ConvBlock(16, 32)  # -> [N, 32, 7, 7]
        self.block3 = ConvBlock(32, 64)  # -> [N, 64, 3, 3]
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(64 * 3 * 3, len(CLASSES))

    def forward(self, x):
        x = self.block1(x)
        x = self.block2(x)
        x = self.block3(x)
        return self.classifier(self.dropout(self.flatten(x)))


def read_idx(path):
    """The bytes of one idx file as an array of the shape in its header."""
    with gzip.open(path, "rb") as file:
        zero, dtype, ndim = struct.unpack(">HBB", file.read(4))
        if zero != 0 or dtype != 0x08:
            raise SystemExit(f"{path}: not an idx file of unsigned bytes")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        return np.frombuffer(file.read(), dtype=np.uint8).reshape(shape)


def read_split(folder, prefix):
    pixels = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return pixels, torch.from_numpy(labels.astype(np.int64))


def to_input(pixels):
    return torch.from_numpy(pixels.astype(np.float32) / 255).unsqueeze(1)


def scores(model, inputs):
    with torch.no_grad():
        return torch.cat([model(batch) for batch in inputs.split(500)])


def train(model, inputs, labels, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-2)
    batches = len(inputs) // BATCH  # the rest of a shuffled epoch is left out: full batches only
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=epochs * batches)
    for epoch in range(1, epochs + 1):
        started, total = time.monotonic(), 0.0
        model.train()
        order = torch.randperm(len(inputs))[:batches * BATCH]
        for chosen in order.split(BATCH):
            batch = inputs[chosen]
            # Left and right mean nothing here, so mirrored pictures are more data for free.
            mirror = torch.rand(BATCH, 1, 1, 1) < 0.5
            batch = torch.where(mirror, batch.flip(3), batch)
            loss = F.cross_entropy(model(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}/{epochs}: loss {total / batches:.4f}, "
              f"{time.monotonic() - started:.0f} s", flush=True)
    model.eval()


def save_module(module, path):
    """torch.jit.save, less the source positions.

    Those are only for error messages and name this machine's absolute paths, so the files
    would depend on where the script ran. PyTorch's own writer keeps the tensors aligned.
    """
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    reader = torch._C.PyTorchFileReader(buffer)
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if name != "version" and not name.endswith(".debug_pkl"):  # the writer adds the version
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()


def save_images(folder, pixels, labels, predicted):
    """For each class the first test image that the model gets right, pixels untouched."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in IMAGES:
        label = CLASSES.index(name)
        right = ((labels == label) & (predicted == label)).nonzero().flatten()
        if len(right) == 0:
            raise SystemExit(f"the model gets no {name} right: train longer")
        index = int(right[0])
        Image.fromarray(pixels[index]).save(folder / f"{name}.png", optimize=True)
        print(f"images/{name}.png: class {label}, test image {index}")


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output-dir", type=Path, default=here,
                        help="where the .pt files and images/ go (default: the script's folder)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--data-dir", type=Path, default=Path("/usr/share/datasets/fashion-mnist"),
                        help="folder of the dataset's .gz files (default: %(default)s)")
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error("--epochs must be at least 1")

    # One thread: the order in which sums are taken, and so every bit, is the same each time.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    train_pixels, train_labels = read_split(args.data_dir, "train")
    test_pixels, test_labels = read_split(args.data_dir, "t10k")
    test_inputs = to_input(test_pixels)

    model = FashionCNN()
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    train(model, to_input(train_pixels), train_labels, args.epochs)

    eager = scores(model, test_inputs)
    predicted = eager.argmax(1)
    print(f"test accuracy: {(predicted == test_labels).float().mean():.2%}")

    args.output_dir.mkdir(parents=True, exist_ok=True)
    saved = {
        "fashion_cnn_scripted.pt": torch.jit.script(model),
        "fashion_cnn_traced.pt": torch.jit.trace(model, test_inputs[:1]),
    }
    for name, module in saved.items():
        save_module(module, args.output_dir / name)
    save_images(args.output_dir / "images", test_pixels, test_labels, predicted)

    for name in saved:
        path = args.output_dir / name
        loaded = torch.jit.load(str(path))
        result = scores(loaded, test_inputs)
        difference = (result - eager).abs().max().item()
        if loaded.training or difference > 1e-4 or not torch.equal(result.argmax(1), predicted):
            raise SystemExit(f"{name} differs from the eager model by {difference:g}")
        print(f"{name}: {path.stat().st_size} bytes, agrees with the eager model on all "
              f"{len(result)} test images (largest difference {difference:.1e})")


if __name__ == "__main__":
    main()
