#!/usr/bin/env python3
"""What zlib makes of the streams that `cargo bench --bench streams -- DIRECTORY` wrote: zlib.py DIRECTORY."""

import pathlib
import sys
import time
import zlib

CONNECTIONS = 8

print("| stream | level | window | memory | size | us |")
print("| --- | --: | --: | --: | --: | --: |")
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    messages = path.read_bytes().splitlines()
    for level, window, memory in [(6, 15, 8), (6, 12, 5), (1, 15, 8)]:
        compressors = [zlib.compressobj(level, zlib.DEFLATED, -window, memory) for _ in range(CONNECTIONS)]
        begun, size = time.process_time(), 0
        for number, message in enumerate(messages):
            compressor = compressors[number % CONNECTIONS]
            # The header of a frame, without the tail.
            size += len(compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)) - 4 + 2
        spent = (time.process_time() - begun) / len(messages) * 1e6
        ratio = size / sum(map(len, messages))
        print(f"| {path.name} | {level} | {window} | {memory} | {ratio:.3f} | {spent:.1f} |")
