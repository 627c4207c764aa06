//! Patterns of `.dockerignore`, by the rules of moby.
//!
//! A pattern is rooted at the context (`foo` does not match `a/foo`), `*` and `?` stop at a slash,
//! `**` does not, a match of a directory covers what is below it, the last match wins, and `!`
//! brings back. Sources: Docker documentation, "Build context"; Go, `path.Match`;
//! `moby/patternmatcher`.

use std::path::{Component, Path, PathBuf};

/// A list of patterns, in order.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::docker) struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    tokens: Vec<Token>,
    /// The part before the first character that has a meaning, in whole components.
    prefix: String,
    /// `!`: it brings back what an earlier pattern has matched.
    brings_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`: one character that is no slash.
    Any,
    /// `*`: any number of them.
    Star,
    /// `**` before something: nothing, or anything that ends with a slash.
    Directories,
    /// `**` at the end: anything.
    Everything,
    /// `[a-z]`: the ranges, and whether it means all other characters.
    Class(Vec<(char, char)>, bool),
}

/// Which patterns match a directory; what is in it is judged with that knowledge.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::docker) struct Matched(Vec<bool>);

impl Patterns {
    /// The patterns of a `.dockerignore`.
    ///
    /// # Errors
    /// A pattern is malformed; the message names it.
    pub(in crate::engine::docker) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines();
        let lines = lines.filter(|line| !line.starts_with('#'));
        let lines = lines.map(str::trim).filter(|line| !line.is_empty());
        Self::new(lines)
    }

    /// A list of patterns.
    ///
    /// # Errors
    /// A pattern is malformed; the message names it.
    pub(in crate::engine::docker) fn new<'text>(
        patterns: impl IntoIterator<Item = &'text str>,
    ) -> Result<Self, String> {
        let patterns: Result<Vec<Pattern>, String> = patterns
            .into_iter()
            .map(|text| match text.strip_prefix('!') {
                Some(rest) => format!("!{}", cleaned(rest.trim())),
                None => cleaned(text),
            })
            .filter(|pattern| !pattern.is_empty())
            .map(|text| pattern(&text))
            .collect();
        Ok(Self {
            patterns: patterns?,
        })
    }

    /// Whether what the patterns are known to match leaves a path covered.
    pub(in crate::engine::docker) fn covers_all(&self, matched: &Matched) -> bool {
        let known = self.patterns.iter().zip(&matched.0);
        known.fold(false, |covered, (pattern, matched)| {
            if *matched {
                !pattern.brings_back
            } else {
                covered
            }
        })
    }

    /// Whether the patterns cover a path, and which of them match it. `parent` is the same of the
    /// directory that it is in.
    pub(in crate::engine::docker) fn judge(&self, path: &str, parent: &Matched) -> (bool, Matched) {
        let mut covered = false;
        let mut matched = Vec::with_capacity(self.patterns.len());
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.0.get(index).copied().unwrap_or(false);
            // A pattern that cannot change the answer is not asked. It then counts as not matching
            // for what is below, as it does in moby.
            let matches =
                inherited || (pattern.brings_back == covered && matches(&pattern.tokens, path));
            if matches {
                covered = !pattern.brings_back;
            }
            matched.push(matches);
        }
        (covered, Matched(matched))
    }

    /// Whether something below a directory could be covered although the directory is not. `false`
    /// is certain.
    pub(in crate::engine::docker) fn may_cover_below(&self, directory: &str) -> bool {
        self.may_reach(directory, false)
    }

    /// Whether something below a covered directory could be brought back. `false` is certain.
    pub(in crate::engine::docker) fn may_bring_back_below(&self, directory: &str) -> bool {
        self.may_reach(directory, true)
    }

    fn may_reach(&self, directory: &str, brings_back: bool) -> bool {
        let patterns = self.patterns.iter();
        patterns
            .filter(|pattern| pattern.brings_back == brings_back)
            .any(|pattern| {
                let within = |outer: &str, inner: &str| {
                    outer.is_empty()
                        || inner
                            .strip_prefix(outer)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                within(&pattern.prefix, directory) || within(directory, &pattern.prefix)
            })
    }
}

/// A pattern as a path, with `.` and `..` resolved by name and without the slash that says that it
/// is rooted, which it is anyway.
fn cleaned(pattern: &str) -> String {
    let mut result = PathBuf::new();
    for part in Path::new(pattern.trim_start_matches('/')).components() {
        match part {
            Component::ParentDir if result.file_name().is_some() => {
                result.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            part => result.push(part),
        }
    }
    let result = result.to_string_lossy().into_owned();
    if result.is_empty() && !pattern.is_empty() {
        ".".to_owned()
    } else {
        result
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let (body, brings_back) = match text.strip_prefix('!') {
        Some(body) => (body, true),
        None => (text, false),
    };
    if body.is_empty() {
        return Err(format!("the pattern `{text}` is not complete"));
    }
    let special = body.find(['*', '?', '[', '\\']).unwrap_or(body.len());
    let prefix = if special == body.len() {
        body
    } else {
        body[..special]
            .rsplit_once('/')
            .map_or("", |(whole, _)| whole)
    };
    Ok(Pattern {
        tokens: tokens(body).ok_or_else(|| format!("the pattern `{text}` is malformed"))?,
        prefix: prefix.to_owned(),
        brings_back,
    })
}

fn tokens(body: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = body.chars().peekable();
    while let Some(character) = rest.next() {
        tokens.push(match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_none() {
                    Token::Everything
                } else {
                    Token::Directories
                }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Character(rest.next()?),
            '[' => {
                let negated = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                let limit =
                    |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next()? {
                        '\\' => rest.next(),
                        ']' | '-' => None,
                        character => Some(character),
                    };
                while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
                    let low = limit(&mut rest)?;
                    let high = match rest.next_if_eq(&'-') {
                        Some(_) => limit(&mut rest)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                Token::Class(ranges, negated)
            }
            character => Token::Character(character),
        });
    }
    Some(tokens)
}

/// Whether the tokens match the whole path. The set of places that the tokens so far can reach is
/// carried along, so the time is at most their product, whatever the pattern.
fn matches(tokens: &[Token], path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; path.len() + 1];
        let mut open = false;
        for at in 0..=path.len() {
            let before = at.checked_sub(1).map(|index| path[index]);
            let stepped = at > 0 && reached[at - 1];
            next[at] = match token {
                Token::Character(character) => stepped && before == Some(*character),
                Token::Any => stepped && before != Some('/'),
                Token::Class(ranges, negated) => {
                    stepped
                        && before.is_some_and(|character| {
                            let mut ranges = ranges.iter();
                            let within =
                                ranges.any(|(low, high)| (*low..=*high).contains(&character));
                            within != *negated && character != '/'
                        })
                }
                Token::Star => {
                    open = reached[at] || (open && before != Some('/'));
                    open
                }
                Token::Directories => {
                    let ends_here = open && before == Some('/');
                    open |= reached[at];
                    reached[at] || ends_here
                }
                Token::Everything => {
                    open |= reached[at];
                    open
                }
            };
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Judges a path the way a walk does, from the top down.
    fn covered(patterns: &Patterns, path: &str) -> bool {
        let mut parent = Matched::default();
        let mut result = false;
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            (result, parent) = patterns.judge(&path[..end], &parent);
        }
        result
    }

    fn covers(pattern: &str, path: &str) -> bool {
        covered(&Patterns::parse(pattern).expect("well formed"), path)
    }

    /// Facts that moby's own tests state of single patterns.
    #[test]
    fn single_patterns_match_as_in_moby() {
        for (pattern, path, expected) in [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/dir/file", true),
            ("**/file", "dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt.", false),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("a\\\\", "a\\", true),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
            ("a(b)c/def", "a(b)c/def", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("dist/*.whl", "dist/proxy.py-2.4.0.whl", true),
            // What is below a directory that matches.
            ("docs", "docs/README.md", true),
            ("foo", "a/foo", false),
            ("/foo", "foo", true),
            ("./foo/../bar", "bar", true),
            ("../foo", "foo", false),
            ("[a-]", "-", false),
        ] {
            let judged = Patterns::parse(pattern).map(|patterns| covered(&patterns, path));
            assert_eq!(judged.unwrap_or(false), expected, "{pattern} on {path}");
        }
        for wrong in ["[", "a[", "a[]", "a\\", "!", "[-x]"] {
            assert!(Patterns::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_match_wins() {
        assert!(!covers("docs\n!docs/README.md", "docs/README.md"));
        assert!(covers("docs\n!docs/README.md", "docs/other.md"));
        assert!(covers("!docs/README.md\ndocs", "docs/README.md"));
        assert!(!covers(
            "**\n!util/docker/web\n!util/docker/web/**",
            "util/docker/web/foo"
        ));
        assert!(covers("**\n!util/docker/web", "util/docker/foo"));
        assert!(covers("*.go\n!x.go\nx.go", "x.go"));
        assert!(!covers("# docs\n\n", "docs"));
        assert!(!covers(" # docs", "docs"));
        assert!(covers("  docs  \n", "docs"));
    }

    #[test]
    fn directories_are_passed_over_only_where_nothing_in_them_counts() {
        let patterns = Patterns::parse("*\n!a/b/*.c\n!d?").expect("well formed");
        assert!(patterns.may_bring_back_below("a"));
        assert!(patterns.may_bring_back_below("a/b/c"));
        // The last pattern has no whole component that is certain.
        assert!(patterns.may_bring_back_below("x"));
        let patterns = Patterns::parse("*\n!a/b/*.c").expect("well formed");
        assert!(!patterns.may_bring_back_below("x"));
        assert!(!patterns.may_bring_back_below("a/c"));
        assert!(!patterns.may_bring_back_below("ab"));
    }

    proptest! {
        #[test]
        fn any_pattern_is_judged_without_panic(text in "[a-c/*?!\\[\\]^\\\\-]{0,14}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,3}") {
            if let Ok(patterns) = Patterns::parse(&text) {
                covered(&patterns, &path);
            }
        }

        #[test]
        fn what_is_passed_over_holds_nothing_that_counts(text in "(!?(a|b|\\*|\\?|\\*\\*)(/(a|b|\\*|a\\*)){0,2}\n){1,4}", path in "[ab](/[ab]){1,3}") {
            let patterns = Patterns::parse(&text).expect("well formed");
            for (at, _) in path.match_indices('/') {
                let directory = &path[..at];
                let is_covered = covered(&patterns, directory);
                if is_covered && !patterns.may_bring_back_below(directory) {
                    prop_assert!(covered(&patterns, &path));
                }
                if !is_covered && !patterns.may_cover_below(directory) {
                    prop_assert!(!covered(&patterns, &path));
                }
            }
        }
    }
}
