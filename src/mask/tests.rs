//! Masking against a naive search, and against the encoders that others use.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn masker(values: &[&str]) -> Masker {
    let secrets: Vec<Secret> = values
        .iter()
        .map(|value| Secret::new("a test", *value))
        .collect();
    let (masker, warnings) = Masker::new(&secrets).expect("few secrets");
    assert_eq!(warnings, Vec::<String>::new());
    masker
}

/// The rule of the module, without an automaton.
fn naive(values: &[String], text: &[u8]) -> Vec<u8> {
    let mut hidden = vec![false; text.len()];
    for value in values {
        for part in forms::parts(value.as_bytes()).unwrap_or_default() {
            for form in forms::forms(&part) {
                for start in 0..text.len() {
                    if text[start..].starts_with(&form) {
                        hidden[start..start + form.len()].fill(true);
                    }
                }
            }
        }
    }
    let mut masked = Vec::new();
    for (index, byte) in text.iter().enumerate() {
        match (hidden[index], index > 0 && hidden[index - 1]) {
            (false, _) => masked.push(*byte),
            (true, false) => masked.extend_from_slice(MASK.as_bytes()),
            (true, true) => {}
        }
    }
    masked
}

/// Pushes a text in pieces that end at these places.
fn in_pieces(stream: &mut Stream, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(text.len());
    let mut masked = Vec::new();
    let mut from = 0;
    for cut in cuts {
        masked.extend_from_slice(&stream.push(&Bytes::copy_from_slice(&text[from..cut])));
        from = cut;
    }
    masked.extend_from_slice(&stream.finish());
    masked
}

/// Secrets out of few letters overlap each other and themselves.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{8,12}",
        "[a-zA-Z0-9]{8,24}",
        "[ -)+-~]{8,20}",
        "[a-zäß€\"\\\\/&<' \n]{8,20}",
        "[a-z\"&=+/]{8,12}\n[A-Z]{1,12}\n[ab]{8,9}",
    ]
    .prop_filter("at least eight characters", |value| {
        value.trim().chars().count() >= SHORTEST
    })
}

/// Texts in which secrets, their spellings and halves of them are frequent.
fn text(secrets: Vec<String>) -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let spellings: Vec<Vec<u8>> = secrets
        .iter()
        .flat_map(|value| forms::parts(value.as_bytes()).unwrap_or_default())
        .flat_map(|part| forms::forms(&part))
        .collect();
    let piece = prop_oneof![
        "[ -)+-~\n]{0,12}".prop_map(String::into_bytes),
        "[ab]{0,6}".prop_map(String::into_bytes),
        proptest::sample::select(spellings.clone()),
        (
            proptest::sample::select(spellings),
            any::<prop::sample::Index>()
        )
            .prop_map(|(form, cut)| form[..cut.index(form.len())].to_vec()),
    ];
    proptest::collection::vec(piece, 0..12)
        .prop_map(move |pieces| (secrets.clone(), pieces.concat()))
}

