"""The other side of bench/decode.mjs: pictures as fastai reads them, with Pillow.

`Image.open(file).convert('RGB')`, the largest middle part of the wanted shape, antialiased bilinear; no `draft`, which
fastai doesn't use either. Driven over standard input: `<size> <list>` reads the files that the text file `<list>` names,
shared out among the threads, and answers with the CPU seconds (user and system, all threads) a pass took and a checksum.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import PIL
from PIL import Image


def read(file, size):
    picture = Image.open(file).convert("RGB")
    width, height = picture.size
    if (width, height) != (size, size):
        side = min(width, height)
        left, top = int((width - side) / 2), int((height - side) / 2)
        picture = picture.resize((size, size), Image.BILINEAR, (left, top, left + side, top + side))
    return numpy.asarray(picture)


def main():
    threads = int(os.environ.get("BENCH_THREADS", "2"))
    pool = ThreadPoolExecutor(threads)
    print(f"ready {PIL.__version__} {threads}", flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        size, name = line.split()
        with open(name) as lines:
            files = lines.read().split("\n")
        out = numpy.empty((len(files), int(size), int(size), 3), numpy.uint8)

        def work(start):
            for i in range(start, len(files), threads):
                out[i] = read(files[i], int(size))

        before = time.process_time()
        list(pool.map(work, range(threads)))
        print(f"{time.process_time() - before:.6f}", out.mean(), flush=True)


main()
