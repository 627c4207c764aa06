use proptest::prelude::*;

use super::super::mirror::parse_pair;
use super::*;

fn mirrors() -> Mirrors {
    let mut mirrors = Mirrors::default();
    for pair in ["docker.io=m.example/hub", "ghcr.io=m.example/ghcr"] {
        let (registry, mirror) = parse_pair(pair).expect(pair);
        mirrors.add(registry, mirror);
    }
    mirrors
}

fn rewritten_with(dockerfile: &str, arguments: &[(&str, &str)], contexts: &[&str]) -> String {
    let arguments = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let contexts = contexts.iter().map(|name| (*name).to_owned()).collect();
    let surroundings = Surroundings {
        arguments: &arguments,
        contexts: &contexts,
    };
    rewrite(dockerfile, surroundings, &mirrors())
}

fn rewritten(dockerfile: &str) -> String {
    rewritten_with(dockerfile, &[], &[])
}

#[track_caller]
fn untouched(dockerfile: &str) {
    assert_eq!(rewritten(dockerfile), dockerfile);
}

#[test]
fn images_of_from_are_named_at_their_mirror() {
    assert_eq!(
        rewritten("FROM debian:12\nRUN true\n"),
        "FROM m.example/hub/library/debian:12\nRUN true\n"
    );
    assert_eq!(
        rewritten(
            "  from --platform=$BUILDPLATFORM  ghcr.io/a/b@sha256:0123456789012345678901234567890123456789012345678901234567890123 as X"
        ),
        "  from --platform=$BUILDPLATFORM  m.example/ghcr/a/b@sha256:0123456789012345678901234567890123456789012345678901234567890123 as X"
    );
    assert_eq!(
        rewritten("FROM \"debian\"\r\n"),
        "FROM m.example/hub/library/debian\r\n"
    );
    assert_eq!(
        rewritten("\u{feff}FROM debian\n"),
        "\u{feff}FROM m.example/hub/library/debian\n"
    );
}

#[test]
fn what_is_no_image_of_a_mirrored_registry_stays() {
    untouched("FROM scratch\nCOPY x /x\n");
    untouched("FROM quay.io/a/b:1\nFROM localhost:5000/x\nFROM m.example/hub/library/debian\n");
    untouched("FROM\nFROM Not/Valid\nFROM ${X}\nARG X=debian\nFROM ${X}\n");
    untouched("# FROM debian\n\n#FROM debian\nRUN FROM debian\nLABEL FROM=debian\n");
    untouched("");
}

#[test]
fn stages_are_no_images() {
    let dockerfile = "FROM debian AS Base\nFROM base AS next\nCOPY --from=BASE /a /a\nCOPY --from=0 /a /a\nRUN --mount=type=bind,from=base,target=/x true\nFROM next\n";
    assert_eq!(
        rewritten(dockerfile),
        dockerfile.replace("FROM debian", "FROM m.example/hub/library/debian")
    );
    // A stage is known from its line on.
    assert_eq!(
        rewritten("FROM busybox\nFROM debian AS busybox\nFROM busybox\n"),
        "FROM m.example/hub/library/busybox\nFROM m.example/hub/library/debian AS busybox\nFROM busybox\n"
    );
}

#[test]
fn copy_and_mount_name_images_too() {
    assert_eq!(
        rewritten(
            "FROM scratch\nCOPY --chown=1:1 --from=nginx:1 --link /a /b\nRUN --mount=type=cache,target=/c --mount=from=ghcr.io/a/b,target=/x echo --mount=from=nginx\n"
        ),
        "FROM scratch\nCOPY --chown=1:1 --from=m.example/hub/library/nginx:1 --link /a /b\nRUN --mount=type=cache,target=/c --mount=from=m.example/ghcr/a/b,target=/x echo --mount=from=nginx\n"
    );
    untouched(
        "FROM scratch\nCOPY /a --from=nginx /b\nCOPY --from=$X /a /b\nADD --from=nginx a b\nONBUILD COPY --from=nginx a b\n",
    );
}

#[test]
fn arguments_before_the_first_stage_are_expanded() {
    let dockerfile = "ARG BASE=debian TAG='12' \nARG FULL=\"${BASE}:${TAG}\"\nARG EMPTY\nFROM ${FULL}-slim\nFROM $BASE\nFROM ${EMPTY:-alpine:3}\nFROM ${TAG:+redis}\n";
    let expected = dockerfile
        .replace(
            "FROM ${FULL}-slim",
            "FROM m.example/hub/library/debian:12-slim",
        )
        .replace("FROM $BASE", "FROM m.example/hub/library/debian")
        .replace(
            "FROM ${EMPTY:-alpine:3}",
            "FROM m.example/hub/library/alpine:3",
        )
        .replace("FROM ${TAG:+redis}", "FROM m.example/hub/library/redis");
    assert_eq!(rewritten(dockerfile), expected);
    assert_eq!(
        rewritten_with(
            "ARG BASE=debian\nARG TAG\nFROM $BASE:$TAG",
            &[("BASE", "ghcr.io/x/y"), ("TAG", "1")],
            &[]
        ),
        "ARG BASE=debian\nARG TAG\nFROM m.example/ghcr/x/y:1"
    );
}

#[test]
fn what_only_the_builder_knows_stays() {
    untouched("FROM debian-$TARGETARCH\n");
    untouched("ARG TAG\nFROM debian:$TAG\n");
    untouched("ARG TARGETARCH\nFROM ${TARGETARCH:-debian}\n");
    untouched("ARG A=debian:12\nFROM ${A%:12}\n");
    untouched("ARG A=debian\nFROM ${A?missing}\n");
    untouched("FROM scratch\nARG A=debian\nFROM $A\n");
}

