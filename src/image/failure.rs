//! What the failure of a pull means.
//!
//! Engines wrap what a registry says into a text, mostly under the status 500, so the words decide.
//! The texts of the tests were said by engines.

use std::time::Duration;

/// What went wrong with a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullFailure {
    /// The registry limits how often images are pulled; it may say how long to wait.
    RateLimited(Option<Duration>),
    /// Something that passes: a broken connection, a timeout, an overloaded registry.
    Passing,
    /// There is no such registry, or no way to it.
    Unreachable,
    /// The registry does not have the image.
    NotFound,
    /// The registry does not give the image to this user.
    Denied,
    /// The registry does not have the image for the platform.
    Platform,
    /// The reference is not valid.
    Reference,
    /// Something else, such as a full disk.
    Other,
}

impl PullFailure {
    /// Whether the same pull may succeed a moment later.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Passing)
    }

    /// Whether another registry may have the image. A reference that is not valid is so
    /// everywhere, and what went wrong on the engine's side would go wrong again.
    #[must_use]
    pub const fn is_of_the_registry(self) -> bool {
        !matches!(self, Self::Reference | Self::Other)
    }
}

/// Words that decide, the most telling ones first: the text of a denial may speak of what does not
/// exist, and a text may hold the name of an image with any words in it.
const WORDS: [(&[&str], PullFailure); 6] = [
    (
        &[
            "no matching manifest",
            "does not match the specified platform",
            "no match for platform",
        ],
        PullFailure::Platform,
    ),
    (
        &[
            "unauthorized",
            "no basic auth credentials",
            "access denied",
            "access to the resource is denied",
            "authentication required",
            "403 forbidden",
            "401 unauthorized",
            "insufficient_scope",
            "incorrect username or password",
        ],
        PullFailure::Denied,
    ),
    (
        &[
            "manifest unknown",
            "name unknown",
            "repository name not known",
            "404 not found",
        ],
        PullFailure::NotFound,
    ),
    (
        &[
            "no such host",
            "network is unreachable",
            "no route to host",
            "certificate",
            "server gave http response to https client",
        ],
        PullFailure::Unreachable,
    ),
    (
        &[
            "invalid reference format",
            "invalid tag format",
            "cannot parse platform",
            "must be lowercase",
        ],
        PullFailure::Reference,
    ),
    (
        &[
            "connection refused",
            "connection reset",
            "broken pipe",
            "timeout",
            "timed out",
            "deadline exceeded",
            "unexpected eof",
            "server misbehaving",
            "temporary failure",
            "use of closed network connection",
            "stream error",
            "connection error",
            // Said by envrun itself.
            "stopped sending",
            "taken away while it was pulled",
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway time",
            "unknown: service unavailable",
        ],
        PullFailure::Passing,
    ),
];

/// What a text of an engine means.
#[must_use]
pub fn classify(message: &str) -> PullFailure {
    let message = message.trim().to_lowercase();
    if message.contains("toomanyrequests")
        || message.contains("too many requests")
        || message.contains("rate limit")
    {
        return PullFailure::RateLimited(retry_after(&message));
    }
    for (words, failure) in WORDS {
        if words.iter().any(|word| message.contains(word)) {
            return failure;
        }
    }
    if message.ends_with(": eof") || message == "eof" {
        return PullFailure::Passing;
    }
    // Any other status of the registry that says that it is its own fault.
    let status = ["http status: 5", "status code: 5"];
    if status.iter().any(|word| message.contains(word)) || message.contains("]: 5") {
        return PullFailure::Passing;
    }
    if message == "denied" || message.starts_with("denied:") {
        return PullFailure::Denied;
    }
    if message.ends_with("not found") || message.contains("does not exist") {
        return PullFailure::NotFound;
    }
    PullFailure::Other
}

