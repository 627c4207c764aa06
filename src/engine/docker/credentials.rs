//! Credentials for registries, out of the Docker configuration and its helpers.
//!
//! Whoever can `docker pull` can pull here. A configuration or a helper that does not work is a
//! warning, and the pull goes on without credentials: many images need none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde::Deserialize;

use crate::clock;
use crate::image::mirror::is_default_registry;

/// Limit for a credential helper, which may ask a keychain or a cloud.
const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// The key under which Docker's tools keep the credentials of Docker Hub.
const DEFAULT_REGISTRY_KEY: &str = "https://index.docker.io/v1/";

/// What a helper says when all is well and it has nothing.
const NOTHING_KEPT: &str = "credentials not found";

/// What was found for a registry.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) credentials: Option<DockerCredentials>,
    /// Why there may be some that could not be had.
    pub(super) warning: Option<String>,
}

/// The credentials for a registry.
pub(super) async fn of(registry: &str) -> Found {
    let key = if is_default_registry(registry) {
        DEFAULT_REGISTRY_KEY
    } else {
        registry
    };
    let (key, name) = (key.to_owned(), registry.to_owned());
    // A helper is a process that is waited for, so it gets a thread that may block, and whoever
    // waits for it does so for a limited time.
    let looking = tokio::task::spawn_blocking(move || look_up(&key, &name));
    match clock::within(HELPER_LIMIT, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(_panicked)) => without(registry, "reading them has failed"),
        Err(reached) => without(
            registry,
            &format!(
                "the credential helper has not answered within {} s",
                reached.limit.as_secs()
            ),
        ),
    }
}

fn without(registry: &str, reason: &str) -> Found {
    Found {
        credentials: None,
        warning: Some(format!(
            "no credentials for registry `{registry}`: {reason}; pulling without them"
        )),
    }
}

/// The directory of the Docker configuration.
fn directory() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")))
}

fn look_up(key: &str, registry: &str) -> Found {
    let Some(path) = directory().map(|directory| directory.join("config.json")) else {
        return Found::default();
    };
    match std::fs::read(&path) {
        Ok(configuration) => read(&configuration, &path, key, registry),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::default(),
        Err(error) => without(
            registry,
            &format!("`{}` cannot be read ({error})", path.display()),
        ),
    }
}

/// The helpers that a configuration names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Helpers {
    creds_store: Option<String>,
    cred_helpers: Option<std::collections::BTreeMap<String, String>>,
}

impl Helpers {
    fn of(&self, key: &str) -> Option<&str> {
        self.cred_helpers
            .as_ref()
            .and_then(|helpers| helpers.get(key))
            .filter(|name| !name.is_empty())
            .or(self.creds_store.as_ref())
            .map(String::as_str)
    }
}

fn read(configuration: &[u8], path: &Path, key: &str, registry: &str) -> Found {
    let helpers: Helpers = serde_json::from_slice(configuration).unwrap_or_default();
    let helper = helpers
        .of(key)
        .map_or("the credential helper".to_owned(), |name| {
            format!("the credential helper `docker-credential-{name}`")
        });
    let error = match get_credential_from_reader(configuration, key) {
        Ok(credential) => return found(credential, key),
        Err(error) => error,
    };
    let reason = match error {
        CredentialRetrievalError::NoCredentialConfigured => return Found::default(),
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => {
            let says = |text: &str| text.to_lowercase().contains(NOTHING_KEPT);
            if says(&stdout) || says(&stderr) {
                return Found::default();
            }
            let words = [stderr, stdout]
                .iter()
                .find_map(|text| text.lines().map(str::trim).find(|line| !line.is_empty()))
                .map_or(String::new(), |line| {
                    let line: String = line.chars().take(LONGEST_WORDS).collect();
                    format!(": {line}")
                });
            format!("{helper} has failed{words}")
        }
        CredentialRetrievalError::HelperCommunicationError => {
            format!("{helper} cannot be run (is it installed and on the `PATH`?)")
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            format!("the answer of {helper} cannot be understood")
        }
        CredentialRetrievalError::ConfigReadError => {
            format!("`{}` cannot be understood", path.display())
        }
        CredentialRetrievalError::CredentialDecodingError
        | CredentialRetrievalError::CredentialMismatchError
        | CredentialRetrievalError::ConfigNotFound => {
            format!("those in `{}` cannot be understood", path.display())
        }
    };
    without(registry, &reason)
}

/// Characters of a helper's words that are shown.
const LONGEST_WORDS: usize = 200;

fn found(credential: DockerCredential, key: &str) -> Found {
    let mut credentials = DockerCredentials {
        serveraddress: Some(key.to_owned()),
        ..DockerCredentials::default()
    };
    match credential {
        DockerCredential::IdentityToken(token) => credentials.identitytoken = Some(token),
        DockerCredential::UsernamePassword(name, password) => {
            if name.is_empty() && password.is_empty() {
                return Found::default();
            }
            credentials.username = Some(name);
            credentials.password = Some(password);
        }
    }
    Found {
        credentials: Some(credentials),
        warning: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_for(configuration: &str, key: &str) -> Found {
        let path = Path::new("/home/me/.docker/config.json");
        read(configuration.as_bytes(), path, key, key)
    }

    #[test]
    fn credentials_of_the_file_are_found() {
        let file = r#"{"auths": {
            "localhost:5000": {"auth": "bWU6cDphc3M="},
            "https://index.docker.io/v1/": {"auth": "aHViOng="},
            "token.example": {"identitytoken": "t"}
        }}"#;
        let found = read_for(file, "localhost:5000").credentials.expect("found");
        assert_eq!(found.username.as_deref(), Some("me"));
        assert_eq!(found.password.as_deref(), Some("p:ass"));
        let found = read_for(file, DEFAULT_REGISTRY_KEY)
            .credentials
            .expect("found");
        assert_eq!(found.username.as_deref(), Some("hub"));
        let found = read_for(file, "token.example").credentials.expect("found");
        assert_eq!(found.identitytoken.as_deref(), Some("t"));
        let none = read_for(file, "other.example");
        assert!(none.credentials.is_none() && none.warning.is_none());
    }

    #[test]
    fn what_does_not_work_is_a_warning_that_names_it() {
        let warning = |file: &str| read_for(file, "r.example").warning.expect("a warning");
        let missing = warning(r#"{"credHelpers": {"r.example": "no-such-helper"}}"#);
        assert_eq!(
            missing,
            "no credentials for registry `r.example`: the credential helper `docker-credential-no-such-helper` cannot be run (is it installed and on the `PATH`?); pulling without them"
        );
        assert!(warning("{").contains("`/home/me/.docker/config.json` cannot be understood"));
        assert!(warning(r#"{"auths": {"r.example": {"auth": "?"}}}"#).contains("those in"));
    }
}
