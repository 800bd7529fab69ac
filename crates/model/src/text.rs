//! Words for people that several parts say alike.

/// `1 broker`, `2 brokers`: for words whose plural ends in s.
#[must_use]
pub fn counted(count: impl std::fmt::Display, word: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {word}{ending}")
}

/// An error with its causes on one line, each once.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let counts = [0_u64, 1, 2, 11].map(|count| counted(count, "broker"));
        assert_eq!(counts, ["0 brokers", "1 broker", "2 brokers", "11 brokers"]);
    }

    #[derive(Debug)]
    struct Caused(&'static str, Option<Box<Self>>);

    impl std::fmt::Display for Caused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Caused {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            let Self(_, cause) = self;
            cause.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_follow_their_error() {
        let cause = |text, of| Some(Box::new(Caused(text, of)));
        let error = Caused("no topic", cause("no broker", cause("refused", None)));
        assert_eq!(with_causes(&error), "no topic: no broker: refused");
    }
}
