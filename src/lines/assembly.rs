//! Lines of one stream out of pieces that are cut anywhere.

use super::LONGEST;

/// A line, or a piece of one that is longer than [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'bytes> {
    /// Without the line break.
    pub bytes: &'bytes [u8],
    /// Whether the line ends here: by a line break, or with the stream.
    pub ends: bool,
}

/// Puts the lines of one stream together.
#[derive(Debug, Default)]
pub struct Assembly {
    partial: Vec<u8>,
}

impl Assembly {
    /// Takes bytes, and gives every line that they complete.
    pub fn push(&mut self, bytes: &[u8], mut give: impl FnMut(Piece<'_>)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ends) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            // A line that came whole needs no copy.
            while self.partial.len() + text.len() > LONGEST {
                let (now, rest) = text.split_at(LONGEST - self.partial.len());
                self.give(now, false, &mut give);
                text = rest;
            }
            if ends {
                self.give(text, true, &mut give);
            } else {
                self.partial.extend_from_slice(text);
            }
        }
    }

    /// The end of the stream: gives the last line if nothing has ended it.
    pub fn finish(&mut self, mut give: impl FnMut(Piece<'_>)) {
        if !self.partial.is_empty() {
            self.give(&[], true, &mut give);
        }
    }

    fn give(&mut self, text: &[u8], ends: bool, give: &mut impl FnMut(Piece<'_>)) {
        if self.partial.is_empty() {
            return give(Piece { bytes: text, ends });
        }
        self.partial.extend_from_slice(text);
        give(Piece {
            bytes: &self.partial,
            ends,
        });
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assembled(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut assembly = Assembly::default();
        let mut given = Vec::new();
        let mut take = |piece: Piece<'_>| given.push((piece.bytes.to_vec(), piece.ends));
        for piece in pieces {
            assembly.push(piece, &mut take);
        }
        assembly.finish(&mut take);
        given
    }

    #[test]
    fn the_last_line_is_there_and_no_other_one_is_made_up() {
        let line = |text: &str| (text.as_bytes().to_vec(), true);
        assert_eq!(
            assembled(&[b"one\ntw", b"o\n\nthr", b"ee"]),
            [line("one"), line("two"), line(""), line("three")]
        );
        assert_eq!(assembled(&[b"one\n"]), [line("one")]);
        assert_eq!(assembled(&[]), []);
    }

    #[test]
    fn a_line_without_an_end_comes_in_pieces() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        let given = assembled(&[&long[..10], &long[10..], b"\nnext"]);
        let shape: Vec<(usize, bool)> = given
            .iter()
            .map(|(text, ends)| (text.len(), *ends))
            .collect();
        assert_eq!(
            shape,
            [(LONGEST, false), (LONGEST, false), (5, true), (4, true)]
        );
        // One that ends just at the limit.
        let given = assembled(&[&long[..LONGEST], b"\n"]);
        assert_eq!(given, [(long[..LONGEST].to_vec(), true)]);
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(text in "[a\n]{0,40}", cuts in proptest::collection::vec(0..40usize, 0..6)) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(assembled(&pieces), assembled(&[text]));
        }
    }
}
