# Reads exported files, each with every program that reads its format, and prints the cells that each sees, as JSON.
import datetime
import json
import sys

import duckdb
import pandas as pd
import pyarrow.parquet as pq

def plain(value):
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, (datetime.datetime, pd.Timestamp)):
        return value.date().isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def cells(rows):
    return [[plain(value) for value in row] for row in rows]


def of_frame(frame):
    return cells(zip(*[frame[name].astype(object) for name in frame.columns])) if len(frame) else []


def read_back(file):
    seen, labels, title = {}, {}, ""
    if file.endswith(".parquet"):
        table = pq.read_table(file)
        about = json.loads(table.schema.metadata[b"quarterdeck"])
        labels = {name: column["label"] for name, column in about["columns"].items()}
        title = about["title"]
        frame = pd.read_parquet(file)
        assert frame.attrs == about
        columns = table.column_names
        seen["pyarrow"] = cells(zip(*[column.to_pylist() for column in table.columns]))
        seen["pandas"] = of_frame(frame)
        seen["duckdb"] = cells(duckdb.sql(f"select * from read_parquet('{file}')").fetchall())
    elif file.endswith(".dta"):
        with pd.read_stata(file, iterator=True, convert_missing=False) as reader:
            labels, title = reader.variable_labels(), reader.data_label
            frame = reader.read()
        columns = list(frame.columns)
        seen["pandas"] = of_frame(frame)
    elif file.endswith(".csv"):
        texts = {name: str for name in pd.read_csv(file, nrows=0).columns}
        frame = pd.read_csv(file, dtype=texts, keep_default_na=False)
        columns = list(frame.columns)
        seen["pandas"] = of_frame(frame)
        seen["duckdb"] = cells(
            duckdb.sql(f"select * from read_csv('{file}', all_varchar=true, header=true, parallel=false)").fetchall()
        )
    else:
        with open(file, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        columns = list(rows[0]) if rows else []
        seen["json"] = [list(row.values()) for row in rows]
        if rows:
            frame = duckdb.sql(f"select * from read_json('{file}', format='newline_delimited', sample_size=-1)")
            seen["duckdb"] = cells(frame.fetchall())
    return {"columns": columns, "labels": labels, "title": title, "cells": seen}


print(json.dumps([read_back(file) for file in sys.argv[1:]]))
