"""How good topics are, by one code for both sides: reads the labels and keywords of both, prints the figures of each.
The figures are explained in docs/benchmarks.md. Started by firms.ts."""

import json
import math
import re
import sys
from itertools import combinations
from statistics import mean

import numpy
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.metrics import adjusted_rand_score, silhouette_score

NOISE = -1
KEYWORDS = 10


def words_of(text):
    return re.findall(r'\w+', text.lower())


def sentences_by_word(sentences):
    """For every word the sentences that have it, also as BERTopic writes it, which drops what is no letter: r&d → rd."""
    places = {}
    for number, sentence in enumerate(sentences):
        for word in {*words_of(sentence), *words_of(re.sub('[^A-Za-z0-9 ]+', '', sentence))}:
            places.setdefault(word, set()).add(number)
    return places


def telling(keyword):
    words = words_of(keyword)
    return frozenset(word for word in words if word not in ENGLISH_STOP_WORDS) or frozenset(words)


def coherence(keywords, places, total):
    """Mean NPMI of a topic's pairs of keywords; a keyword is in a sentence that has all its words, in any order.
    Pairs that share a word (margin, gross margin) are left out: they stand together by construction."""
    terms = [telling(keyword) for keyword in keywords[:KEYWORDS]]
    found = [set.intersection(*(places.get(word, set()) for word in term)) for term in terms if term]
    values = []
    for (term, here), (other, there) in combinations(zip(terms, found), 2):
        if term & other:
            continue
        both = len(here & there) / total
        if both == 0:
            values.append(-1.0)
        else:
            values.append(math.log(both / (len(here) / total * len(there) / total)) / -math.log(both))
    return mean(values) if values else None


def diversity(topics):
    """Different words among all words of all keywords of a firm: 1 where no word comes twice."""
    words = [word for keywords in topics for keyword in keywords[:KEYWORDS] for word in words_of(keyword)]
    return len(set(words)) / len(words) if words else None


def silhouette(vectors, labels):
    inside = labels != NOISE
    if len(set(labels[inside])) < 2:
        return None
    return float(silhouette_score(vectors[inside], labels[inside], metric='cosine'))


def mean_of(values):
    values = [value for value in values if value is not None]
    return mean(values) if values else None


def quality(whose, fits, vectors, places, total):
    first, second = ([numpy.array(one[whose][run]['labels']) for one in fits] for run in (0, 1))
    keywords = [one[whose][0]['keywords'] for one in fits]
    return {
        'topics': mean(map(len, keywords)),
        'noise': float(numpy.mean(numpy.concatenate(first) == NOISE)),
        'silhouette': mean_of(map(silhouette, vectors, first)),
        'keywords': mean_of(len(topic) for topics in keywords for topic in topics),
        'coherence': mean_of(coherence(topic, places, total) for topics in keywords for topic in topics),
        'diversity': mean_of(map(diversity, keywords)),
        'seedAgreement': mean(map(adjusted_rand_score, first, second)),
    }


def read(name):
    with open(f'{sys.argv[1]}/{name}') as file:
        return json.load(file)


firms, sentences, fits = read('firms.json'), read('sentences.json'), read('fits.json')
vectors = [
    numpy.fromfile(f'{sys.argv[1]}/{one["firm"]}.f32', dtype=numpy.float32).reshape(-1, firms[one['firm']]['d'])
    for one in fits
]
places = sentences_by_word(sentences)
print(json.dumps({whose: quality(whose, fits, vectors, places, len(sentences)) for whose in ('ours', 'peer')}))
