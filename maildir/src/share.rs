//! Sizes and shares of a file system, as a person writes them.

/// A part of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// So many bytes.
    Bytes(u64),
    /// This share of all that the file system holds, from 0 to 100.
    Percent(u8),
}

impl Share {
    /// Reads what [`size`] reads, or a percentage such as `10%`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim_end().parse().ok().filter(|&percent| percent <= 100).map(Self::Percent),
            None => size(text).map(Self::Bytes),
        }
    }

    /// In bytes, of a file system that holds `capacity` in all; none where a share is meant of one that does not say.
    pub fn of(self, capacity: Option<u64>) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Percent(percent) => capacity.map(|all| all / 100 * u64::from(percent)),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{}", Size(*bytes)),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The letters of units, and what they stand for as a power of two.
const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// Reads `500M`, `2G`, `1T` (powers of 1024), or a number of bytes.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = UNITS.iter().find(|(letter, _)| text.ends_with([*letter, letter.to_ascii_lowercase()]));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    let number: u64 = digits.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

/// Bytes for a person, as [`size`] reads them but to one digit behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((letter, shift)) = UNITS.iter().rev().find(|(_, shift)| self.0 >> shift > 0) else {
            return write!(f, "{}", self.0);
        };
        let (whole, tenths) = (self.0 >> shift, (self.0 >> (shift - 10) & 1023) * 10 / 1024);
        match tenths {
            0 => write!(f, "{whole}{letter}"),
            _ => write!(f, "{whole}.{tenths}{letter}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_size_or_a_percentage_of_the_file_system() {
        assert_eq!(Share::parse(" 500M "), Some(Share::Bytes(500 << 20)));
        assert_eq!(Share::parse("2g"), Some(Share::Bytes(2 << 30)));
        assert_eq!(Share::parse("0"), Some(Share::Bytes(0)));
        assert_eq!(Share::parse("25%"), Some(Share::Percent(25)));
        for bad in ["", "%", "101%", "-1", "M", "2 GB", "99999999T", "é"] {
            assert_eq!(Share::parse(bad), None, "{bad}");
        }
        assert_eq!(Share::Percent(10).of(Some(1000)), Some(100));
        assert_eq!(Share::Percent(10).of(None), None);
        assert_eq!(Share::Bytes(7).of(Some(1)), Some(7));
    }

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for text in ["0", "1000", "3K", "500M", "2G", "1T"] {
            assert_eq!(Size(size(text).expect("a size")).to_string(), text);
        }
        for (bytes, shown) in [(1025, "1K"), (10_485, "10.2K"), (3 << 29, "1.5G"), (u64::MAX, "16777215.9T")] {
            assert_eq!(Size(bytes).to_string(), shown);
        }
        assert_eq!(Share::Percent(5).to_string(), "5%");
    }
}
