//! Whether colours are wanted: one rule for everything that envrun shows.

/// Whether colours are wanted where `shows` says that they would be seen. `NO_COLOR` (not empty) takes
/// them away everywhere, else `CLICOLOR_FORCE` (neither empty nor `0`) puts them everywhere; without
/// both they are where they are seen, but for a terminal that is `dumb`.
#[must_use]
pub fn wanted(shows: bool) -> bool {
    decide(shows, |name| std::env::var(name).ok())
}

fn decide(shows: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    forced || (shows && set("TERM").is_none_or(|term| term != "dumb"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn who_wants_none_gets_none_and_who_forces_them_gets_them_anywhere() {
        let decide = |shows: bool, variables: &[(&str, &str)]| {
            super::decide(shows, |name| {
                let mut found = variables.iter().filter(|(one, _)| *one == name);
                found.next().map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(decide(true, &[]));
        assert!(!decide(false, &[]));
        assert!(!decide(true, &[("NO_COLOR", "1")]));
        assert!(!decide(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(decide(true, &[("NO_COLOR", "")]));
        assert!(decide(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(true, &[("TERM", "dumb")]));
    }
}
