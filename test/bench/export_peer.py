# Has pandas write what it reads from a Parquet file in one format, in a process of its own; prints what that took, as JSON.
import json
import os
import resource
import sys
import time

import pandas as pd

source, kind, file = sys.argv[1:]
frame = pd.read_parquet(source)
frame.attrs = {}
for name in ("call_date", "sentence_date"):
    frame[name] = pd.to_datetime(frame[name])
loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, used = time.perf_counter(), time.process_time()
if kind == "csv":
    frame.to_csv(file, index=False)
elif kind == "jsonl":
    frame.to_json(file, orient="records", lines=True, force_ascii=False)
elif kind == "parquet":
    frame.to_parquet(file, compression="gzip")
else:
    texts = [name for name in frame.columns if str(frame[name].dtype) in ("str", "object")]
    frame[texts] = frame[texts].fillna("")
    frame["repeated"] = frame["repeated"].astype("int8")
    frame.to_stata(file, version=118, write_index=False, convert_strl=["text"])
seconds, cpu = time.perf_counter() - start, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "cpuSeconds": cpu, "bytes": os.path.getsize(file), "peak": peak / 1024, "loaded": loaded / 1024}))
