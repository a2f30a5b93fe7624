//! What a terminal sends: keys, pasted text, and answers to what it was asked. An answer never becomes
//! a key, however late it comes and in however many pieces.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// An ESC that nothing follows for so long is a key.
const ALONE: Duration = Duration::from_millis(20);

/// While an answer is awaited, an ESC may as well be its beginning.
const ALONE_AWAITED: Duration = Duration::from_millis(1200);

/// A sequence of which the rest does not come in this time is given up.
const REST: Duration = Duration::from_secs(5);

/// No sequence that means anything is longer.
const SEQUENCE_MAX: usize = 256;

/// So much may be pasted at once; the fields of the console are shorter.
const PASTE_MAX: usize = 64 * 1024;

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Something that a terminal said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Heard {
    /// A person did something.
    Event(Event),
    /// The terminal answered.
    Answer(Answer),
}

/// An answer of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Answer {
    /// It is there.
    Present,
    /// It knows what every terminal knows: the last answer to a question of several parts.
    Attributes,
    /// Its name and version.
    Version(String),
    /// The pen that it was given, as it understood it.
    Pen(String),
}

/// Bytes on their way to become keys.
#[derive(Debug, Default)]
pub(in crate::console) struct Keys {
    pending: Vec<u8>,
    /// Text between the brackets of a paste.
    pasted: Option<Vec<u8>>,
    /// A sequence was too long: it is left out until it ends.
    is_skipping: bool,
}

/// What stands at the beginning of some bytes.
enum Found {
    /// It is not known yet.
    Unfinished,
    /// So many bytes, and what they mean, if anything.
    Whole(usize, Option<Heard>),
}

impl Keys {
    /// Takes what has come in.
    pub(in crate::console) fn take(&mut self, bytes: &[u8], out: &mut Vec<Heard>) {
        self.pending.extend_from_slice(bytes);
        loop {
            if self.pasted.is_some() {
                if !self.paste(out) {
                    return;
                }
            } else if self.is_skipping {
                let Some(end) = end_of_string(&self.pending) else {
                    // A sign of the end may be half there.
                    self.pending.drain(..self.pending.len().saturating_sub(1));
                    return;
                };
                self.pending.drain(..end);
                self.is_skipping = false;
            } else if self.pending.starts_with(PASTE_BEGIN) {
                self.pending.drain(..PASTE_BEGIN.len());
                self.pasted = Some(Vec::new());
            } else {
                match read(&self.pending, false) {
                    Found::Unfinished if self.pending.len() > SEQUENCE_MAX => self.is_skipping = true,
                    Found::Unfinished => return,
                    Found::Whole(length, heard) => {
                        self.pending.drain(..length);
                        out.extend(heard);
                    }
                }
            }
        }
    }

    /// Takes pasted text; `false` if its end has not come.
    fn paste(&mut self, out: &mut Vec<Heard>) -> bool {
        let end = self.pending.windows(PASTE_END.len()).position(|bytes| bytes == PASTE_END);
        let keep = end.unwrap_or_else(|| self.pending.len().saturating_sub(PASTE_END.len() - 1));
        let text: Vec<u8> = self.pending.drain(..keep).collect();
        if let Some(pasted) = &mut self.pasted {
            let room = PASTE_MAX.saturating_sub(pasted.len());
            pasted.extend_from_slice(&text[..text.len().min(room)]);
        }
        if end.is_none() {
            return false;
        }
        self.pending.drain(..PASTE_END.len());
        let pasted = self.pasted.take().unwrap_or_default();
        out.push(Heard::Event(Event::Paste(String::from_utf8_lossy(&pasted).into_owned())));
        true
    }

    /// How long to wait for the rest of what has begun; `None` if nothing has.
    pub(in crate::console) fn patience(&self, is_awaiting: bool) -> Option<Duration> {
        match (self.pending.as_slice(), is_awaiting) {
            _ if self.pasted.is_some() => None,
            ([], _) => None,
            (b"\x1b", false) => Some(ALONE),
            (b"\x1b", true) => Some(ALONE_AWAITED),
            // Typed with Alt, these look like the beginning of more.
            ([0x1b, _], false) => Some(ALONE),
            _ => Some(REST),
        }
    }

    /// Nothing came for as long as that: what has begun is all there is.
    pub(in crate::console) fn quiet(&mut self, out: &mut Vec<Heard>) {
        if self.pasted.is_some() {
            return;
        }
        self.is_skipping = false;
        if let Found::Whole(_, heard) = read(&self.pending, true) {
            out.extend(heard);
        }
        self.pending.clear();
    }
}

