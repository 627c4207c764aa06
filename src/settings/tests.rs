use std::fs;

use super::*;
use crate::image::Reference;

/// Where `image` is pulled from under the settings in `text`, the variable and the flags.
fn places(text: &str, variable: Option<&str>, flags: &[&str], image: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let project = directory.path().join("a/project");
    fs::create_dir_all(&project).expect("created");
    fs::write(directory.path().join(FILE_NAME), text).expect("written");
    let environment = variable
        .map(|value| (MIRROR.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let flags = Flags {
        mirrors: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        ..Flags::default()
    };
    let loaded = load(&project, &environment, &flags)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)));
    let reference = Reference::parse(image).expect(image);
    let mirrors = loaded.settings.mirrors.of(&reference);
    mirrors
        .iter()
        .map(|mirror| mirror.registry().to_owned())
        .collect()
}

/// What is said about a file, one problem after the other.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let source = crate::config::source::Source::new(FILE_NAME, text, 0);
    file::parse(&source, &mut problems);
    Problems::from(problems)
        .iter()
        .map(|problem| match &problem.help {
            Some(help) => format!("{problem}\n  {help}"),
            None => problem.to_string(),
        })
        .collect()
}

const FILE: &str = r#"
mirror = { "docker.io" = ["file.example/hub", "second.example"] }
"#;

#[test]
fn the_file_is_found_above_the_project() {
    assert_eq!(
        places(FILE, None, &[], "redis"),
        ["file.example", "second.example"]
    );
    assert!(places(FILE, None, &[], "quay.io/a/b").is_empty());
    let table = "[mirror]\n\"quay.io\" = \"q.example\"\n";
    assert_eq!(places(table, None, &[], "quay.io/a/b"), ["q.example"]);
}

#[test]
fn flags_stand_over_variables_and_those_over_the_file() {
    let variable = Some("docker.io=one.example, docker.io=two.example,");
    assert_eq!(
        places(FILE, variable, &[], "redis"),
        ["one.example", "two.example"]
    );
    assert_eq!(
        places(FILE, variable, &["docker.io=flag.example"], "redis"),
        ["flag.example"]
    );
    assert!(places(FILE, None, &["docker.io="], "redis").is_empty());
    assert_eq!(
        places(FILE, None, &["quay.io=flag.example"], "redis"),
        ["file.example", "second.example"]
    );
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_with_its_place() {
    let text = "miror = {}
subnets = 1

[mirror]
hub = \"m.example\"
\"docker.io\" = [\"https://m.example\", 3]
\"ghcr.io\" = true
";
    assert_eq!(
        problems(text),
        [
            "envrun.toml:1:1: unknown key `miror` of envrun.toml\n  did you mean `mirror`?",
            "envrun.toml:2:1: unknown key `subnets` of envrun.toml\n  the keys are `artifact_limit`, `ci`, `concurrent_starts`, `gc`, `internet`, `junit_profile`, `live`, `locked`, `log_limit`, `mask`, `mirror`, `no_mask`, `parallel`, `subnet_pool`, `untrusted`",
            "envrun.toml:5:1: `hub` is no registry\n  write it as references do, such as `\"docker.io\"`, in quotes",
            "envrun.toml:6:16: `https://m.example` is no mirror\n  a mirror is named without `http://` or `https://`: the engine knows which it speaks",
            "envrun.toml:6:37: expected a text or a list of texts, found integer",
            "envrun.toml:7:13: expected a text or a list of texts, found boolean",
        ]
    );
    assert_eq!(
        problems("mirror = \"docker.io=m.example\"\n"),
        ["envrun.toml:1:10: expected a table from registries to mirrors, found string"]
    );
    // Without its quotes, the dot makes a table in a table.
    assert_eq!(
        problems("[mirror]\ndocker.io = \"m.example\"\n"),
        [
            "envrun.toml:2:1: expected a text or a list of texts, found table\n  the name of a registry with a dot stands in quotes: `\"docker.io\"`"
        ]
    );
    let broken = problems("mirror = {\n");
    assert!(broken[0].starts_with("envrun.toml:1:"), "{broken:?}");
}

#[test]
fn what_is_wrong_with_variables_and_flags_is_told_too() {
    let environment = BTreeMap::from([
        (MIRROR.to_owned(), "docker.io".to_owned()),
        (CONCURRENT_STARTS.to_owned(), "many".to_owned()),
        (GC.to_owned(), "maybe".to_owned()),
    ]);
    let flags = Flags {
        artifact_limit: Some("much".to_owned()),
        junit_profile: Some("lax".to_owned()),
        mirrors: vec!["docker.io=m".to_owned()],
        concurrent_starts: Some("-1".to_owned()),
        subnet_pool: Some("10.0.0.1/8".to_owned()),
        no_gc: false,
        untrusted: false,
        locked: false,
        output: OutputFlags::default(),
    };
    let problems = load(Path::new("/"), &environment, &flags).expect_err("both are wrong");
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        all,
        [
            "variable `ENVRUN_MIRROR` names no mirror: `docker.io`",
            "`--mirror` names no mirror: `docker.io=m`",
            "`--concurrent-starts` is no number of starts: `-1`",
            "variable `ENVRUN_CONCURRENT_STARTS` is no number of starts: `many`",
            "variable `ENVRUN_GC` is neither on nor off: `maybe`",
            "`--subnet-pool` is no pool of subnets: `10.0.0.1/8`",
            "`--artifact-limit` is no limit of artifacts: `much`",
            "`--junit-profile` is no profile of reports: `lax`",
        ]
    );
}

