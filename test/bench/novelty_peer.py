# The nearest earlier sentence of each sentence by numpy, firm by firm, on one thread; prints seconds and writes the answers.
import json
import sys
import time

import numpy as np

vectors_file, sizes_file, answers_file, d = sys.argv[1:]
vectors = np.fromfile(vectors_file, dtype=np.float32).reshape(-1, int(d))
answers = []
start, row = time.perf_counter(), 0
for n, m in json.load(open(sizes_file)):
    ours, earlier = vectors[row : row + n], vectors[row + n : row + n + m]
    answers.append((ours @ earlier.T).argmax(1))
    row += n + m
seconds = time.perf_counter() - start
np.concatenate(answers).astype(np.int32).tofile(answers_file)
print(json.dumps({"seconds": seconds}))
