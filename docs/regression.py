"""A panel regression on an exported panel: y on x with two sets of fixed effects, errors clustered by firm.

    quarterdeck export --what panel --zeros --output panel.parquet
    python docs/regression.py panel.parquet share_of_answers share_of_prepared

The effects are of the firm and of the theme in its quarter (theme_id), which takes up the quarter as well; others by
--effects. Needs pandas, pyarrow, statsmodels.
"""

import argparse

import numpy as np
import pandas as pd
import statsmodels.api as sm


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
    fit = sm.OLS(left[y], left[[x]]).fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(rows[cluster])[0]})
    # Effects cost degrees of freedom, but for those of the clusters themselves, as Stata's reghdfe counts.
    lost = sum(rows[effect].nunique() for effect in effects if effect != cluster)
    error = fit.bse.iloc[0] * np.sqrt((len(rows) - 1) / (len(rows) - 1 - lost))
    return rows, fit.params.iloc[0], error


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