fn secrets_and_text() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    proptest::collection::vec(secret(), 1..4).prop_flat_map(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_stream_cut_anywhere_comes_out_as_the_whole(
        (values, text) in secrets_and_text(),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
    ) {
        let known: Vec<&str> = values.iter().map(String::as_str).collect();
        let masker = masker(&known);
        let expected = naive(&values, &text);
        let at_once = masker.bytes(&text).into_owned();
        prop_assert_eq!(&at_once, &expected);
        prop_assert_eq!(in_pieces(&mut masker.stream(), &text, &cuts), expected.clone());
        for part in values.iter().flat_map(|value| forms::parts(value.as_bytes()).unwrap_or_default()) {
            for form in forms::forms(&part) {
                prop_assert!(!expected.windows(form.len()).any(|window| window == form));
            }
        }
    }

    #[test]
    fn two_streams_do_not_disturb_each_other(
        (values, one) in secrets_and_text(),
        two in "[ab ]{0,60}",
        cuts in proptest::collection::vec((any::<bool>(), 1..9usize), 0..60),
    ) {
        let known: Vec<&str> = values.iter().map(String::as_str).collect();
        let masker = masker(&known);
        let texts = [one, two.into_bytes()];
        let mut streams = [masker.stream(), masker.stream()];
        let mut masked = [Vec::new(), Vec::new()];
        let mut position = [0, 0];
        for (which, length) in cuts {
            let which = usize::from(which);
            let end = (position[which] + length).min(texts[which].len());
            let piece = Bytes::copy_from_slice(&texts[which][position[which]..end]);
            masked[which].extend_from_slice(&streams[which].push(&piece));
            position[which] = end;
        }
        for which in 0..2 {
            let rest = Bytes::copy_from_slice(&texts[which][position[which]..]);
            masked[which].extend_from_slice(&streams[which].push(&rest));
            masked[which].extend_from_slice(&streams[which].finish());
            prop_assert_eq!(&masked[which], &naive(&values, &texts[which]));
        }
    }

    /// Whatever stands before and behind it, nothing of a secret's own digits is left.
    #[test]
    fn encoders_of_others_give_nothing_away(
        secret in "[ -)+-~]{8,30}".prop_filter("no spaces around", |text| text.trim() == text),
        before in "[ -)+-~]{0,5}",
        behind in "[ -)+-~]{0,5}",
    ) {
        let masker = masker(&[&secret]);
        let whole = format!("{before}{secret}{behind}");
        let quoted = serde_json::to_string(&whole).expect("a text");
        let escaped = serde_json::to_string(&secret).expect("a text");
        prop_assert!(!masker.text(&quoted).contains(escaped.trim_matches('"')));
        let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        prop_assert!(!masker.text(&form(&whole)).contains(&form(&secret)));
        for encoded in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
            let masked = masker.text(&encoded).into_owned();
            let (head, tail) = masked.split_once(MASK).expect("something is masked");
            // A digit of six bits at each border is shared with what stands beside the secret.
            prop_assert!(head.len() <= (before.len() * 8).div_ceil(6), "{head}");
            prop_assert!(tail.len() <= (behind.len() * 8).div_ceil(6) + 3, "{tail}");
        }
        let hexadecimal: String = whole.bytes().map(|byte| format!("{byte:02x}")).collect();
        let expected = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let masked = masker.text(&hexadecimal).into_owned();
        prop_assert!(!masked.contains(&expected(&secret)), "{masked}");
    }
}

#[test]
fn what_cannot_begin_a_secret_is_not_held() {
    let masker = masker(&["hunter2-hunter2"]);
    let mut stream = masker.stream();
    let mut push = |text: &'static str| stream.push(&Bytes::from_static(text.as_bytes()));
    assert_eq!(push("no newline"), "no newline");
    assert_eq!(push(" and hun"), " and ");
    assert_eq!(push("gry"), "hungry");
    assert_eq!(push("hunter2-hunter2"), "***");
    assert_eq!(push(" hunter2-"), " ");
    assert_eq!(stream.finish(), "hunter2-");
}

#[test]
fn overlapping_and_touching_secrets_are_one_mask() {
    let masker = masker(&["abcdefgh", "efghijkl", "cdefghijklmnop"]);
    assert_eq!(masker.text("<abcdefghijkl>"), "<***>");
    assert_eq!(masker.text("<abcdefghabcdefgh>"), "<***>");
    assert_eq!(masker.text("<abcdefghijklmnop>"), "<***>");
    assert_eq!(masker.text("abcdefg"), "abcdefg");
}

