use std::collections::BTreeMap;

use super::*;

fn detect(variables: &[(&str, &str)]) -> Option<Ci> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Ci::detect(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn shown(variables: &[(&str, &str)]) -> String {
    let ci = detect(variables).expect("a CI system");
    serde_json::to_string_pretty(&ci).expect("serialisable")
}

#[test]
fn outside_of_ci_there_is_none() {
    assert_eq!(detect(&[("HOME", "/root"), ("CI", "")]), None);
    assert_eq!(detect(&[("CI", "false")]), None);
    assert_eq!(detect(&[("GITHUB_ACTIONS", "false")]), None);
    // What a job leaves behind in the environment of a person is no CI system.
    assert_eq!(detect(&[("GITHUB_RUN_ID", "1"), ("BUILD_TAG", "x")]), None);
}

#[test]
fn each_is_recognised_by_each_of_its_markers_alone() {
    let expected = [
        ("APPVEYOR", Provider::Generic),
        ("BUILDKITE", Provider::Buildkite),
        ("CI", Provider::Generic),
        ("CIRCLECI", Provider::CircleCi),
        ("FORGEJO_ACTIONS", Provider::Gitea),
        ("GITEA_ACTIONS", Provider::Gitea),
        ("GITHUB_ACTIONS", Provider::GitHub),
        ("GITLAB_CI", Provider::GitLab),
        ("JENKINS_HOME", Provider::Jenkins),
        ("JENKINS_URL", Provider::Jenkins),
        ("TEAMCITY_VERSION", Provider::TeamCity),
        ("TF_BUILD", Provider::Azure),
        ("TRAVIS", Provider::Generic),
    ];
    assert_eq!(expected.map(|(name, _)| name), MARKERS);
    for (name, provider) in expected {
        // Azure writes `True`.
        for value in ["true", "True"] {
            let found = detect(&[(name, value)]).map(|ci| ci.provider);
            assert_eq!(found, Some(provider), "{name}={value}");
        }
        // Nearly all of them set this one too.
        let found = detect(&[(name, "true"), ("CI", "true")]).map(|ci| ci.provider);
        assert_eq!(found, Some(provider), "{name} with CI");
    }
}

#[test]
fn those_that_run_the_actions_of_github_are_told_from_it() {
    for name in ["GITEA_ACTIONS", "FORGEJO_ACTIONS"] {
        let found = detect(&[("GITHUB_ACTIONS", "true"), (name, "true")]);
        assert_eq!(found.map(|ci| ci.provider), Some(Provider::Gitea));
    }
}

#[test]
fn every_name_is_read_as_it_is_written() {
    for provider in Provider::ALL {
        assert_eq!(provider.name().parse(), Ok(provider));
        assert_eq!(provider.name().to_uppercase().parse(), Ok(provider));
        let serialised = serde_json::to_value(provider).expect("serialisable");
        assert_eq!(serialised, provider.name());
    }
    assert_eq!("forgejo".parse(), Ok(Provider::Gitea));
    let unknown = Err(UnknownProvider("hudson".to_owned()));
    assert_eq!("hudson".parse::<Provider>(), unknown);
}

#[test]
fn github_says_all_of_a_job() {
    insta::assert_snapshot!(shown(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_RUN_ID", "9876543210"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_JOB", "test"),
        ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567"),
        ("GITHUB_REF_NAME", "42/merge"),
        ("GITHUB_HEAD_REF", "feature/x"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_WORKSPACE", "/home/runner/work/shop/shop"),
    ]), @r#"
    {
      "provider": "github",
      "build": "github-9876543210-2-test",
      "commit": "0123456789abcdef0123456789abcdef01234567",
      "branch": "feature/x",
      "job_url": "https://github.com/acme/shop/actions/runs/9876543210",
      "workspace": "/home/runner/work/shop/shop"
    }
    "#);
}

#[test]
fn gitlab_jenkins_and_buildkite_say_all_of_a_job() {
    insta::assert_snapshot!(shown(&[
        ("GITLAB_CI", "true"),
        ("CI_JOB_ID", "4711"),
        ("CI_COMMIT_SHA", "0123abcd"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_JOB_URL", "https://gitlab.example/acme/shop/-/jobs/4711"),
        ("CI_PROJECT_DIR", "/builds/acme/shop"),
    ]), @r#"
    {
      "provider": "gitlab",
      "build": "gitlab-4711",
      "commit": "0123abcd",
      "branch": "main",
      "job_url": "https://gitlab.example/acme/shop/-/jobs/4711",
      "workspace": "/builds/acme/shop"
    }
    "#);
    insta::assert_snapshot!(shown(&[
        ("JENKINS_URL", "https://ci.example/"),
        ("BUILD_TAG", "jenkins-shop-main-17"),
        ("GIT_COMMIT", "0123abcd"),
        ("GIT_BRANCH", "origin/main"),
        ("BUILD_URL", "https://ci.example/job/shop/17/"),
        ("WORKSPACE", "/var/lib/jenkins/workspace/shop"),
    ]), @r#"
    {
      "provider": "jenkins",
      "build": "jenkins-shop-main-17",
      "commit": "0123abcd",
      "branch": "origin/main",
      "job_url": "https://ci.example/job/shop/17/",
      "workspace": "/var/lib/jenkins/workspace/shop"
    }
    "#);
    insta::assert_snapshot!(shown(&[
        ("BUILDKITE", "true"),
        ("BUILDKITE_JOB_ID", "0190-abc"),
        ("BUILDKITE_COMMIT", "HEAD"),
        ("BUILDKITE_BRANCH", "main"),
        ("BUILDKITE_BUILD_URL", "https://buildkite.com/acme/shop/builds/5"),
        ("BUILDKITE_BUILD_CHECKOUT_PATH", "/var/lib/buildkite-agent/builds/a/acme/shop"),
    ]), @r##"
    {
      "provider": "buildkite",
      "build": "buildkite-0190-abc",
      "commit": null,
      "branch": "main",
      "job_url": "https://buildkite.com/acme/shop/builds/5#0190-abc",
      "workspace": "/var/lib/buildkite-agent/builds/a/acme/shop"
    }
    "##);
}

#[test]
fn circleci_azure_and_teamcity_say_what_they_say() {
    insta::assert_snapshot!(shown(&[
        ("CIRCLECI", "true"),
        ("CIRCLE_WORKFLOW_JOB_ID", "a1b2"),
        ("CIRCLE_NODE_INDEX", "3"),
        ("CIRCLE_SHA1", "0123abcd"),
        ("CIRCLE_BRANCH", "main"),
        ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/shop/8"),
        ("CIRCLE_WORKING_DIRECTORY", "~/project"),
        ("HOME", "/home/circleci"),
    ]), @r#"
    {
      "provider": "circleci",
      "build": "circleci-a1b2-3",
      "commit": "0123abcd",
      "branch": "main",
      "job_url": "https://circleci.com/gh/acme/shop/8",
      "workspace": "/home/circleci/project"
    }
    "#);
    insta::assert_snapshot!(shown(&[
        ("TF_BUILD", "True"),
        ("BUILD_BUILDID", "55"),
        ("SYSTEM_JOBID", "12f1170f"),
        ("SYSTEM_JOBATTEMPT", "1"),
        ("BUILD_SOURCEVERSION", "0123abcd"),
        ("BUILD_SOURCEBRANCH", "refs/heads/main"),
        ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/acme/"),
        ("SYSTEM_TEAMPROJECT", "The Shop"),
        ("BUILD_SOURCESDIRECTORY", "/home/vsts/work/1/s"),
    ]), @r#"
    {
      "provider": "azure",
      "build": "azure-55-12f1170f-1",
      "commit": "0123abcd",
      "branch": "main",
      "job_url": "https://dev.azure.com/acme/The%20Shop/_build/results?buildId=55",
      "workspace": "/home/vsts/work/1/s"
    }
    "#);
    insta::assert_snapshot!(shown(&[
        ("TEAMCITY_VERSION", "2025.07 (build 197242)"),
        ("TEAMCITY_PROJECT_NAME", "Shop"),
        ("TEAMCITY_BUILDCONF_NAME", "Integration Tests"),
        ("BUILD_NUMBER", "12"),
        ("BUILD_VCS_NUMBER", "0123abcd"),
    ]), @r#"
    {
      "provider": "teamcity",
      "build": "teamcity-Shop-Integration Tests-12",
      "commit": "0123abcd",
      "branch": null,
      "job_url": null,
      "workspace": null
    }
    "#);
}

#[test]
fn an_id_of_which_a_part_is_missing_is_none() {
    let ci = detect(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_JOB", "test"),
    ]);
    assert_eq!(ci.and_then(|ci| ci.build), None);
    let ci = detect(&[("GITLAB_CI", "true"), ("CI_JOB_ID", "")]);
    assert_eq!(ci.and_then(|ci| ci.build), None);
}

#[test]
fn what_the_caller_says_of_the_build_stands_over_everything() {
    let build = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let build = Ci::build(|name| variables.get(name).map(|value| (*value).to_owned()));
        build.map(|build| build.to_string())
    };
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_JOB", "test"),
    ];
    assert_eq!(build(&github).as_deref(), Some("github-1-1-test"));
    let mut said = github.to_vec();
    said.push((BUILD, "mine"));
    assert_eq!(build(&said).as_deref(), Some("mine"));
    assert_eq!(build(&[(BUILD, "mine")]).as_deref(), Some("mine"));
    assert_eq!(build(&[]), None);
}

#[test]
fn hostile_values_say_nothing_or_lose_their_sting() {
    let ci = detect(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SHA", "0123; rm -rf /"),
        ("GITHUB_REF_NAME", "main\n::error::x"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/shop\r"),
        ("GITHUB_RUN_ID", "1\n2"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_JOB", "\u{1b}[31mtest"),
        ("GITHUB_WORKSPACE", "relative"),
    ])
    .expect("a CI system");
    assert_eq!(ci.commit, None);
    assert_eq!(ci.branch, None);
    assert_eq!(ci.job_url, None);
    assert_eq!(ci.workspace, None);
    let build = ci.build.expect("an id");
    assert_eq!(build.as_str(), "github-1_2-1-_[31mtest");
}

#[test]
fn a_path_is_shown_as_the_repository_has_it() {
    let ci = detect(&[("GITLAB_CI", "true"), ("CI_PROJECT_DIR", "/builds/shop/")]).expect("GitLab");
    assert_eq!(
        ci.shown(Path::new("/builds/shop/tests/a.py")),
        Path::new("tests/a.py")
    );
    assert_eq!(
        ci.shown(Path::new("/builds/shopping/a.py")),
        Path::new("/builds/shopping/a.py")
    );
    assert_eq!(ci.shown(Path::new("tests/a.py")), Path::new("tests/a.py"));
}
