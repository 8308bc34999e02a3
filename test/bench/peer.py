"""The Python side of the bench. One process does one kind of work: for every line of JSON it gets, it answers with one.
  bertopic  a firm's sentences, as BERTopic's users run it; the folder with the firms is the second argument
  engine    a table of vectors by UMAP, then HDBSCAN
  hdbscan   a table of points by HDBSCAN alone
All get vectors and points as quarterdeck does, as raw 32-bit floats. How many threads they may use stands in the
environment, which numba and OpenBLAS read before their first step. Started by peers.ts."""

import json
import sys
import time
from importlib.metadata import version

import numpy
from hdbscan import HDBSCAN

KIND = sys.argv[1]
PACKAGES = ['hdbscan', 'numpy']
if KIND != 'hdbscan':
    from umap import UMAP

    PACKAGES = ['umap-learn', *PACKAGES]
if KIND == 'bertopic':
    from bertopic import BERTopic
    from sklearn.feature_extraction.text import CountVectorizer

    PACKAGES = ['bertopic', *PACKAGES, 'scikit-learn']


def clocks():
    return numpy.array([time.perf_counter(), time.process_time()])


def table(file, d):
    return numpy.fromfile(file, dtype=numpy.float32).reshape(-1, d)


def umap_of(settings, seed, epochs=None):
    """As many epochs as it chooses itself, 500 and above 10,000 rows 200, unless told."""
    return UMAP(
        n_neighbors=settings['nNeighbors'],
        n_components=settings['nComponents'],
        min_dist=settings['minDist'],
        n_epochs=epochs,
        metric='cosine',
        random_state=seed,
    )


def hdbscan_of(settings, **more):
    return HDBSCAN(
        min_cluster_size=settings['minClusterSize'],
        min_samples=settings['minSamples'],
        cluster_selection_method=settings['selection'],
        core_dist_n_jobs=1,
        **more,
    )


def bertopic(request):
    """One firm; `rows` says which of its sentences, null all. Without a seed the answer is another every time."""
    firm, rows = firms[request['firm']], request['rows']
    texts, vectors = firm['texts'], table(f'{sys.argv[2]}/{request["firm"]}.f32', firm['d'])
    if rows is not None:
        texts, vectors = [texts[row] for row in rows], vectors[rows]
    start = clocks()
    model = BERTopic(
        umap_model=umap_of(request['settings'], request['seed']),
        hdbscan_model=hdbscan_of(request['settings']),
        vectorizer_model=CountVectorizer(ngram_range=(1, 2), stop_words='english'),
    )
    try:
        model.fit(texts, embeddings=vectors)
    except (ValueError, TypeError) as error:  # what scipy and scikit-learn raise for too few sentences
        return {'error': str(error).split('\n')[0]}
    taken = clocks() - start
    topics = sorted((topic, words) for topic, words in model.get_topics().items() if topic >= 0)
    return {
        **times(taken),
        'labels': [int(topic) for topic in model.topics_],
        'keywords': [[word for word, _ in words if word] for _, words in topics],
    }


def engine(request):
    vectors = table(request['file'], request['d'])
    start = clocks()
    layout = umap_of(request['settings'], request['seed'], request['epochs']).fit_transform(vectors)
    middle = clocks()
    labels = hdbscan_of(request['settings']).fit(layout).labels_
    end = clocks()
    return {**times(end - start), 'layoutSeconds': (middle - start)[0], 'labels': labels.tolist()}


def hdbscan(request):
    """By the exact spanning tree: the default saves a twentieth of the time for one that is only nearly right."""
    points = table(request['file'], request['d'])
    start = clocks()
    labels = hdbscan_of(request['settings'], approx_min_span_tree=False).fit(points).labels_
    return {**times(clocks() - start), 'peakBytes': peak_bytes(), 'labels': labels.tolist()}


def times(taken):
    return {'seconds': taken[0], 'cpuSeconds': taken[1]}


def peak_bytes():
    try:
        with open('/proc/self/status') as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith('VmHWM'))
    except OSError:  # no Linux
        return None


# What the libraries print must not stand between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
if KIND == 'bertopic':
    with open(f'{sys.argv[2]}/firms.json') as file:
        firms = json.load(file)
work = {'bertopic': bertopic, 'engine': engine, 'hdbscan': hdbscan}[KIND]
versions = [f'Python {sys.version.split()[0]}'] + [f'{name} {version(name)}' for name in PACKAGES]
print(json.dumps({'versions': ', '.join(versions)}), file=answers, flush=True)
for line in sys.stdin:
    print(json.dumps(work(json.loads(line))), file=answers, flush=True)