fn read(bytes: &[u8], is_all: bool) -> Found {
    let unless_all = |heard: Option<Heard>| match (is_all, heard) {
        (true, heard) => Found::Whole(bytes.len(), heard),
        (false, _) => Found::Unfinished,
    };
    match bytes {
        [] => Found::Unfinished,
        [0x1b] => unless_all(key(KeyCode::Esc, KeyModifiers::NONE)),
        [0x1b, 0x1b, ..] => Found::Whole(1, key(KeyCode::Esc, KeyModifiers::NONE)),
        [0x1b, letter @ (b'[' | b'O' | b'P' | b']' | b'_' | b'^' | b'X')] => {
            unless_all(key(KeyCode::Char(char::from(*letter)), KeyModifiers::ALT))
        }
        [0x1b, b'[', rest @ ..] => match control(rest) {
            None => unless_all(None),
            Some((length, heard)) => Found::Whole(length + 2, heard),
        },
        [0x1b, b'O', letter, ..] => Found::Whole(3, function(*letter)),
        [0x1b, b'P' | b']' | b'_' | b'^' | b'X', ..] => match end_of_string(bytes) {
            None => unless_all(None),
            Some(end) => Found::Whole(end, answer(&bytes[..end])),
        },
        [0x1b, rest @ ..] => match typed(rest) {
            None => unless_all(None),
            Some((length, code, modifiers)) => {
                Found::Whole(length + 1, code.and_then(|code| key(code, modifiers | KeyModifiers::ALT)))
            }
        },
        _ => match typed(bytes) {
            None => unless_all(None),
            Some((length, code, modifiers)) => {
                Found::Whole(length, code.and_then(|code| key(code, modifiers)))
            }
        },
    }
}

#[expect(clippy::unnecessary_wraps, reason = "all callers may have none")]
fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Heard> {
    Some(Heard::Event(Event::Key(KeyEvent::new(code, modifiers))))
}

/// A sign, or a key with Ctrl: its length, and what it is unless it is nothing. `None` if the rest of
/// the sign is missing.
fn typed(bytes: &[u8]) -> Option<(usize, Option<KeyCode>, KeyModifiers)> {
    let control = |from: u8, to: u8, byte: u8| KeyCode::Char(char::from(byte - from + to));
    let (code, modifiers) = match *bytes.first()? {
        b'\r' => (KeyCode::Enter, KeyModifiers::NONE),
        b'\t' => (KeyCode::Tab, KeyModifiers::NONE),
        0x7f => (KeyCode::Backspace, KeyModifiers::NONE),
        0 => (KeyCode::Char(' '), KeyModifiers::CONTROL),
        byte @ 0x01..=0x1a => (control(0x01, b'a', byte), KeyModifiers::CONTROL),
        byte @ 0x1c..=0x1f => (control(0x1c, b'4', byte), KeyModifiers::CONTROL),
        first => {
            let length = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let part = &bytes[..length.min(bytes.len())];
            return match std::str::from_utf8(part) {
                Ok(text) => {
                    let sign = text.chars().next()?;
                    let shift = if sign.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
                    Some((length, Some(KeyCode::Char(sign)), shift))
                }
                Err(error) if error.error_len().is_none() => None,
                Err(error) => Some((error.error_len().unwrap_or(1), None, KeyModifiers::NONE)),
            };
        }
    };
    Some((1, Some(code), modifiers))
}

/// The end of a string of the terminal: ST, BEL, or what breaks it off.
fn end_of_string(bytes: &[u8]) -> Option<usize> {
    bytes.iter().enumerate().skip(1).find_map(|(at, byte)| match byte {
        0x07 | 0x18 | 0x1a => Some(at + 1),
        b'\\' if bytes[at - 1] == 0x1b => Some(at + 1),
        _ => None,
    })
}

fn answer(string: &[u8]) -> Option<Heard> {
    let text = String::from_utf8_lossy(string);
    let text = text.trim_end_matches(['\\', '\x1b', '\x07']);
    let version = text.strip_prefix("\x1bP>|").map(|version| Answer::Version(version.to_owned()));
    let pen = || text.strip_prefix("\x1bP1$r").map(|pen| Answer::Pen(pen.to_owned()));
    version.or_else(pen).map(Heard::Answer)
}

/// What follows `ESC [`: its length, and what it means. `None` if it has not ended.
fn control(bytes: &[u8]) -> Option<(usize, Option<Heard>)> {
    // The console of Linux has its own form for F1 to F5.
    if let [b'[', letter, ..] = bytes {
        let number = letter.wrapping_sub(b'A') + 1;
        return Some((2, key(KeyCode::F(number), KeyModifiers::NONE).filter(|_| (1..=5).contains(&number))));
    }
    // What cannot stand in a sequence ends it, and is read by itself.
    let end = bytes.iter().position(|byte| !matches!(byte, 0x20..=0x3f))?;
    let last = bytes[end];
    if bytes[..end].is_empty() && last == b'[' {
        return None;
    }
    if !matches!(last, 0x40..=0x7e) {
        return Some((end, None));
    }
    let parameters = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
    Some((end + 1, meaning(parameters, last)))
}

