"""The other side of the benchmark: a plain PyTorch training loop, as fast as Python gets it.

ResNet-18 from scratch, float32, channels_last, fused Adam, MixUp written the usual way (index, then lerp). Driven over
standard input so that both sides can take turns in one run: `<size> <batch> <steps> [bf16]` trains (under autocast) and
answers with the seconds that each step took; `mixup <n> <size> <repeats>` times the mixing alone,
`cutmix` fastai's way of pasting a box, `preprocess` what makes a mixed batch of bytes; an empty line ends.
"""

import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        side = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)).add_(side), inplace=True)


def resnet18(classes):
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class Trainer:
    def __init__(self, size, batch):
        torch.manual_seed(0)
        self.batch = batch
        self.x = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
        self.y = torch.randint(0, 10, (batch,))
        self.model = resnet18(10).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)
        self.beta = torch.distributions.Beta(torch.tensor(0.4), torch.tensor(0.4))

    def step(self, bf16=False):
        lam = self.beta.sample((self.batch,))
        lam = torch.max(lam, 1 - lam)
        perm = torch.randperm(self.batch)
        x = torch.lerp(self.x[perm], self.x, lam[:, None, None, None])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            pred = self.model(x).float()
        own = F.cross_entropy(pred, self.y, reduction="none")
        partner = F.cross_entropy(pred, self.y[perm], reduction="none")
        loss = torch.lerp(partner, own, lam).mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss


def timed(function, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def mixup(n, size, repeats):
    x = torch.rand(n, 3, size, size)
    perm = torch.randperm(n)
    lam = torch.rand(n, 1, 1, 1)
    return timed(lambda: torch.lerp(x[perm], x, lam), repeats)


def cutmix(n, size, repeats):
    x = torch.rand(n, 3, size, size)
    perm = torch.randperm(n)
    box = (..., slice(size // 5, size * 4 // 5), slice(size // 5, size * 4 // 5))

    def paste():
        x[box] = x[perm][box]

    return timed(paste, repeats)


def preprocess(n, size, repeats):
    """fastai's IntToFloatTensor, Normalize and MixUp: pictures as a decoder leaves them, channels last."""
    bytes_ = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    perm = torch.randperm(n)
    lam = torch.rand(n, 1, 1, 1)

    def steps():
        x = bytes_.float().div_(255)
        x = (x - mean) / std
        return torch.lerp(x[perm], x, lam)

    return timed(steps, repeats)


MIXING = {"mixup": mixup, "cutmix": cutmix, "preprocess": preprocess}


def main():
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
    trainers = {}
    print(f"ready {torch.__version__} {torch.get_num_threads()}", flush=True)
    for line in sys.stdin:
        words = line.split()
        if not words:
            break
        if words[0] in MIXING:
            seconds = MIXING[words[0]](*map(int, words[1:]))
        else:
            size, batch, steps = map(int, words[:3])
            bf16 = words[3:] == ["bf16"]
            trainer = trainers.get((size, batch)) or Trainer(size, batch)
            trainers[size, batch] = trainer
            seconds = timed(lambda: trainer.step(bf16).item(), steps)
        print(*(f"{value:.6f}" for value in seconds), flush=True)


main()