/// The time after `retry-after:`, which some registries put into their text: `retry-after: 1.5s`,
/// `retry-after: 200ms`, `retry-after: 30`.
fn retry_after(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("retry-after:")?;
    let rest = rest.trim_start();
    let end = rest
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .unwrap_or(rest.len());
    let number: f64 = rest[..end].parse().ok()?;
    let unit: String = rest[end..]
        .chars()
        .take_while(|letter| letter.is_alphabetic())
        .collect();
    let seconds = match unit.as_str() {
        "ns" => number / 1e9,
        "us" | "µs" | "μs" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// What failed to build because an image that the Dockerfile starts from could not be had.
///
/// BuildKit says so before anything is built; what a `RUN` says comes under other words.
#[must_use]
pub fn of_base_image(message: &str) -> Option<PullFailure> {
    let first = message.lines().next().unwrap_or_default();
    let lower = first.to_lowercase();
    let before_building = [
        "failed to create llb definition",
        "failed to resolve source metadata",
        "failed to load cache key",
        "failed to do request",
        "pull access denied",
        "failed to fetch",
        "manifest for",
    ];
    if lower.contains("executor failed") || lower.contains("did not complete successfully") {
        return None;
    }
    before_building
        .iter()
        .any(|words| lower.contains(words))
        .then(|| classify(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_say_is_told_apart() {
        use PullFailure::{
            Denied, NotFound, Other, Passing, Platform, RateLimited, Reference, Unreachable,
        };
        let cases = [
            // Docker 20.10 with a registry that answers as the words say.
            (
                "manifest for 127.0.0.1:5901/a/small:nope not found: manifest unknown: manifest unknown",
                NotFound,
            ),
            (
                "manifest for 127.0.0.1:5901/timeout/a:503 not found: manifest unknown: manifest unknown",
                NotFound,
            ),
            (
                "Get \"http://127.0.0.1:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
                Passing,
            ),
            (
                "Head \"http://127.0.0.1:5902/v2/a/small/manifests/1\": no basic auth credentials",
                Denied,
            ),
            ("unauthorized: authentication required", Denied),
            ("denied", Denied),
            ("denied: requested access to the resource is denied", Denied),
            (
                "invalid reference format: repository name must be lowercase",
                Reference,
            ),
            ("invalid tag format", Reference),
            (
                "\"nonsense/x/y/z\": cannot parse platform specifier: invalid argument",
                Reference,
            ),
            (
                "Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid on 10.0.0.53:53: no such host",
                Unreachable,
            ),
            (
                "received unexpected HTTP status: 500 Internal Server Error",
                Passing,
            ),
            (
                "received unexpected HTTP status: 503 Service Unavailable",
                Passing,
            ),
            (
                "received unexpected HTTP status: 504 Gateway Timeout",
                Passing,
            ),
            ("received unexpected HTTP status: 520 <nil>", Passing),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit",
                RateLimited(None),
            ),
            (
                "Head \"http://127.0.0.1:5903/v2/close/x/manifests/1\": EOF",
                Passing,
            ),
            (
                "Head \"http://127.0.0.1:5903/v2/reset/x/manifests/1\": read tcp 127.0.0.1:32878->127.0.0.1:5903: read: connection reset by peer",
                Passing,
            ),
            ("unexpected EOF", Passing),
            // Docker Hub, as engines repeat it.
            (
                "pull access denied for nothing/here, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                Denied,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout",
                Passing,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                Passing,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": context deadline exceeded",
                Passing,
            ),
            (
                "Get \"https://auth.docker.io/token?scope=x\": dial tcp: lookup auth.docker.io on 127.0.0.11:53: server misbehaving",
                Passing,
            ),
            (
                "dial tcp: lookup ghcr.io: Temporary failure in name resolution",
                Passing,
            ),
            // Docker 28 and Podman.
            (
                "failed to resolve reference \"127.0.0.1:5000/a:b\": 127.0.0.1:5000/a:b: not found",
                NotFound,
            ),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                Platform,
            ),
            (
                "initializing source docker://127.0.0.1:5000/a:b: reading manifest b in 127.0.0.1:5000/a: manifest unknown",
                NotFound,
            ),
            (
                "image with reference a:b was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64",
                Platform,
            ),
            ("x509: certificate signed by unknown authority", Unreachable),
            (
                "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
                Other,
            ),
            ("injected failure", Other),
            ("", Other),
        ];
        for (message, expected) in cases {
            assert_eq!(classify(message), expected, "{message}");
        }
    }

    #[test]
    fn the_delay_that_a_registry_asks_for_is_read() {
        let delay = |text: &str| match classify(&format!("toomanyrequests: {text}")) {
            PullFailure::RateLimited(delay) => delay,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            delay("retry-after: 30, allowed: 44000/minute"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            delay("retry-after: 1.5s, allowed: 1"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            delay("retry-after: 309.5µs, allowed: 1"),
            Some(Duration::from_nanos(309_500))
        );
        assert_eq!(delay("retry-after: soon"), None);
        assert_eq!(delay("no"), None);
    }

    #[test]
    fn a_build_without_its_base_is_told_from_one_that_fails() {
        let prefix =
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: ";
        let cases = [
            (
                "failed to do request: Head \"http://127.0.0.1:5999/v2/a/small/manifests/1\": dial tcp 127.0.0.1:5999: connect: connection refused",
                PullFailure::Passing,
            ),
            (
                "127.0.0.1:5901/a/small:nope: not found",
                PullFailure::NotFound,
            ),
            (
                "pulling from host 127.0.0.1:5903 failed with status code [manifests 1]: 503 Service Unavailable",
                PullFailure::Passing,
            ),
            (
                "pulling from host 127.0.0.1:5903 failed with status code [manifests 1]: 429 Too Many Requests",
                PullFailure::RateLimited(None),
            ),
            (
                "pulling from host 127.0.0.1:5903 failed with status code [manifests latest]: 403 Forbidden",
                PullFailure::Denied,
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(
                of_base_image(&format!("{prefix}{message}")),
                Some(expected),
                "{message}"
            );
        }
        for message in [
            "executor failed running [/bin/sh -c curl http://x]: exit code: 7",
            "failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1",
            "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed running [/bin/sh -c false]: runc did not terminate sucessfully",
        ] {
            assert_eq!(of_base_image(message), None, "{message}");
        }
    }
}
