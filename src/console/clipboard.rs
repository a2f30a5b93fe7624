//! Text for the clipboard of whoever sits at the terminal, wherever that is: OSC 52.

/// Terminals take about 100 KB; longer text is cut at a character.
const LENGTH_MAX: usize = 74_000;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What makes a terminal take a text.
pub(super) fn osc52(text: &str) -> Vec<u8> {
    let end = (0..=text.len().min(LENGTH_MAX)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut bytes = b"\x1b]52;c;".to_vec();
    for chunk in text.as_bytes()[..end].chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let sign = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
            bytes.push(if at <= chunk.len() { sign } else { b'=' });
        }
    }
    bytes.extend(b"\x1b\\");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_in_base_64() {
        let encoded = |text| String::from_utf8(osc52(text)).unwrap();
        for (text, expected) in [
            ("", ""),
            ("a", "YQ=="),
            ("ab", "YWI="),
            ("abc", "YWJj"),
            ("croatia/fina \u{10d}", "Y3JvYXRpYS9maW5hIMSN"),
        ] {
            assert_eq!(encoded(text), format!("\x1b]52;c;{expected}\x1b\\"));
        }
        assert!(osc52(&"\u{10d}".repeat(100_000)).len() < 100_000);
    }
}