/// The setting of starts under a file, a variable and a flag.
fn starts(text: &str, variable: &str, flag: Option<&str>) -> Option<usize> {
    let directory = tempfile::tempdir().expect("temporary directory");
    fs::write(directory.path().join(FILE_NAME), text).expect("written");
    let environment = BTreeMap::from([(CONCURRENT_STARTS.to_owned(), variable.to_owned())]);
    let flags = Flags {
        concurrent_starts: flag.map(str::to_owned),
        ..Flags::default()
    };
    let loaded = load(directory.path(), &environment, &flags)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)));
    loaded.settings.concurrent_starts
}

#[test]
fn the_limit_of_artifacts_comes_from_the_flag_then_the_variable_then_the_file() {
    let limit = |text: &str, variable: &str, flag: Option<&str>| {
        let directory = tempfile::tempdir().expect("temporary directory");
        fs::write(directory.path().join(FILE_NAME), text).expect("written");
        let environment = BTreeMap::from([(ARTIFACT_LIMIT.to_owned(), variable.to_owned())]);
        let flags = Flags {
            artifact_limit: flag.map(str::to_owned),
            ..Flags::default()
        };
        let loaded = load(directory.path(), &environment, &flags)
            .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)));
        loaded.settings.artifact_limit.map(|limit| limit.bytes)
    };
    let file = "artifact_limit = \"3k\"\n";
    assert_eq!(limit(file, "2k", Some("1k")), Some(1 << 10));
    assert_eq!(limit(file, "2k", None), Some(2 << 10));
    assert_eq!(limit(file, "", None), Some(3 << 10));
    assert_eq!(limit("", "", None), None);
    assert_eq!(
        problems("artifact_limit = 5\n"),
        [format!(
            "envrun.toml:1:18: `artifact_limit` must be a text with a size\n  {}",
            crate::artifact::Limits::FORM
        )]
    );
}

#[test]
fn the_number_of_starts_comes_from_the_flag_then_the_variable_then_the_file() {
    let file = "concurrent_starts = 3\n";
    assert_eq!(starts(file, "5", Some("0")), Some(0));
    assert_eq!(starts(file, "5", None), Some(5));
    assert_eq!(starts(file, "", None), Some(3));
    assert_eq!(starts("", "", None), None);
    assert_eq!(
        problems("concurrent_starts = \"4\"\n"),
        ["envrun.toml:1:21: expected a number, found string"]
    );
    assert_eq!(
        problems("concurrent_starts = 4000\n"),
        [
            "envrun.toml:1:21: `4000` is no number of starts\n  a number up to 1000; 0 means any number at once"
        ]
    );
}

