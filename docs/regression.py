"""A panel regression on an exported panel: y on x with two sets of fixed effects, errors clustered by firm.

    quarterdeck export --what panel --zeros --output panel.parquet
    python docs/regression.py panel.parquet share_of_answers share_of_prepared

The effects are of the firm and of the theme in its quarter (theme_id), which takes up the quarter as well; others by
--effects. Needs pandas and pyarrow.
"""

import argparse

import numpy as np
import pandas as pd


def without_means(values, groups, rounds=1000, tolerance=1e-12):
    """What is left of the columns when the means of each group are taken out, by turns until nothing moves (Frisch-Waugh)."""
    values = values - values.mean()
    for _ in range(rounds):
        before = values
        for group in groups:
            values = values - values.groupby(group).transform("mean")
        if np.abs(values - before).to_numpy().max() < tolerance:
            return values
    raise SystemExit("the fixed effects did not settle")


def regress(panel, y, x, effects=("firm_id", "theme_id"), cluster="firm_id"):
    rows = panel.dropna(subset=[y, x]).reset_index(drop=True)
    if len(rows) == 0 or rows[y].nunique() < 2 or rows[x].nunique() < 2:
        raise SystemExit(f"{y} and {x}: nothing to compare in {len(rows)} rows; see the codebook for when they are missing")
    groups = [pd.factorize(rows[effect])[0] for effect in effects]
    left = without_means(rows[[y, x]], groups)
    x_left, y_left = left[x], left[y]
    clusters = rows[cluster].nunique()
    # What the effects explain of x to the last digit leaves nothing to compare: a theme that only one firm has, say.
    if clusters < 2 or (x_left**2).sum() < 1e-12 * (rows[x] ** 2).sum():
        raise SystemExit(f"{x}: the effects of {', '.join(effects)} leave nothing to compare in {len(rows)} rows")
    coefficient = (x_left * y_left).sum() / (x_left**2).sum()
    # The sandwich: what is left of y, times x, summed within each cluster, whose rows may move together as they like.
    scores = (x_left * (y_left - coefficient * x_left)).groupby(rows[cluster]).sum()
    # Effects cost degrees of freedom, but for those of the clusters themselves, as Stata's reghdfe counts.
    lost = 1 + sum(rows[effect].nunique() for effect in effects if effect != cluster)
    correction = clusters / (clusters - 1) * (len(rows) - 1) / (len(rows) - lost)
    return rows, coefficient, np.sqrt(correction * (scores**2).sum()) / (x_left**2).sum()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panel")
    parser.add_argument("y")
    parser.add_argument("x")
    parser.add_argument("--effects", default="firm_id,theme_id")
    asked = parser.parse_args()
    panel = pd.read_parquet(asked.panel)
    effects = asked.effects.split(",")
    rows, coefficient, error = regress(panel, asked.y, asked.x, effects)
    labels = panel.attrs["columns"]
    print(f"{asked.y}: {labels[asked.y]['label']}")
    print(f"{asked.x}: {labels[asked.x]['label']}")
    counts = ", ".join(f"{rows[name].nunique()} in {name}" for name in ("firm_id", "quarter", "theme_id"))
    print(f"{len(rows)} rows: {counts}; effects of {', '.join(effects)}")
    print(f"coefficient {coefficient:.3f}, error clustered by firm {error:.3f}")