fn meaning(parameters: &str, last: u8) -> Option<Heard> {
    match (parameters, last) {
        ("", b'I') => return Some(Heard::Event(Event::FocusGained)),
        ("", b'O') => return Some(Heard::Event(Event::FocusLost)),
        ("0" | "3", b'n') => return Some(Heard::Answer(Answer::Present)),
        (text, b'c') if text.starts_with('?') => return Some(Heard::Answer(Answer::Attributes)),
        (text, b'M' | b'm') if text.starts_with('<') => return mouse(&text[1..], last == b'M'),
        _ => {}
    }
    let mut numbers = parameters.split(';').map(|part| part.split(':').next().unwrap_or_default());
    let first = numbers.next().unwrap_or_default();
    let modifiers = numbers.next().and_then(|text| text.parse::<u8>().ok()).unwrap_or(1).saturating_sub(1);
    let mut held = KeyModifiers::NONE;
    for (bit, modifier) in [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)] {
        if modifiers & bit != 0 {
            held |= modifier;
        }
    }
    let code = match (last, first.parse::<u8>()) {
        (b'~', Ok(number)) => numbered(number)?,
        (b'Z', _) => return key(KeyCode::BackTab, held | KeyModifiers::SHIFT),
        (b'A'..=b'H' | b'P'..=b'S', Ok(1)) => named(last)?,
        (b'A'..=b'H' | b'P'..=b'S', Err(_)) if first.is_empty() => named(last)?,
        _ => return None,
    };
    key(code, held)
}

/// The wheel, or a button that goes down or up, in the form that knows wide screens (mode 1006).
fn mouse(parameters: &str, is_down: bool) -> Option<Heard> {
    let mut numbers = parameters.split(';').map(|number| number.parse::<u16>().ok());
    let (what, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)] {
        if what & bit != 0 {
            modifiers |= modifier;
        }
    }
    let button = |button| if is_down { MouseEventKind::Down(button) } else { MouseEventKind::Up(button) };
    let kind = match what & !(4 | 8 | 16) {
        0 => button(MouseButton::Left),
        1 => button(MouseButton::Middle),
        2 => button(MouseButton::Right),
        64 => MouseEventKind::ScrollUp,
        65 => MouseEventKind::ScrollDown,
        _ => return None,
    };
    let (column, row) = (column.checked_sub(1)?, row.checked_sub(1)?);
    Some(Heard::Event(Event::Mouse(MouseEvent { kind, column, row, modifiers })))
}

fn function(letter: u8) -> Option<Heard> {
    named(letter).and_then(|code| key(code, KeyModifiers::NONE))
}

fn named(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(letter - b'P' + 1),
        _ => return None,
    })
}

