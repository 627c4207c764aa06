//! What each CI system says of a job, by the names of its variables. It must never take an id for that of one build unless it
//! changes with every attempt.

use std::path::PathBuf;

use super::{Ci, Provider, Variables};
use crate::name::BuildId;

/// What a system says.
pub(super) fn of(provider: Provider, variables: &Variables<'_>) -> Ci {
    let get = |name: &str| variables.get(name);
    let nothing = Ci {
        provider,
        build: None,
        commit: None,
        branch: None,
        job_url: None,
        workspace: None,
        step_summary: None,
        step_outputs: None,
    };
    let mut ci = match provider {
        Provider::GitHub | Provider::Gitea => Ci {
            build: all(
                provider,
                variables,
                &["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"],
            ),
            commit: get("GITHUB_SHA"),
            // Of a pull request the branch is the one that it comes from.
            branch: variables.first(&["GITHUB_HEAD_REF", "GITHUB_REF_NAME"]),
            job_url: github_url(variables),
            workspace: variables.path("GITHUB_WORKSPACE"),
            step_summary: variables.path("GITHUB_STEP_SUMMARY"),
            step_outputs: variables.path("GITHUB_OUTPUT"),
            ..nothing
        },
        Provider::GitLab => Ci {
            build: all(provider, variables, &["CI_JOB_ID"]),
            commit: get("CI_COMMIT_SHA"),
            branch: variables.first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"]),
            job_url: get("CI_JOB_URL"),
            workspace: variables.path("CI_PROJECT_DIR"),
            ..nothing
        },
        Provider::Jenkins => Ci {
            // It begins with `jenkins-` already.
            build: get("BUILD_TAG").and_then(|tag| BuildId::new(&tag)),
            commit: get("GIT_COMMIT"),
            branch: variables.first(&["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"]),
            job_url: get("BUILD_URL"),
            workspace: variables.path("WORKSPACE"),
            ..nothing
        },
        Provider::Buildkite => Ci {
            build: all(provider, variables, &["BUILDKITE_JOB_ID"]),
            commit: get("BUILDKITE_COMMIT"),
            branch: get("BUILDKITE_BRANCH"),
            job_url: buildkite_url(variables),
            workspace: variables.path("BUILDKITE_BUILD_CHECKOUT_PATH"),
            ..nothing
        },
        Provider::CircleCi => Ci {
            build: circle_build(variables),
            commit: get("CIRCLE_SHA1"),
            branch: variables.first(&["CIRCLE_BRANCH", "CIRCLE_TAG"]),
            job_url: get("CIRCLE_BUILD_URL"),
            workspace: circle_workspace(variables),
            ..nothing
        },
        Provider::Azure => Ci {
            // An attempt at a job has an id of its own only together with its number.
            build: all(
                provider,
                variables,
                &["BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"],
            )
            .or_else(|| all(provider, variables, &["BUILD_BUILDID", "SYSTEM_JOBID"])),
            commit: get("BUILD_SOURCEVERSION"),
            branch: variables.first(&["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"]),
            job_url: azure_url(variables),
            workspace: variables
                .path("BUILD_REPOSITORY_LOCALPATH")
                .or_else(|| variables.path("BUILD_SOURCESDIRECTORY")),
            ..nothing
        },
        Provider::TeamCity => Ci {
            build: all(
                provider,
                variables,
                &[
                    "TEAMCITY_PROJECT_NAME",
                    "TEAMCITY_BUILDCONF_NAME",
                    "BUILD_NUMBER",
                ],
            ),
            commit: get("BUILD_VCS_NUMBER"),
            job_url: get("BUILD_URL"),
            ..nothing
        },
        Provider::Generic => nothing,
    };
    let printable = |text: &String| !text.chars().any(char::is_control);
    ci.commit = ci
        .commit
        .filter(|commit| commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
    ci.branch = ci.branch.filter(printable).map(|branch| {
        let short = branch.strip_prefix("refs/heads/");
        short.map(str::to_owned).unwrap_or(branch)
    });
    ci.job_url = ci.job_url.filter(printable);
    ci
}

/// An id of the values of all of these variables.
fn all(provider: Provider, variables: &Variables<'_>, names: &[&str]) -> Option<BuildId> {
    let mut id = provider.name().to_owned();
    for name in names {
        id.push('-');
        id.push_str(&variables.get(name)?);
    }
    BuildId::new(&id)
}

fn github_url(variables: &Variables<'_>) -> Option<String> {
    let server = variables.get("GITHUB_SERVER_URL")?;
    let repository = variables.get("GITHUB_REPOSITORY")?;
    // Those of Gitea have a number of their own for the address.
    let run = match variables.is_true("GITEA_ACTIONS") {
        true => variables.get("GITHUB_RUN_NUMBER")?,
        false => variables.get("GITHUB_RUN_ID")?,
    };
    Some(format!(
        "{}/{repository}/actions/runs/{run}",
        server.trim_end_matches('/')
    ))
}

fn buildkite_url(variables: &Variables<'_>) -> Option<String> {
    let build = variables.get("BUILDKITE_BUILD_URL")?;
    let job = variables.get("BUILDKITE_JOB_ID")?;
    Some(format!("{build}#{job}"))
}

/// All nodes of a job have the same number.
fn circle_build(variables: &Variables<'_>) -> Option<BuildId> {
    let provider = Provider::CircleCi;
    let job = variables.first(&["CIRCLE_WORKFLOW_JOB_ID", "CIRCLE_BUILD_NUM"])?;
    let node = variables
        .get("CIRCLE_NODE_INDEX")
        .unwrap_or_else(|| "0".to_owned());
    BuildId::new(&format!("{provider}-{job}-{node}"))
}

/// It is `~/project` unless a job says otherwise, and the shell is left to make a path of it.
fn circle_workspace(variables: &Variables<'_>) -> Option<PathBuf> {
    let directory = variables.get("CIRCLE_WORKING_DIRECTORY")?;
    let path = match directory.strip_prefix('~') {
        Some(rest) => variables.path("HOME")?.join(rest.trim_start_matches('/')),
        None => PathBuf::from(directory),
    };
    path.is_absolute().then_some(path)
}

fn azure_url(variables: &Variables<'_>) -> Option<String> {
    let server =
        variables.first(&["SYSTEM_COLLECTIONURI", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"])?;
    let project = variables.get("SYSTEM_TEAMPROJECT")?.replace(' ', "%20");
    let build = variables.get("BUILD_BUILDID")?;
    Some(format!(
        "{}/{project}/_build/results?buildId={build}",
        server.trim_end_matches('/')
    ))
}