#[test]
fn lines_may_be_continued() {
    assert_eq!(
        rewritten(
            "FROM \\\n  # a comment\n\n  --platform=linux/amd64 \\\n  debian:12 \\\n  AS x\n"
        ),
        "FROM \\\n  # a comment\n\n  --platform=linux/amd64 \\\n  m.example/hub/library/debian:12 \\\n  AS x\n"
    );
    assert_eq!(
        rewritten("FROM deb\\\nian\n"),
        "FROM m.example/hub/library/debian\n"
    );
    untouched("FROM scratch\nRUN echo \\\nFROM debian\n");
    assert_eq!(
        rewritten("# escape=`\nFROM `\n  debian\nRUN dir C:\\\nFROM alpine\n"),
        "# escape=`\nFROM `\n  m.example/hub/library/debian\nRUN dir C:\\\nFROM m.example/hub/library/alpine\n"
    );
}

#[test]
fn here_documents_are_not_read() {
    untouched("FROM scratch\nRUN <<EOF\nFROM debian\nEOF\n");
    untouched(
        "FROM scratch\nRUN cat <<-'A B' 3<<\"C\" > /x\n\tFROM debian\n\tA B\nFROM debian\nC\n",
    );
    untouched("FROM scratch\nCOPY <<a.txt <<b.txt /x/\nFROM debian\na.txt\nFROM debian\nb.txt\n");
    untouched("FROM scratch\nONBUILD RUN <<EOF\nFROM debian\nEOF\n");
    untouched("FROM scratch\nRUN <<EOF\nFROM debian\n");
    assert_eq!(
        rewritten("FROM scratch\nRUN <<EOF\ntrue\nEOF\nFROM debian\n"),
        "FROM scratch\nRUN <<EOF\ntrue\nEOF\nFROM m.example/hub/library/debian\n"
    );
    // These are none.
    for line in [
        "RUN echo \"<<EOF\"",
        "RUN echo $((1 << 2))",
        "RUN cat <<<EOF",
        "ENV X=<<EOF",
    ] {
        assert_eq!(
            rewritten(&format!("FROM scratch\n{line}\nFROM debian\n")),
            format!("FROM scratch\n{line}\nFROM m.example/hub/library/debian\n")
        );
    }
}

#[test]
fn the_syntax_directive_names_an_image() {
    assert_eq!(
        rewritten("# syntax = docker/dockerfile:1\n# escape=\\\nFROM scratch\n"),
        "# syntax = m.example/hub/docker/dockerfile:1\n# escape=\\\nFROM scratch\n"
    );
    // A comment after anything else is only a comment.
    untouched("\n# syntax=docker/dockerfile:1\nFROM scratch\n");
    untouched("# hello world\n# syntax=docker/dockerfile:1\nFROM scratch\n");
}

#[test]
fn named_contexts_stand_before_images() {
    let dockerfile = "FROM debian\nFROM base\nCOPY --from=docker.io/library/redis:latest a b\n";
    assert_eq!(
        rewritten_with(dockerfile, &[], &["base", "redis"]),
        dockerfile.replace("FROM debian", "FROM m.example/hub/library/debian")
    );
}

/// Pieces of which Dockerfiles are made, and of which other texts are made that are not.
fn dockerfiles() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("FROM debian:12".to_owned()),
        Just("FROM --platform=linux/arm64 ghcr.io/a/b AS base".to_owned()),
        Just("FROM base".to_owned()),
        Just("FROM ${BASE}".to_owned()),
        Just("ARG BASE=redis:7".to_owned()),
        Just("COPY --from=nginx /a \\".to_owned()),
        Just("RUN --mount=from=alpine,target=/x <<EOF".to_owned()),
        Just("EOF".to_owned()),
        Just("# escape=`".to_owned()),
        Just("# syntax=docker/dockerfile:1".to_owned()),
        Just("FROM `".to_owned()),
        "[ \\t]*(FROM|COPY|RUN|ARG)[ \\t]+\\PC{0,20}",
        "\\PC{0,30}",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just("")];
    prop::collection::vec((line, end), 0..12).prop_map(|lines| {
        lines
            .into_iter()
            .map(|(line, end)| line + end)
            .collect::<String>()
    })
}

proptest! {
    #[test]
    fn without_mirrors_nothing_changes(dockerfile in dockerfiles()) {
        let (arguments, contexts) = (BTreeMap::new(), BTreeSet::new());
        let surroundings = Surroundings { arguments: &arguments, contexts: &contexts };
        prop_assert_eq!(rewrite(&dockerfile, surroundings, &Mirrors::default()), dockerfile);
    }

    #[test]
    fn twice_is_once(dockerfile in dockerfiles()) {
        let once = rewritten(&dockerfile);
        prop_assert_eq!(rewritten(&once), once);
    }

    #[test]
    fn lines_keep_their_number_and_instructions_their_order(dockerfile in dockerfiles()) {
        let once = rewritten(&dockerfile);
        let keywords = |text: &str| -> Vec<String> {
            lines::instructions(text, &lines::directives(text))
                .into_iter()
                .map(|instruction| instruction.keyword)
                .collect()
        };
        prop_assert_eq!(keywords(&once), keywords(&dockerfile));
    }
}
