//! The query of `POST /build`. Source: Docker Engine API, `ImageBuild`.

use serde_json::json;

use super::Job;
use crate::engine::{BuildContext, DockerfileSource};

/// The request's target: over a session with this id, or with a tar as its body.
pub(super) fn of(job: &Job<'_>, session: Option<&str>, dockerfile: &str) -> String {
    let (spec, options) = (job.spec, &job.spec.options);
    let mut query = url::form_urlencoded::Serializer::new("/build?".to_owned());
    let mut add = |key: &str, value: &str| {
        query.append_pair(key, value);
    };
    add("version", "2");
    add("t", &spec.name);
    add("buildargs", &json!(job.args).to_string());
    add("labels", &json!(spec.labels).to_string());
    add("rm", "1");
    add("forcerm", "1");
    match (&spec.context, &spec.dockerfile, session) {
        (BuildContext::Remote(url), DockerfileSource::File(path), _) => {
            add("remote", url);
            add("dockerfile", &path.to_string_lossy());
        }
        (BuildContext::Remote(url), DockerfileSource::Text(_), _) => add("remote", url),
        (BuildContext::Directory(_), _, Some(_)) => {
            add("remote", "client-session");
            add("dockerfile", dockerfile);
        }
        (BuildContext::Directory(_), _, None) => add("dockerfile", dockerfile),
    }
    if let Some(id) = session {
        add("session", id);
    }
    if let Some(target) = &spec.target {
        add("target", target);
    }
    if let Some(network) = &options.network {
        add("networkmode", network);
    }
    if let Some(size) = options.shm_size {
        add("shmsize", &size.to_string());
    }
    if let Some(platform) = &options.platform {
        add("platform", platform);
    }
    if !options.cache_from.is_empty() {
        add("cachefrom", &json!(options.cache_from).to_string());
    }
    if !options.ulimits.is_empty() {
        let limits: Vec<_> = options
            .ulimits
            .iter()
            .map(|limit| json!({"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}))
            .collect();
        add("ulimits", &json!(limits).to_string());
    }
    for host in &options.extra_hosts {
        add("extrahosts", host);
    }
    if job.pull {
        add("pull", "1");
    }
    if options.no_cache {
        add("nocache", "1");
    }
    query.finish()
}
