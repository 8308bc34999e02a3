"""leidenalg as a peer of the bench of communities. For every line of JSON it gets, a graph in raw files, each edge once, it
answers with one: the community of each node, and what finding them took without reading the graph. Started by peers.ts."""

import json
import sys
import time
from importlib.metadata import version

import igraph
import leidenalg
import numpy


def communities(request):
    """As many rounds as it is told, at -1 until one betters nothing."""
    ends = numpy.fromfile(f'{request["file"]}.ends', dtype=numpy.int32).reshape(-1, 2)
    weights = numpy.fromfile(f'{request["file"]}.weights', dtype=numpy.float64).tolist()
    graph = igraph.Graph(n=request['n'], edges=ends)
    wall, cpu = time.perf_counter(), time.process_time()
    found = leidenalg.find_partition(
        graph,
        leidenalg.RBConfigurationVertexPartition,
        weights=weights,
        resolution_parameter=request['resolution'],
        n_iterations=request['iterations'],
        seed=request['seed'],
    )
    taken = {'seconds': time.perf_counter() - wall, 'cpuSeconds': time.process_time() - cpu}
    return {**taken, 'labels': found.membership}


versions = [f'Python {sys.version.split()[0]}'] + [f'{name} {version(name)}' for name in ['leidenalg', 'igraph']]
print(json.dumps({'versions': ', '.join(versions)}), flush=True)
for line in sys.stdin:
    print(json.dumps(communities(json.loads(line))), flush=True)
