"""sentence-transformers as a peer of the embedding bench: texts to vectors on torch, on the CPU, by `encode` as it comes.
The folder that it is given holds the model as ONNX alone, so the weights are taken out of that file first. Speaks as
embed-serve.ts does. Started by peers.ts; argv: settings as JSON, and a folder for the copy of the model."""

import json
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy
import onnx
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

SETTINGS = json.loads(sys.argv[1])


def torch_folder(model, copy):
    """Everything but the graph, and its weights under the names that torch knows. Nothing is computed: the exporter
    kept every name but those of the matrices, which it turned, and whose node still says where they belong."""
    shutil.copytree(model, copy, ignore=shutil.ignore_patterns('onnx'))
    graph = onnx.load(model / 'onnx/model.onnx').graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name[2:]: array for name, array in arrays.items() if name.startswith('m.')}
    for node in graph.node:
        if node.op_type == 'MatMul' and node.input[1] in arrays:
            name = '.'.join(node.name.split('/')[2:-1])
            weights[f'{name}.weight'] = numpy.ascontiguousarray(arrays[node.input[1]].T)
    save_file({name: numpy.ascontiguousarray(array) for name, array in weights.items()}, copy / 'model.safetensors')
    return copy


# What the libraries print must not stand between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
torch.set_num_threads(SETTINGS['threads'])
model = SentenceTransformer(str(torch_folder(Path(SETTINGS['model']), Path(sys.argv[2]))), device='cpu')
versions = ', '.join(f'{name} {version(name)}' for name in ['sentence-transformers', 'torch'])
print(json.dumps({'versions': f'Python {sys.version.split()[0]}, {versions}'}), file=answers, flush=True)
texts = []
for line in sys.stdin:
    request = json.loads(line)
    if 'texts' in request:
        texts = json.loads(Path(request['texts']).read_text())
        answer = {}
    else:
        start = time.perf_counter()
        vectors = model.encode(texts)
        answer = {'seconds': time.perf_counter() - start}
        if request['out'] is not None:
            vectors.astype(numpy.float32).tofile(request['out'])
    print(json.dumps(answer), file=answers, flush=True)