/// What is said about a pool, or the pool.
fn pool_of(text: &str) -> String {
    let flags = Flags {
        subnet_pool: Some(text.to_owned()),
        ..Flags::default()
    };
    let words = |problem: &Problem| problem.help.clone().unwrap_or_default();
    match load(Path::new("/"), &BTreeMap::new(), &flags) {
        Err(problems) => problems.iter().map(words).collect(),
        Ok(loaded) => {
            let pool = loaded.settings.subnet_pool.expect("a pool");
            let warnings: String = loaded.warnings.iter().map(words).collect();
            format!("{pool} {}", &warnings[..warnings.len().min(23)])
        }
    }
}

#[test]
fn a_pool_is_a_range_that_networks_can_have() {
    assert_eq!(pool_of("10.0.0.0/8"), "10.0.0.0/8 ");
    assert_eq!(pool_of(" 192.168.4.0/24 "), "192.168.4.0/24 ");
    assert_eq!(pool_of("100.100.0.0/16"), "100.100.0.0/16 ");
    assert_eq!(
        pool_of("172.32.0.0/16"),
        "172.32.0.0/16 containers cannot reach"
    );
    assert_eq!(pool_of("10.1.2.3/16"), "the range begins at `10.1.0.0/16`");
    assert_eq!(pool_of("0.0.0.0/0"), "the prefix is 8 at least");
    assert_eq!(
        pool_of("127.1.0.0/16"),
        "`127.0.0.0/8` is for the loopback interface"
    );
    assert_eq!(pool_of("239.0.0.0/8"), "`224.0.0.0/4` is for multicast");
    for text in [
        "10",
        "10.0.0.0",
        "10.0.0.0/33",
        "fd00::/64",
        "ten/8",
        "10.0.0.0/-1",
    ] {
        assert!(pool_of(text).starts_with("a range of IPv4"), "{text}");
    }
    assert_eq!(
        problems("subnet_pool = 10\n"),
        ["envrun.toml:1:15: expected a text, found integer"]
    );
    assert_eq!(
        problems("subnet_pool = \"169.254.8.0/24\"\n"),
        [
            "envrun.toml:1:15: `169.254.8.0/24` is no pool of subnets\n  `169.254.0.0/16` is for link-local addresses"
        ]
    );
}

#[test]
fn a_misspelt_variable_is_noticed() {
    let environment = ["ENVRUN_MIRORR", "ENVRUN_OTHER_THING", "MIRROR"]
        .map(|name| (name.to_owned(), String::new()))
        .into_iter()
        .collect();
    let loaded = load(Path::new("/"), &environment, &Flags::default()).expect("only warnings");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["variable `ENVRUN_MIRORR` has no effect"]);
}

/// Whether a run removes what dead runs have left, under the text of the file, the variable and the
/// flag.
fn locked(file: &str, variable: Option<&str>, locked: bool) -> Option<bool> {
    let directory = tempfile::tempdir().expect("temporary directory");
    fs::write(directory.path().join(FILE_NAME), file).expect("written");
    let variable = variable.map(|text| (LOCKED.to_owned(), text.to_owned()));
    let flags = Flags {
        locked,
        ..Flags::default()
    };
    let loaded = load(directory.path(), &variable.into_iter().collect(), &flags);
    loaded.ok().map(|loaded| loaded.settings.locked)
}

#[test]
fn whether_images_are_locked_is_asked_of_flag_variable_and_file() {
    assert_eq!(locked("", None, false), Some(false));
    assert_eq!(locked("locked = true", None, false), Some(true));
    assert_eq!(locked("locked = true", Some("0"), false), Some(false));
    assert_eq!(locked("", Some("1"), false), Some(true));
    assert_eq!(locked("", Some("0"), true), Some(true));
    assert_eq!(locked("locked = 1", None, false), None);
    assert_eq!(locked("", Some("perhaps"), false), None);
}

fn gc(file: &str, variable: Option<&str>, no_gc: bool) -> Option<bool> {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join(FILE_NAME), file).expect("written");
    let variable = variable.map(|text| (GC.to_owned(), text.to_owned()));
    let flags = Flags {
        no_gc,
        ..Flags::default()
    };
    let loaded = load(directory.path(), &variable.into_iter().collect(), &flags);
    loaded.ok()?.settings.gc
}

