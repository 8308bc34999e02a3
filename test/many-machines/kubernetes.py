"""Reads the Jobs of docs/many-machines/kubernetes as Kubernetes does, strictly: a field that it does not know is refused, by the
first version that the file is for and by the last one known. Prints them as JSON; an error ends it."""

import json
import sys

import kubernetes_validate
import yaml

with open(sys.argv[1]) as file:
    jobs = yaml.safe_load(file)["items"]
for version in ("1.31", kubernetes_validate.latest_version()):
    for job in jobs:
        kubernetes_validate.validate(job, version, strict=True)
print(json.dumps(jobs))
