//! From bollard's errors to ours.

use bollard::errors::Error;

use crate::engine::{EngineError, FailureKind, Removal, Resource};

/// Translates an error of the attempt `attempt`.
pub(super) fn translate(attempt: &str, error: Error) -> EngineError {
    let (kind, message) = match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => (kind_of(status_code, &message), message),
        Error::DockerStreamError { error } => (kind_of(500, &error), error),
        Error::JsonDataError { message, .. } => (FailureKind::Internal, message),
        Error::SocketNotFoundError(_) => (FailureKind::Unreachable, "no such socket".to_owned()),
        Error::RequestTimeoutError => (FailureKind::Unreachable, "no answer in time".to_owned()),
        error @ (Error::HyperResponseError { .. }
        | Error::HyperLegacyError { .. }
        | Error::IOError { .. }) => (FailureKind::Unreachable, root_cause(&error)),
        error => (FailureKind::Internal, chain(&error)),
    };
    EngineError {
        attempt: attempt.to_owned(),
        kind,
        message: message.trim().to_owned(),
    }
}

/// The result of a removal: what is not there any more needs no removing.
pub(super) fn removal<T>(
    resource: &Resource,
    answer: Result<T, Error>,
) -> Result<Removal, EngineError> {
    match answer {
        Ok(_) => Ok(Removal::Removed),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(Removal::AlreadyGone),
        Err(error) => Err(translate(&format!("remove {resource}"), error)),
    }
}

/// What an answer means. The engine has few machine-readable codes, so some are known by their
/// words: Docker answers 403 `Pool overlaps with other one on this address space`, Podman 500
/// `subnet … is already used`.
fn kind_of(status: u16, message: &str) -> FailureKind {
    let message = message.to_lowercase();
    let says = |words: &str| message.contains(words);
    if says("pool overlaps")
        || (says("subnet") && says("already used"))
        || says("address space overlaps")
    {
        return FailureKind::SubnetTaken;
    }
    if says("same bridge name") || says("already using parent interface") {
        return FailureKind::HostTaken;
    }
    if says("removal of container") && says("in progress")
        || says("active endpoints")
        || says("is in use")
    {
        return FailureKind::Busy;
    }
    match status {
        404 => FailureKind::NotFound,
        409 => FailureKind::Busy,
        400..=499 => FailureKind::Refused,
        _ => FailureKind::Internal,
    }
}

/// The innermost reason of a broken connection: what is around it only says that there was a
/// connection.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// An error with its sources, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_known_in_both_dialects() {
        assert_eq!(
            kind_of(403, "Pool overlaps with other one on this address space"),
            FailureKind::SubnetTaken
        );
        assert_eq!(
            kind_of(500, "subnet 10.1.0.0/28 is already used on the host"),
            FailureKind::SubnetTaken
        );
        assert_eq!(
            kind_of(
                403,
                "error while removing network: network x has active endpoints"
            ),
            FailureKind::Busy
        );
        assert_eq!(
            kind_of(409, "removal of container a is already in progress"),
            FailureKind::Busy
        );
        let bridge = "cannot create network 1 (br0): conflicts with network 2 (br0): networks have same bridge name";
        assert_eq!(kind_of(403, bridge), FailureKind::HostTaken);
        let parent = "network dm-1 is already using parent interface eth0";
        assert_eq!(kind_of(500, parent), FailureKind::HostTaken);
        assert_eq!(kind_of(400, "invalid reference"), FailureKind::Refused);
    }
}
