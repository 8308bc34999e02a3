# Makes the panel again from the exported sentences and topics alone, and compares it with the exported panel, with zeros and
# without. Independent of the SQL behind it: pandas' own sums, to the last digit (unasked, it lets a hundred-millionth pass).
# Prints how many rows agree.
import sys

import pandas as pd

folder = sys.argv[1]
panel, zeros, sentences, topics, themes = (
    pd.read_parquet(f"{folder}/{name}.parquet") for name in ("panel", "zeros", "sentences", "topics", "themes")
)
key = ["quarter", "firm_id", "theme_id"]
firm = ["quarter", "firm_id"]
for name, table, unique in (
    ("panel", panel, key),
    ("zeros", zeros, key),
    ("sentences", sentences, ["sentence_id"]),
    ("topics", topics, ["topic_id"]),
    ("themes", themes, ["theme_id"]),
):
    assert not table.duplicated(unique).any(), name

counted = sentences[sentences.talk.isna()]
below = pd.DataFrame(
    {
        "call_sentences": counted.groupby(firm).size(),
        "prepared_sentences": counted[counted.section == "prepared"].groupby(firm).size(),
        "answer_sentences": counted[counted.section == "answer"].groupby(firm).size(),
    }
)
said = sentences[sentences.theme_id.notna()]
counts = said[said.talk.isna()]
compared = said[said.nearest_similarity.notna()]
again = pd.DataFrame(
    {
        "sentences": said.groupby(key).size(),
        "above": counts.groupby(key).size(),
        "prepared": counts[counts.section == "prepared"].groupby(key).size(),
        "answers": counts[counts.section == "answer"].groupby(key).size(),
        "mean_membership": said.groupby(key).topic_membership.mean(),
        "topics": topics.groupby(key).size(),
        "compared": compared.groupby(key).size(),
        "novelty": (1 - compared.nearest_similarity).groupby([compared[name] for name in key]).mean(),
        "repeated_share": compared.repeated.astype(float).groupby([compared[name] for name in key]).mean(),
        "new_topics_share": topics[topics.is_new.notna()].assign(is_new=lambda t: t.is_new.astype(float)).groupby(key).is_new.mean(),
    }
)


def compare(table, index):
    wanted = again.reindex(index).join(below, on=firm)
    zero = ["sentences", "above", "prepared", "answers", "topics", "compared"]
    wanted[zero] = wanted[zero].fillna(0)
    under = ["call_sentences", "prepared_sentences", "answer_sentences"]
    wanted[under] = wanted[under].fillna(0)
    for share, above, name in zip(("share_of_call", "share_of_prepared", "share_of_answers"), zero[1:4], under):
        wanted[share] = wanted[above] / wanted[name].where(wanted[name] > 0)
    found = table.set_index(key).sort_index()
    pd.testing.assert_frame_equal(
        found[[name for name in wanted.columns if name in found.columns]].astype(float),
        wanted.drop(columns=zero[1:4])[[name for name in wanted.columns if name in found.columns]].astype(float).sort_index(),
        rtol=1e-12, atol=1e-14,
    )
    return len(found)


agreed = compare(panel, pd.MultiIndex.from_frame(panel[key]))
firms, by_quarter = sentences[firm].drop_duplicates(), themes[["quarter", "theme_id"]]
every = firms.merge(by_quarter, on="quarter")[key]
assert set(map(tuple, zeros[key].values)) == set(map(tuple, every.values))
agreed += compare(zeros, pd.MultiIndex.from_frame(zeros[key]))
# Of a firm, the shares of its themes and of what is in none make one.
none = counted[counted.theme_id.isna()].groupby(firm).size() / counted.groupby(firm).size()
whole = zeros.groupby(firm).share_of_call.sum(min_count=1).add(none, fill_value=0).dropna()
assert ((whole - 1).abs() < 1e-12).all() and len(whole) > 0, whole
# Themes and topics by the same sums.
by_theme = said.groupby("theme_id").size()
assert (themes.set_index("theme_id").sentences == by_theme).all()
pd.testing.assert_series_equal(
    themes.set_index("theme_id").novelty.dropna(),
    (1 - compared.nearest_similarity).groupby(compared.theme_id).mean(),
    check_names=False,
    rtol=1e-12, atol=1e-14,
)
pd.testing.assert_series_equal(
    themes.set_index("theme_id").share_of_sentences * themes.set_index("theme_id").quarter_sentences,
    counts.groupby("theme_id").size().astype(float),
    check_names=False,
    rtol=1e-12, atol=1e-14,
)
in_topics = counted[counted.topic_id.notna()].groupby("topic_id").size()
left = topics.set_index("topic_id").share_of_call
right = in_topics / topics.set_index(firm).join(below)[["topic_id", "call_sentences"]].set_index("topic_id").call_sentences
pd.testing.assert_series_equal(left.sort_index(), right.reindex(left.index).fillna(0).sort_index(), check_names=False, rtol=1e-12, atol=1e-14)
print(agreed)