#[test]
fn lines_of_a_key_are_hidden_and_its_frame_is_not() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n";
    let masker = masker(&[key]);
    assert_eq!(masker.text(&format!("key: {key}done")), "key: ***\ndone");
    assert_eq!(
        masker.text("x MIIEvQIBADANBgkqhkiG9w0BAQEFAASC y -----BEGIN PRIVATE KEY----- short"),
        "x *** y -----BEGIN PRIVATE KEY----- short"
    );
    let wrapped = STANDARD.encode(key.trim());
    for line in wrapped.as_bytes().chunks(76) {
        let line = std::str::from_utf8(line).expect("base64");
        assert_eq!(masker.text(line), "***");
    }
    let quoted = serde_json::to_string(key).expect("a text");
    assert_eq!(masker.text(&quoted), "\"***\\n\"");
    // A file with the line breaks of Windows.
    let shown = masker.text(&key.replace('\n', "\r\n")).into_owned();
    assert!(
        !shown.contains("MIIE") && !shown.contains("BKcw"),
        "{shown}"
    );
}

#[test]
fn what_is_not_masked_is_told_without_its_value() {
    let large = "x".repeat(LARGEST + 1);
    let secrets = [
        Secret::new("variable `SHORT`", "hunter2"),
        Secret::new("secret `empty`", ""),
        Secret::new("secret `large`", large.as_str()),
        Secret::by_name("DEBUG", "variable `DEBUG`", "1"),
        Secret::by_name("HOME", "variable `HOME`", "/home/runner"),
        Secret::new("secret `good`", "long enough"),
    ];
    let (masker, warnings) = Masker::new(&secrets).expect("few secrets");
    assert_eq!(
        warnings,
        [
            "secret `empty` is not masked: it is shorter than 8 characters",
            "secret `large` is not masked: it is larger than 64 KiB",
            "variable `SHORT` is not masked: it is shorter than 8 characters",
        ]
    );
    assert_eq!(
        masker.text("hunter2 long enough /home/runner"),
        "hunter2 *** /home/runner"
    );
    let shown = format!("{secrets:?} {masker:?} {:?}", masker.stream());
    assert!(
        !shown.contains("hunter2") && !shown.contains("long enough"),
        "{shown}"
    );
}

#[test]
fn all_together_have_a_limit() {
    let value = |index: usize| format!("{index:0>width$}", width = LARGEST / 4);
    let secrets: Vec<Secret> = (0..12)
        .map(|index| Secret::new(format!("secret `{index:02}`"), value(index)))
        .collect();
    let (masker, warnings) = Masker::new(&secrets).expect("a limited search");
    assert_eq!(masker.text(&value(7)), "***");
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(
        warnings[0].contains("secret `08` is not masked"),
        "{warnings:?}"
    );
}

#[test]
fn structured_data_is_masked_in_keys_and_values() {
    let masker = masker(&["hunter2-hunter2", "12345678"]);
    let mut data = json!({
        "a hunter2-hunter2": ["b", "hunter2-hunter2", { "c": "id 12345678" }],
        "a 12345678": null,
        "number": 12345678,
    });
    masker.json(&mut data);
    assert_eq!(
        data,
        json!({
            "a ***": null,
            "a ****": ["b", "***", { "c": "id ***" }],
            "number": 12345678,
        })
    );
}

#[test]
fn bytes_that_are_no_text_are_masked_too() {
    let value = [0, 159, 146, 150, 255, 1, 2, 3, 4];
    let (masker, warnings) = Masker::new(&[Secret::new("secret `bytes`", value)]).expect("one");
    assert!(warnings.is_empty());
    assert_eq!(
        masker.bytes(&[&b"<"[..], &value, b">"].concat()).as_ref(),
        b"<***>"
    );
    assert_eq!(masker.text(&STANDARD.encode(value)), MASK);
    assert_eq!(masker.values().count(), 0);
}

#[test]
fn without_secrets_nothing_is_copied() {
    let masker = Masker::none();
    let piece = Bytes::from_static(b"text");
    assert_eq!(masker.stream().push(&piece).as_ptr(), piece.as_ptr());
    assert!(matches!(masker.text("text"), Cow::Borrowed(_)));
}
