//! Names near a name that was not found.

/// Up to `limit` of `names` that are near to `wanted`, the nearest first: those that begin with it, then those within an edit
/// distance of two fifths of the longer name. Case does not count.
pub(super) fn near_misses<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, limit: usize) -> Vec<&'a str> {
    // A name is short; what is longer than this is no near miss of anything and not worth a quadratic comparison.
    let wanted: Vec<char> = wanted.chars().flat_map(char::to_lowercase).take(120).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let other: Vec<char> = name.chars().flat_map(char::to_lowercase).take(120).collect();
            let distance = edit_distance(&wanted, &other);
            let longer = wanted.len().max(other.len());
            let begins =
                other.len() >= 3 && wanted.len() >= 3 && (other.starts_with(&wanted) || wanted.starts_with(&other));
            (begins || distance * 5 <= longer * 2).then_some((distance, name))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(limit).map(|(_, name)| name).collect()
}

/// Levenshtein's distance: the fewest insertions, deletions and replacements that make `a` into `b`.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let best = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            left = best;
            *cell = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance(a: &str, b: &str) -> usize {
        edit_distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn distances_of_known_pairs() {
        for (a, b, d) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("gpt4o", "gpt-4o", 1), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn finds_what_was_meant_and_nothing_far() {
        let names = ["gpt-4o", "gpt-4o-mini", "o3", "claude-opus-5"];
        assert_eq!(near_misses("GPT4o", names, 1), ["gpt-4o"]);
        assert_eq!(near_misses("claude-opus", names, 3), ["claude-opus-5"]);
        assert!(near_misses("zzzzzzzz", names, 3).is_empty() && near_misses("", names, 3).is_empty());
    }

    proptest! {
        #[test]
        fn the_distance_is_a_metric(a in "[abc]{0,6}", b in "[abc]{0,6}", c in "[abc]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }
}
