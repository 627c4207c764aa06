//! The short form of a mount: `SOURCE:TARGET:OPTIONS`.

/// A mount in its short form, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShortVolume {
    /// Empty for an anonymous volume.
    pub(super) source: String,
    pub(super) target: String,
    pub(super) read_only: bool,
    pub(super) nocopy: bool,
    pub(super) propagation: Option<String>,
    pub(super) selinux: Option<String>,
}

impl ShortVolume {
    /// Whether the source is a path of the host: it starts with `.`, `/`, `~` or a Windows drive.
    pub(super) fn is_bind(&self) -> bool {
        let source = self.source.as_str();
        let mut characters = source.chars();
        let drive =
            characters.next().is_some_and(char::is_alphabetic) && characters.next() == Some(':');
        source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || drive
    }
}

/// Why a text is no mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShortVolumeError {
    #[error("it is empty")]
    Empty,
    #[error("there is nothing between two colons, or before or after one")]
    EmptyPart,
    #[error("it has too many colons")]
    TooManyColons,
}

/// Takes a mount apart. Options that nobody knows are ignored, as the reference does.
pub(super) fn parse(text: &str) -> Result<ShortVolume, ShortVolumeError> {
    let mut volume = ShortVolume::default();
    match text.len() {
        0 => return Err(ShortVolumeError::Empty),
        1 | 2 => {
            volume.target = text.to_owned();
            return Ok(volume);
        }
        _ => {}
    }
    let parts = split(text);
    if parts.iter().any(|part| part.is_empty()) {
        return Err(ShortVolumeError::EmptyPart);
    }
    match parts.as_slice() {
        [target] => volume.target = (*target).to_owned(),
        [source, target] => {
            volume.source = (*source).to_owned();
            volume.target = (*target).to_owned();
        }
        [source, target, options] => {
            volume.source = (*source).to_owned();
            volume.target = (*target).to_owned();
            for option in options.split(',') {
                set_option(&mut volume, option);
            }
        }
        _ => return Err(ShortVolumeError::TooManyColons),
    }
    Ok(volume)
}

fn set_option(volume: &mut ShortVolume, option: &str) {
    match option {
        "ro" => volume.read_only = true,
        "rw" => volume.read_only = false,
        "nocopy" => volume.nocopy = true,
        "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
            volume.propagation = Some(option.to_owned());
        }
        "z" | "Z" => volume.selinux = Some(option.to_owned()),
        _ => {}
    }
}

/// Splits at colons, but not at that of a Windows drive nor within `${…}`.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, character) in text.char_indices() {
        match character {
            '$' if text.get(at + 1..).is_some_and(|rest| rest.starts_with('{')) => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                let part = text.get(start..at).unwrap_or_default();
                let mut letters = part.chars();
                let is_drive =
                    letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none();
                if !is_drive {
                    parts.push(part);
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}