#[test]
fn garbage_collection_is_switched_by_the_last_word() {
    assert_eq!(gc("", None, false), None);
    assert_eq!(gc("gc = false", None, false), Some(false));
    assert_eq!(gc("gc = false", Some("on"), false), Some(true));
    assert_eq!(gc("gc = false", Some(""), false), Some(false));
    assert_eq!(gc("gc = true", Some("0"), false), Some(false));
    assert_eq!(gc("gc = true", Some("1"), true), Some(false));
    assert_eq!(gc("gc = 'no'", None, false), None);
}

/// Whether a project is that of strangers by a file in it, a variable and the flag, or what is wrong.
fn untrusted(text: Option<&str>, variable: Option<&str>, flag: bool) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("temporary directory");
    if let Some(text) = text {
        fs::write(directory.path().join(FILE_NAME), text).expect("written");
    }
    let environment = variable
        .map(|value| (UNTRUSTED.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let flags = Flags {
        untrusted: flag,
        ..Flags::default()
    };
    load(directory.path(), &environment, &flags).map_err(|problems| problems.render(false, 100))
}

#[test]
fn each_can_call_strangers_what_they_are_and_none_can_take_it_back() {
    for text in [
        None,
        Some(""),
        Some("untrusted = false"),
        Some("untrusted = true"),
    ] {
        for variable in [
            None,
            Some(""),
            Some("0"),
            Some("FALSE"),
            Some("1"),
            Some("true"),
            Some("on"),
        ] {
            for flag in [false, true] {
                let says_so = flag
                    || text == Some("untrusted = true")
                    || matches!(variable, Some("1" | "true" | "on"));
                let loaded = untrusted(text, variable, flag).expect("loads");
                assert_eq!(
                    loaded.settings.untrusted, says_so,
                    "{text:?} {variable:?} {flag}"
                );
            }
        }
    }
}

#[test]
fn who_misspells_the_variable_is_told() {
    for variable in ["2", "ja", "no", "off", "nope"] {
        let error = untrusted(None, Some(variable), false).expect_err("neither yes nor no");
        assert!(error.contains("ENVRUN_UNTRUSTED"), "{error}");
        assert!(error.contains(variable), "{error}");
    }
    assert!(untrusted(Some("untrusted = 'yes'"), None, false).is_err());
}

#[test]
fn nothing_else_of_a_strangers_file_counts() {
    let mirror = "concurrent_starts = 0\n[mirror]\n\"docker.io\" = \"evil.example\"\n";
    let loaded = untrusted(Some(&format!("untrusted = true\n{mirror}")), None, false);
    let loaded = loaded.expect("loads");
    assert_eq!(loaded.settings.mirrors, Mirrors::default());
    assert_eq!(loaded.settings.concurrent_starts, None);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "envrun.toml:2:1: `concurrent_starts` of envrun.toml has no effect for strangers' code",
            "envrun.toml:3:2: `mirror` of envrun.toml has no effect for strangers' code",
        ]
    );
    // Where the caller says so, the file is not even read.
    for text in [mirror, "= [", "untrusted = false\nwrong = 1"] {
        for (variable, flag) in [(Some("1"), false), (None, true)] {
            let loaded = untrusted(Some(text), variable, flag).expect("loads");
            assert_eq!(loaded.settings.mirrors, Mirrors::default());
            assert!(loaded.warnings.is_empty());
        }
    }
}

#[test]
fn what_the_internet_is_is_said_by_the_variable_or_the_file() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join(FILE_NAME);
    fs::write(path, "internet = \"198.51.100.1:80\"\n").expect("written");
    let internet = |variable: &str, untrusted: bool| {
        let variable = (INTERNET.to_owned(), variable.to_owned());
        let flags = Flags {
            untrusted,
            ..Flags::default()
        };
        let loaded = load(directory.path(), &[variable].into(), &flags);
        let loaded = loaded.map_err(|problems| problems.render(false, 100));
        loaded.map(|loaded| loaded.settings.internet.map(|address| address.to_string()))
    };
    assert_eq!(internet("", false), Ok(Some("198.51.100.1:80".to_owned())));
    assert_eq!(
        internet("[2001:db8::1]:443", false),
        Ok(Some("[2001:db8::1]:443".to_owned()))
    );
    // The file may be that of strangers.
    assert_eq!(internet("", true), Ok(None));
    let wrong = internet("198.51.100.1", false).expect_err("no port");
    assert!(
        wrong.contains("variable `ENVRUN_INTERNET` is no address with a port"),
        "{wrong}"
    );
    let wrong = problems("internet = \"here\"\n");
    assert!(
        wrong[0].contains("`here` is no address with a port"),
        "{wrong:?}"
    );
    assert!(problems("internet = 1\n")[0].contains("expected a text"));
}

