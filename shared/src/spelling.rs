//! "Did you mean": the known word that is closest to an unknown one.

/// The one of `known` that `word` is most likely a slip of, if one is close.
pub fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    near(word, known).min_by_key(|(far, _)| *far).map(|(_, other)| other)
}

/// Those of `known` that `word` may be a slip of, the most likely first, at most `most`.
pub fn closest_few<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, most: usize) -> Vec<&'k str> {
    let mut near: Vec<_> = near(word, known).collect();
    near.sort();
    near.into_iter().take(most).map(|(_, other)| other).collect()
}

fn near<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> impl Iterator<Item = (usize, &'k str)> {
    let length = word.chars().count();
    // Of three letters or fewer every other word is a slip or two away.
    let limit = if length < 4 { 0 } else { (length / 3).max(1) };
    known.into_iter().map(move |other| (distance(word, other), other)).filter(move |(far, _)| *far <= limit)
}

/// How many letters must be added, left out, changed or swapped with their neighbour to make `a` of `b`
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=b.len()).collect()];
    for i in 1..=a.len() {
        rows.rotate_left(1);
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[1][j] + 1).min(row[j - 1] + 1);
            if 1 < i && 1 < j && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[0][j - 2] + 1);
            }
            row.push(least);
        }
        rows[2] = row;
    }
    rows[2][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_find_their_word_and_other_words_do_not() {
        let known = ["interval", "timeout", "regions", "quorum", "retries"];
        for (slip, meant) in
            [("intervall", "interval"), ("tiemout", "timeout"), ("Regions", "regions"), ("quorom", "quorum")]
        {
            assert_eq!(closest(slip, known), Some(meant));
        }
        assert_eq!(closest("colour", known), None);
        assert_eq!(
            closest_few("shop-hme", ["shop-dns", "blog", "shop-home", "shop-here"], 2),
            ["shop-home", "shop-here"]
        );
        assert_eq!(distance("ab", "ba"), 1);
    }
}
