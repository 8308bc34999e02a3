"""BERTopic as its users run it, one firm at a time: for every line `FIRM SEED` it fits a model and answers with a line of JSON.
It gets the vectors made, as quarterdeck does; the settings are those of quarterdeck's standard recipe.
Started by firms.ts; what is good about the topics is measured by quality.py."""

import json
import sys
import time
from importlib.metadata import version

import numpy
from bertopic import BERTopic
from hdbscan import HDBSCAN
from sklearn.feature_extraction.text import CountVectorizer
from umap import UMAP


def fit(texts, vectors, seed):
    model = BERTopic(
        umap_model=UMAP(n_neighbors=15, n_components=10, min_dist=0.0, metric='cosine', random_state=seed),
        hdbscan_model=HDBSCAN(min_cluster_size=6, min_samples=2, cluster_selection_method='leaf'),
        vectorizer_model=CountVectorizer(ngram_range=(1, 2), stop_words='english'),
    )
    return model.fit(texts, embeddings=vectors)


def answer(firm, vectors, seed):
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        model = fit(firm['texts'], vectors, seed)
    except (ValueError, TypeError) as error:  # what scipy and scikit-learn raise for too few sentences
        return {'error': str(error).split('\n')[0]}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    topics = sorted((topic, words) for topic, words in model.get_topics().items() if topic >= 0)
    return {
        'seconds': wall,
        'cpuSeconds': cpu,
        'labels': [int(topic) for topic in model.topics_],
        'keywords': [[word for word, _ in words if word] for _, words in topics],
    }


folder = sys.argv[1]
with open(f'{folder}/firms.json') as file:
    firms = json.load(file)
# What the libraries print must not stand between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
names = ['bertopic', 'umap-learn', 'hdbscan', 'scikit-learn', 'numpy']
python = f'Python {sys.version.split()[0]}'
print(json.dumps({'versions': ', '.join([python] + [f'{name} {version(name)}' for name in names])}), file=answers, flush=True)
for line in sys.stdin:
    number, seed = map(int, line.split())
    firm = firms[number]
    vectors = numpy.fromfile(f'{folder}/{number}.f32', dtype=numpy.float32).reshape(-1, firm['d'])
    print(json.dumps(answer(firm, vectors, seed)), file=answers, flush=True)
