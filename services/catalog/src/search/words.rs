//! Text into the words that are searched for.

/// Longest word kept, in characters; longer ones are cut.
const WORD_MAX_CHARS: usize = 64;

/// The words of a text in lower case: runs of letters and digits whole, and where these are written
/// together (`schedArrTime`, `route66`) their parts too; Chinese, Japanese and Korean in pairs.
pub(crate) fn words(text: &str, mut word: impl FnMut(&str)) {
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        if run.is_empty() {
            continue;
        }
        if run.chars().any(is_cjk) {
            pairs(run, &mut word);
            continue;
        }
        emit(run, &mut word);
        let parts = parts(run);
        if parts.len() > 1 {
            for part in parts {
                emit(part, &mut word);
            }
        }
    }
}

fn emit(text: &str, word: &mut impl FnMut(&str)) {
    let lower: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .take(WORD_MAX_CHARS)
        .collect();
    word(&lower);
}

/// Splits where lower case meets upper case and where letters meet digits.
fn parts(run: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, c) in run.char_indices() {
        let splits = before.is_some_and(|before| {
            (before.is_lowercase() && c.is_uppercase()) || before.is_numeric() != c.is_numeric()
        });
        if splits {
            parts.extend(run.get(start..at));
            start = at;
        }
        before = Some(c);
    }
    parts.extend(run.get(start..));
    parts
}

fn pairs(run: &str, word: &mut impl FnMut(&str)) {
    let chars: Vec<char> = run.chars().flat_map(char::to_lowercase).collect();
    if let [only] = chars.as_slice() {
        word(&only.to_string());
    }
    for pair in chars.windows(2) {
        word(&pair.iter().collect::<String>());
    }
}

fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prose_split_into_words() {
        for (text, expected) in [
            ("operations.departures", vec!["operations", "departures"]),
            ("schedArrTime", vec!["schedarrtime", "sched", "arr", "time"]),
            ("dep_delay-min", vec!["dep", "delay", "min"]),
            ("route66", vec!["route66", "route", "66"]),
            ("JFK's flights!", vec!["jfk", "s", "flights"]),
            ("航空便", vec!["航空", "空便"]),
            ("Größe", vec!["größe"]),
            ("", vec![]),
        ] {
            let mut found = Vec::new();
            words(text, |word| found.push(word.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
