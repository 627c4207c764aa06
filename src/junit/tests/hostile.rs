//! Documents that are made to hurt: each is refused or read in bounded time and memory.

use super::{merged, outline, record};
use crate::junit::read::{MAX_DEPTH, MAX_DOCUMENT, MAX_NODES};
use crate::junit::{ReadError, read};

#[test]
fn an_entity_bomb_is_refused() {
    let bomb = concat!(
        "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'>",
        "<!ENTITY lol2 '&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;'>]>",
        "<testsuites><testsuite name='&lol2;'/></testsuites>"
    );
    assert!(matches!(
        read(bomb.as_bytes()),
        Err(ReadError::EntityDeclared { .. })
    ));
    let parameter = "<!DOCTYPE a [<!entity % x SYSTEM 'file:///etc/passwd'> %x;]><testsuite/>";
    assert!(read(parameter.as_bytes()).is_err());
}

#[test]
fn an_undeclared_entity_stays_as_it_is_written() {
    let report = read(b"<testsuite name='&xxe;'><system-out>&xxe;</system-out></testsuite>");
    let report = report.expect("it is read");
    assert_eq!(
        (report.suites()[0].name(), report.root().text().as_str()),
        ("&xxe;", "&xxe;")
    );
}

#[test]
fn deep_nesting_is_refused_and_the_deepest_allowed_is_merged() {
    for document in [
        format!("<testsuite>{}", "<testsuite>".repeat(100_000)),
        format!(
            "<testsuite>{}{}</testsuite>",
            "<a>".repeat(100_000),
            "</a>".repeat(100_000)
        ),
    ] {
        assert!(matches!(
            read(document.as_bytes()),
            Err(ReadError::TooDeep { limit: 256, .. })
        ));
    }
    let inside = MAX_DEPTH - 1;
    let nested = |name: &str| {
        let open = format!("<{name}>").repeat(inside);
        let close = format!("</{name}>").repeat(inside);
        format!("<testsuite>{open}{close}</testsuite>")
    };
    for name in ["testsuite", "a"] {
        let text = merged(vec![record("deep", &[&nested(name)])]);
        assert!(text.contains("name=\"deep\""));
    }
}

#[test]
fn a_megabyte_on_one_line_is_read_and_written() {
    let line = "x".repeat(1 << 20);
    let document = format!(
        "<testsuite name='s'><testcase name='{line}'><failure message='{line}'>{line}</failure></testcase></testsuite>"
    );
    let text = merged(vec![record("s", &[&document])]);
    assert!(
        text.len() > 3 << 20 && text.len() < 4 << 20,
        "{}",
        text.len()
    );
}

#[test]
fn work_grows_with_the_input_and_no_faster() {
    let many = |piece: &str| piece.repeat((256 << 10) / piece.len());
    for inside in [
        many("&"),
        many("&#"),
        many("&#27;"),
        many("&amp;"),
        many("\x1b]"),
        many("\x1b["),
        many("<!---->"),
        many("<![CDATA[]]>"),
        many("]]>"),
        many("\r"),
    ] {
        let document = format!(
            "<testsuite name='s'><testcase name='a'><failure message='m'>{inside}</failure></testcase></testsuite>"
        );
        let text = merged(vec![record("s", &[&document])]);
        assert!(text.contains("failures=\"1\""));
        let attribute = inside.replace(['<', '\''], "");
        let document = format!("<testsuite name='{attribute}'/>");
        merged(vec![record("s", &[&document, &document])]);
    }
    let attributes: String = (0..50_000)
        .map(|number| format!(" a{}='1'", number % 300))
        .collect();
    merged(vec![record("s", &[&format!("<testsuite{attributes}/>")])]);
    let suites = "<testsuite name='same'/>".repeat(20_000);
    let text = merged(vec![record(
        "s",
        &[&format!("<testsuites>{suites}</testsuites>")],
    )]);
    assert!(text.contains("\"s/same (20000)\""));
}

#[test]
fn nothing_small_is_written_many_times_as_something_large() {
    let long = "n".repeat(100 << 10);
    let prefixes: String = (0..5_000)
        .map(|number| format!(" xmlns:p{number}='u'"))
        .collect();
    for document in [
        format!(
            "<testsuite name='{long}'>{}</testsuite>",
            "<error/>".repeat(5_000)
        ),
        format!(
            "<testsuites name='{long}'>{}</testsuites>",
            "<testsuite/>".repeat(5_000)
        ),
        format!(
            "<testsuites{prefixes}>{}</testsuites>",
            "<testsuite/>".repeat(5_000)
        ),
        format!(
            "<testsuites hostname='{long}'>{}</testsuites>",
            "<testsuite/>".repeat(5_000)
        ),
        format!("<testsuite{}/>", " a='1'".repeat(50_000)),
        format!("<testsuite{prefixes}><b p1:a='1'/></testsuite>"),
        format!(
            "<testsuite>{}{}{}</testsuite>",
            "<properties>".repeat(200),
            "<a/>".repeat(50_000),
            "</properties>".repeat(200)
        ),
    ] {
        let text = merged(vec![record("s", &[&document])]);
        assert!(
            text.len() < 4 << 20,
            "{} of {}",
            text.len(),
            &document[..60]
        );
    }
}

#[test]
fn size_and_number_are_bounded() {
    let large = vec![b' '; MAX_DOCUMENT + 1];
    assert!(matches!(read(&large), Err(ReadError::TooLarge { .. })));
    let many = format!("<testsuite>{}</testsuite>", "<a/>".repeat(MAX_NODES));
    assert!(matches!(
        read(many.as_bytes()),
        Err(ReadError::TooManyNodes { .. })
    ));
}

#[test]
fn the_end_of_a_section_inside_a_section_survives() {
    let document = "<testsuite name='s'><testcase name='a'><system-out><![CDATA[x]]]]><![CDATA[>y]]></system-out></testcase></testsuite>";
    let report = read(document.as_bytes()).expect("it is read");
    assert_eq!(report.root().text(), "x]]>y");
    let text = merged(vec![record("s", &[document])]);
    let again = read(text.as_bytes()).expect("it is read again");
    assert_eq!(again.root().text().trim(), "x]]>y");
    let stray = read(b"<testsuite><testcase name='a'>x]]>y</testcase></testsuite>");
    insta::assert_snapshot!(outline(&stray.expect("it is read")), @r"
    Counts { tests: 1, failures: 0, errors: 0, skipped: 0, flaky: 0 }
    []  | a | - | Passed
    ");
}

#[test]
fn broken_document_types_do_not_break_the_reader() {
    for inside in [
        "<!DOCTYPE",
        "<!DOCTYPE>",
        "<!DOCTYPE a [",
        "<!DOCTYPE a [<!",
        "<!DOCTYPE a [<!ELEM",
        "<!DOCTYPE a [<!ELEMENT",
        "<!DOCTYPE a [<!-- ]>",
        "<!DOCTYPE a [<?x ]>",
        "<!DOCTYPE a '",
        "<!DOCTYPE a [<!XXXXXXXXXXXXXXXX",
        "<!D",
        "<!",
        "<",
        "<?",
        "<!-",
        "<![",
        "<![CDATA",
        "</",
        "</>",
        "<>",
        "< >",
        "<a",
        "<a b",
        "<a b=",
        "<a b='",
        "&",
        "&#",
    ] {
        let _either = read(inside.as_bytes());
        let _either = read(format!("<testsuite>{inside}").as_bytes());
        let _either = read(format!("<testsuite>{inside}<testcase/></testsuite>").as_bytes());
        let _either = read(format!("{inside}><testsuite/>").as_bytes());
    }
}