fn numbered(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23..=24 => KeyCode::F(number - 12),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(heard: &[Heard]) -> Vec<String> {
        let word = |heard: &Heard| match heard {
            Heard::Event(Event::Key(key)) => {
                let with = |modifier, name| if key.modifiers.contains(modifier) { name } else { "" };
                let held = [
                    with(KeyModifiers::CONTROL, "C-"),
                    with(KeyModifiers::ALT, "A-"),
                    with(KeyModifiers::SHIFT, "S-"),
                ];
                format!("{}{}", held.concat(), key.code)
            }
            other @ (Heard::Event(_) | Heard::Answer(_)) => format!("{other:?}"),
        };
        heard.iter().map(word).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<String> {
        let (mut keys, mut out) = (Keys::default(), Vec::new());
        keys.take(bytes, &mut out);
        while keys.patience(false).is_some() {
            keys.quiet(&mut out);
        }
        said(&out)
    }

    #[test]
    fn keys_are_told_by_their_bytes() {
        for (bytes, expected) in [
            (&b"jK\r\t\x7f"[..], &["j", "S-K", "Enter", "Tab", "Backspace"][..]),
            (b"\x03\x1a\x00\x1f", &["C-c", "C-z", "C-Space", "C-7"]),
            ("čЖ漢😀".as_bytes(), &["č", "S-Ж", "漢", "😀"]),
            (b"\x1b", &["Esc"]),
            (b"\x1b\x1b", &["Esc", "Esc"]),
            (b"\x1bj\x1b[", &["A-j", "A-["]),
            (b"\x1bP", &["A-P"]),
            (b"\x1b[A\x1b[B\x1bOC\x1bOD", &["Up", "Down", "Right", "Left"]),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~", &["Home", "End", "Home", "End", "Home", "End"]),
            (b"\x1b[2~\x1b[3~\x1b[5~\x1b[6~", &["Insert", "Del", "Page Up", "Page Down"]),
            (b"\x1bOP\x1b[[B\x1b[13~\x1b[15~\x1b[24~", &["F1", "F2", "F3", "F5", "F12"]),
            (b"\x1b[1;5A\x1b[1;2P\x1b[3;3~\x1b[Z", &["C-Up", "S-F1", "A-Del", "S-Back Tab"]),
        ] {
            assert_eq!(keys(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_key_is_left_out() {
        for bytes in [
            &b"\x1b[999;1~"[..],
            b"\x1b[<0;0;3M",
            b"\x1b[<35;1;1M",
            b"\x1b[<1M",
            b"\x1b[5;5R",
            b"\x1b[12;x\x01",
            b"\xff\xfe",
            b"\x1b]52;c;aGk=\x07",
            b"\x1b_Gi=1;OK\x1b\\",
            b"\x1b[?2026;2$y",
            b"\x1b[8;24;80t",
        ] {
            let heard = keys(bytes);
            assert!(heard.iter().all(|key| key == "C-a"), "{}: {heard:?}", bytes.escape_ascii());
        }
        // The keys after it are heard.
        assert_eq!(keys(&[&b"\x1bP"[..], &[b'x'; 9000], b"\x1b\\j"].concat()), ["j"]);
    }

    #[test]
    fn the_mouse_is_told_where_it_is() {
        let heard = keys(b"\x1b[<0;12;3M\x1b[<0;12;3m\x1b[<81;300;1M");
        let expected =
            [("Down(Left)", 11, 2, ""), ("Up(Left)", 11, 2, ""), ("ScrollDown", 299, 0, "CONTROL")];
        for (heard, (kind, column, row, held)) in heard.iter().zip(expected) {
            let place = format!("kind: {kind}, column: {column}, row: {row}");
            assert!(heard.contains(&place) && heard.contains(held), "{heard}");
        }
        assert_eq!(heard.len(), 3);
    }

    #[test]
    fn answers_are_no_keys_in_whatever_pieces_they_come() {
        let all = b"a\x1b[?62;22cb\x1bP>|XTerm(390)\x1b\\c\x1bP1$r0;48:2::1:2:3m\x1b\\\x1bP0$r\x1b\\d\x1b[0ne\x1b[I\x1b[O";
        let expected = [
            "a",
            "Answer(Attributes)",
            "b",
            "Answer(Version(\"XTerm(390)\"))",
            "c",
            "Answer(Pen(\"0;48:2::1:2:3m\"))",
            "d",
            "Answer(Present)",
            "e",
            "Event(FocusGained)",
            "Event(FocusLost)",
        ];
        for size in 1..all.len() {
            let (mut keys, mut out) = (Keys::default(), Vec::new());
            for piece in all.chunks(size) {
                keys.take(piece, &mut out);
                // A second passes, and the answer is still awaited.
                if keys.patience(true).is_some_and(|patience| patience < Duration::from_secs(1)) {
                    keys.quiet(&mut out);
                }
            }
            assert_eq!(said(&out), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn pasted_text_is_one_event_in_whatever_pieces_it_comes() {
        let all = "j\x1b[200~sx\x1b[Ayž\r\n\x1b[201~k".as_bytes();
        for size in 1..all.len() {
            let (mut keys, mut out) = (Keys::default(), Vec::new());
            for piece in all.chunks(size) {
                keys.take(piece, &mut out);
                if keys.pasted.is_some() {
                    assert_eq!(keys.patience(false), None);
                    keys.quiet(&mut out);
                }
            }
            assert_eq!(
                said(&out),
                ["j", "Event(Paste(\"sx\\u{1b}[Ayž\\r\\n\"))", "k"],
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn any_bytes_are_taken_and_nothing_is_kept_for_ever() {
        let mut seed = 1_u64;
        let (mut keys, mut out) = (Keys::default(), Vec::new());
        let signs = b"\x1b\x1b\x1b[[OP]_\\;:?$0123456789~ABRcnmtu\x07\x18\xc3\xe6\xffj";
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            keys.take(&[signs[usize::try_from(seed >> 33).unwrap() % signs.len()]], &mut out);
            assert!(keys.pending.len() <= SEQUENCE_MAX + 1);
            out.clear();
        }
        keys.quiet(&mut out);
        out.clear();
        keys.take(b"j", &mut out);
        assert_eq!(said(&out), ["j"]);
    }
}