#[test]
fn the_profile_of_reports_is_said_by_the_file_the_variable_or_the_flag() {
    let profile = |file: &str, variable: &str, flag: Option<&str>| {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::write(directory.path().join(FILE_NAME), file).expect("written");
        let environment = BTreeMap::from([(JUNIT_PROFILE.to_owned(), variable.to_owned())]);
        let flags = Flags {
            junit_profile: flag.map(str::to_owned),
            ..Flags::default()
        };
        let loaded = load(directory.path(), &environment, &flags).expect("sound");
        loaded.settings.junit_profile
    };
    let file = "junit_profile = \"strict\"\n";
    assert_eq!(profile("", "", None), None);
    assert_eq!(profile(file, "", None), Some(Profile::Strict));
    assert_eq!(profile(file, "default", None), Some(Profile::Default));
    assert_eq!(
        profile(file, "default", Some("strict")),
        Some(Profile::Strict)
    );
    assert_eq!(
        problems("junit_profile = 5\n"),
        [
            "envrun.toml:1:17: `junit_profile` must be the name of a profile\n  `default`, or `strict` for readers that hold to a schema"
        ]
    );
}

#[test]
fn who_is_to_mask_something_adds_to_the_others_and_who_shows_something_stands_over_them() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join(FILE_NAME);
    let text = "mask = [\"A\"]\nno_mask = [\"B\"]\nlive = true\nlog_limit = \"10m\"\n";
    fs::write(path, text).expect("written");
    let load = |variables: &[(&str, &str)], untrusted: bool| {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let flags = Flags {
            untrusted,
            output: OutputFlags {
                mask: vec!["C".to_owned()],
                ..OutputFlags::default()
            },
            ..Flags::default()
        };
        let loaded = load(directory.path(), &environment, &flags);
        loaded
            .map(|loaded| loaded.settings.output)
            .map_err(|problems| problems.render(false, 100))
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let of_file = load(&[], false).expect("a good file");
    assert_eq!(of_file.mask, names(&["A", "C"]));
    assert_eq!(of_file.no_mask, names(&["B"]));
    assert_eq!(of_file.live, Some(Live::Suites));
    assert_eq!(of_file.log_limit, Some(10 << 20));
    let over = [
        (output::MASK, "D, E"),
        (output::LIVE, "api,db"),
        (output::LOG_LIMIT, "0"),
    ];
    let over = load(&over, false).expect("good variables");
    assert_eq!(over.mask, names(&["A", "C", "D", "E"]));
    assert_eq!(over.live, Some(Live::These(names(&["api", "db"]))));
    assert_eq!(over.log_limit, Some(0));
    // A file of strangers masks nothing and, what counts, unmasks nothing.
    let strangers = load(&[], true).expect("not read");
    assert_eq!(strangers.mask, names(&["C"]));
    assert_eq!(strangers.no_mask, names(&[]));
    assert_eq!(
        load(&[(output::LIVE, "0")], false).map(|output| output.live),
        Ok(Some(Live::Nobody))
    );
    let wrong = load(&[(output::LOG_LIMIT, "much")], false).expect_err("no size");
    assert!(
        wrong.contains("variable `ENVRUN_LOG_LIMIT` is no size: `much`"),
        "{wrong}"
    );
    let wrong = problems("mask = \"A\"\nlive = 3\nlog_limit = true\nno_mask = [1]\n").join("\n");
    for part in [
        "expected a list of names, found string",
        "expected `true`, `false`, `\"all\"` or a list of services, found integer",
        "expected a size, found boolean",
        "expected a name, found integer",
    ] {
        assert!(wrong.contains(part), "{wrong}");
    }
}
