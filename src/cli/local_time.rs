//! The local time zone, for the second clock of row 1.

/// How local time differs from UTC now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offset {
    /// Seconds east of UTC.
    pub(super) seconds: i32,
    /// Its short name.
    pub(super) name: String,
}

/// Of this machine, at this moment.
#[expect(clippy::disallowed_methods, reason = "the local zone's offset depends on the day")]
pub(super) fn offset() -> Offset {
    let now = jiff::Zoned::now();
    let name = now.strftime("%Z").to_string();
    Offset { seconds: now.offset().seconds(), name }
}
