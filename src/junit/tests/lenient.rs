//! What real writers get wrong and readers must take, and how a document that is refused is named.

use super::outline;
use crate::junit::{Node, Report, read};

fn report(document: impl AsRef<[u8]>) -> Report {
    read(document.as_ref()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(document: impl AsRef<[u8]>) -> String {
    read(document.as_ref())
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn a_document_that_is_refused_is_named() {
    insta::assert_snapshot!(refusal(""), @"the document is empty");
    insta::assert_snapshot!(refusal("\u{feff} \n"), @"the document is empty");
    insta::assert_snapshot!(refusal("npm ERR! code 1"), @"the document holds no xml element");
    insta::assert_snapshot!(refusal("<?xml version='1.0'?>"), @"the document holds no xml element");
    insta::assert_snapshot!(
        refusal("<!DOCTYPE html>\n<html><br></html>"),
        @"the root element at line `2`, byte `16` is `html`, not `testsuites` or `testsuite`"
    );
    insta::assert_snapshot!(
        refusal("<testsuites>\n<testsuite>\n<testcase name='a'/>\n"),
        @"the document ends early at line `4`, byte `46`, inside `testsuite`"
    );
    insta::assert_snapshot!(
        refusal("<testsuites><testsuite name='a"),
        @"the document ends early at line `1`, byte `30`, inside `testsuites`"
    );
    insta::assert_snapshot!(
        refusal("<testsuite><system-out><![CDATA[half"),
        @"the document ends early at line `1`, byte `36`, inside `<![CDATA[`"
    );
    insta::assert_snapshot!(
        refusal("<testsuite><testcase></testsuite>"),
        @"malformed xml at line `1`, byte `21`: ill-formed document: expected `</testcase>`, but `</testsuite>` was found"
    );
    insta::assert_snapshot!(
        refusal("<testsuite/>\n<testsuite/>"),
        @"malformed xml at line `2`, byte `13`: a second root element"
    );
    insta::assert_snapshot!(
        refusal("<testsuite name=a/>"),
        @r#"malformed xml at line `1`, byte `0`: position 15: attribute value must be enclosed in `"` or `'`"#
    );
}

#[test]
fn every_prefix_of_a_report_is_refused() {
    let document = concat!(
        "<?xml version=\"1.0\"?><!-- c --><testsuites><testsuite name=\"a\"><testcase name=\"b\">",
        "<failure message=\"&lt;\">x &amp; y<![CDATA[z]]></failure></testcase></testsuite></testsuites>"
    );
    for end in 0..document.len() {
        assert!(
            read(&document.as_bytes()[..end]).is_err(),
            "{}",
            &document[..end]
        );
    }
    assert!(read(document.as_bytes()).is_ok());
}

#[test]
fn sloppy_documents_are_read() {
    let document = concat!(
        "\u{feff}<testsuite name='s' tests='1' timestamp='2026-01-02T03:04:05' time='1,234.5'>",
        "<testcase name='a &nbsp; b & c &lt;' time='1,234.5'>",
        "<failure message='one'/><failure message='two'/>",
        "\x1b[31m<system-out>\0\x1b[1mbold\x1b[0m &#27;[32mgreen&#27;[0m &#0;</system-out>",
        "</testcase></testsuite>\0\0"
    );
    let report = report(document);
    insta::assert_snapshot!(outline(&report), @r"
    Counts { tests: 1, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [s]  | a &nbsp; b & c < | 1234.5 | Failed: one
    note: text outside the root element was left out
    ");
    let case = &report.cases()[0];
    assert_eq!(
        case.element()
            .elements()
            .last()
            .map(|out| out.text())
            .as_deref(),
        Some("\u{fffd}bold green \u{fffd}")
    );
}

#[test]
fn encodings_are_guessed() {
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite name='\xe9t\xe9'/>";
    assert_eq!(report(latin).suites()[0].name(), "été");
    let undeclared = b"<testsuite name='\xe9'/>";
    assert_eq!(
        outline(&report(undeclared)).lines().last(),
        Some("note: bytes that are no text in the declared encoding were replaced")
    );
    let wide: Vec<u8> = "\u{feff}<testsuite name='é'/>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(report(wide).suites()[0].name(), "é");
}

#[test]
fn nothing_that_is_not_understood_is_lost() {
    let document = concat!(
        "<?pi a?><!--top--><testsuites xmlns:x='urn:x'><testsuite name='s' custom='1'>",
        "<x:meta x:k='v'>t<b/>u</x:meta><testcase name='a' line='3'><properties>",
        "<property name='p' value='q'/></properties><!--in--><?pi b?></testcase>",
        "</testsuite></testsuites>"
    );
    let report = report(document);
    assert_eq!(
        report.outside(),
        [
            Node::Instruction("pi a".to_owned()),
            Node::Comment("top".to_owned())
        ]
    );
    insta::assert_debug_snapshot!(report.root(), @r#"
    Element {
        name: "testsuites",
        attributes: [
            (
                "xmlns:x",
                "urn:x",
            ),
        ],
        children: [
            Element(
                Element {
                    name: "testsuite",
                    attributes: [
                        (
                            "name",
                            "s",
                        ),
                        (
                            "custom",
                            "1",
                        ),
                    ],
                    children: [
                        Element(
                            Element {
                                name: "x:meta",
                                attributes: [
                                    (
                                        "x:k",
                                        "v",
                                    ),
                                ],
                                children: [
                                    Text(
                                        "t",
                                    ),
                                    Element(
                                        Element {
                                            name: "b",
                                            attributes: [],
                                            children: [],
                                        },
                                    ),
                                    Text(
                                        "u",
                                    ),
                                ],
                            },
                        ),
                        Element(
                            Element {
                                name: "testcase",
                                attributes: [
                                    (
                                        "name",
                                        "a",
                                    ),
                                    (
                                        "line",
                                        "3",
                                    ),
                                ],
                                children: [
                                    Element(
                                        Element {
                                            name: "properties",
                                            attributes: [],
                                            children: [
                                                Element(
                                                    Element {
                                                        name: "property",
                                                        attributes: [
                                                            (
                                                                "name",
                                                                "p",
                                                            ),
                                                            (
                                                                "value",
                                                                "q",
                                                            ),
                                                        ],
                                                        children: [],
                                                    },
                                                ),
                                            ],
                                        },
                                    ),
                                    Comment(
                                        "in",
                                    ),
                                    Instruction(
                                        "pi b",
                                    ),
                                ],
                            },
                        ),
                    ],
                },
            ),
        ],
    }
    "#);
}

#[test]
fn a_document_that_prefixes_its_elements_is_read() {
    let document = concat!(
        "<j:testsuites xmlns:j='urn:junit'><j:testsuite name='s'><j:testcase name='a'>",
        "<j:failure message='m'/></j:testcase></j:testsuite></j:testsuites>"
    );
    insta::assert_snapshot!(outline(&report(document)), @r"
    Counts { tests: 1, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [s]  | a | - | Failed: m
    ");
}

#[test]
fn declared_counts_are_never_trusted() {
    let document = concat!(
        "<testsuites tests='7'><testsuite name='s' tests='5' failures='0' errors='x' skipped='1'>",
        "<testcase name='a'/><testcase name='b'><error/></testcase>",
        "<testcase name='c' status='notrun'/></testsuite></testsuites>"
    );
    insta::assert_snapshot!(outline(&report(document)), @r"
    Counts { tests: 3, failures: 0, errors: 1, skipped: 1, flaky: 0 }
    [s]  | a | - | Passed
    [s]  | b | - | Errored
    [s]  | c | - | Skipped
    note: testsuite `` declares tests=`7`, its cases come to `3`
    note: testsuite `s` declares tests=`5`, its cases come to `3`
    note: testsuite `s` declares errors=`x`, its cases come to `1`
    ");
}

#[test]
fn a_document_type_is_left_out_and_an_entity_refused() {
    let external = "<!DOCTYPE testsuites SYSTEM 'junit.dtd'><testsuites><testsuite/></testsuites>";
    insta::assert_snapshot!(outline(&report(external)), @r"
    Counts { tests: 0, failures: 0, errors: 0, skipped: 0, flaky: 0 }
    note: a document type declaration was left out
    ");
    insta::assert_snapshot!(
        refusal("<!DOCTYPE t [ <!ENTITY a 'b'> ]><testsuites>&a;</testsuites>"),
        @"the document type at line `1`, byte `0` declares entities, which are never expanded"
    );
}

#[test]
fn secrets_can_be_masked_after_references_are_resolved() {
    let mut report = report(
        "<testsuite name='a&lt;b'><testcase name='x'><system-out><![CDATA[a<b]]> a&lt;b</system-out></testcase></testsuite>",
    );
    report.rewrite(&mut |text| text.contains("a<b").then(|| text.replace("a<b", "***")));
    let text = format!("{:?}", report.root());
    assert!(
        !text.contains("a<b") && text.matches("***").count() == 3,
        "{text}"
    );
}
