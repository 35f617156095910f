//! Names as words of a line: a byte below 0x21, `%` and 0x7f are `%` and two hex digits.
//!
//! Deliberately not here: the meaning of a name's parts (`smd_protocol::names`).

/// Writes a name as one word.
pub fn escape(name: &[u8], out: &mut Vec<u8>) {
    for &byte in name {
        match byte {
            0..=0x20 | b'%' | 0x7f => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            byte => out.push(byte),
        }
    }
}

/// Reads a word back; none when a `%` is not followed by two hex digits.
pub fn unescape(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    Some(out)
}

/// A file's folder, and the part of its name before the first `:`; the path has a place (`cur` or `new`) in it.
pub fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    let cut = |path: &[u8]| path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    let (dir, file) = path.split_at(cut(path));
    let file = file.strip_prefix(b"/").unwrap_or(file);
    (&dir[..cut(dir)], file.split(|&byte| byte == b':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_word_and_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut word = Vec::new();
        escape(&all, &mut word);
        assert!(!word.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()));
        assert_eq!(unescape(&word), Some(all));
        let mut word = Vec::new();
        escape(b"My Mail/cur/1%:2,S", &mut word);
        assert_eq!(word, b"My%20Mail/cur/1%25:2,S");
        for bad in [&b"%"[..], b"%2", b"%+1", b"a%zz"] {
            assert_eq!(unescape(bad), None);
        }
    }

    #[test]
    fn a_path_has_a_folder_and_a_uniq() {
        assert_eq!(parts(b"Mail/.a/cur/1.b:2,S"), (&b"Mail/.a"[..], &b"1.b"[..]));
        assert_eq!(parts(b"cur/1"), (&b""[..], &b"1"[..]));
    }
}
